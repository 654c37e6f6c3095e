"""Asking in groups, for models that take a fixed number of inputs."""

from collections.abc import Callable

import numpy as np

from modelseal.endpoints.answering import join
from modelseal.errors import InvalidArgumentError
from modelseal.outputs.answers import Answers
from modelseal.shapes import Codes


def ask_in_groups(ask: Callable[[Codes], Answers], codes: Codes, *, size: int) -> Answers:
    """Asks groups of exactly `size` inputs one after another.

    The last group is filled up by repeating its last input, whose further answers are dropped.

    Args:
        ask: Answers one group.
        codes: At least one input.
        size: How many inputs are asked at a time; 0 asks all at once.

    Raises:
        InvalidArgumentError: There are no inputs.
        EndpointError: A group got no usable answer, or the groups' answers differ in form.
    """
    count = len(codes)
    if not count:
        raise InvalidArgumentError("at least one input is needed, but got none")
    if not size:
        return ask(codes)
    wanted = np.minimum(np.arange(-(-count // size) * size), count - 1)
    groups = [ask(codes[numbers]) for numbers in np.split(wanted, len(wanted) // size)]
    return join(groups).take(np.arange(count))
