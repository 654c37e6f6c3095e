"""Asking again after a fault that may pass.

The loop is our own. stamina, which is made for this, sleeps by itself: it can be told neither to
stop when the time for all questions is over or another one has settled the verdict, nor what time
it is in a test.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.errors import PassingError
from modelseal.types import Codes

# The mean of the first wait in seconds, since a connection that was reset is often well at once,
# and the longest one; a server that names a time of its own may have more.
_FIRST, _LONGEST = 0.25, 30.0


def ask_patiently(
    endpoint: Endpoint,
    codes: Codes,
    *,
    waits: Iterable[float],
    rest: Callable[[float], bool],
) -> object:
    """Asks an endpoint, and again after each fault that may pass, as often as there are waits.

    An answer, whatever it is, is never asked for again, nor is any other fault followed by another
    question.

    Args:
        endpoint: What to ask.
        codes: The inputs, of which the endpoint gets a copy each time.
        waits: How many seconds to wait after each fault, unless the endpoint asks for longer.
        rest: Waits so many seconds, and tells whether to go on.

    Returns:
        What the endpoint gave, which is still to be examined.

    Raises:
        EndpointError: No usable answer came.
    """
    for wait in waits:
        try:
            return endpoint.ask(codes.copy())
        except PassingError as error:
            if not rest(max(wait, error.wait or 0.0)):
                raise
    return endpoint.ask(codes.copy())


def back_off(retries: int, generator: np.random.Generator) -> Iterator[float]:
    """Waits in seconds, each twice the one before on the average, from half to one and a half.

    The chance in them keeps clients that were all turned away from coming back all at once.
    """
    for number in range(retries):
        # Beyond 2^16 the longest wait has long been reached.
        mean = min(_FIRST * 2.0 ** min(number, 16), _LONGEST)
        yield mean * generator.uniform(0.5, 1.5)
