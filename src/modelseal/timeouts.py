"""Bounding how long a call may take."""

from collections.abc import Callable
from math import inf
from threading import Thread
from typing import TypeVar

from modelseal.errors import InvalidArgumentError, PassingError

TIMEOUT = 30.0
"""How many seconds an answer may take if nobody says otherwise."""

Result = TypeVar("Result")


def check_timeout(timeout: float) -> None:
    """Makes sure that a timeout is a positive, finite number of seconds."""
    if not 0 < timeout < inf:
        raise InvalidArgumentError(
            f"expected a positive number of seconds, got {timeout:g}", field="timeout"
        )


def within(
    seconds: float, act: Callable[[], Result], *, give_up: Callable[[], None] = lambda: None
) -> Result:
    """Returns what a call returns, if it does so in time.

    For clients that bound every wait for a byte but not all of them together. A call that is
    given up goes on in a thread that does not keep the program alive.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001 (raised again by who waits)
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        give_up()
        raise PassingError(f"expected an answer, got none within {seconds:g} seconds")
    return results[0]
