"""Calls that are given up in time, whatever they do."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from modelseal.errors import PassingError

Result = TypeVar("Result")


def within(
    seconds: float, act: Callable[[], Result], *, give_up: Callable[[], None] = lambda: None
) -> Result:
    """What a call gives, if it comes in time.

    For clients that bound every wait for a byte but not all of them together. A call that is
    given up goes on in a thread that does not keep the program alive.

    Args:
        seconds: How long to wait.
        act: The call. What it raises is raised here.
        give_up: Is called if it took longer, to end what still goes on.

    Raises:
        PassingError: It took longer.
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
        raise PassingError(f"no answer came within {seconds:g} seconds")
    return results[0]
