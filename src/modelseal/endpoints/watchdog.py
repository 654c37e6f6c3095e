"""Doing something when a deadline passes."""

from collections.abc import Callable
from threading import Lock, Thread
from time import monotonic, sleep


class Watchdog:
    """Does something at a deadline, unless it was called off before.

    To start a thread takes longer than all else that is done for a question. So one watches over
    all deadlines that follow one another: it looks again when the one that it slept towards has
    come, and ends if there is no other by then.

    Args:
        seconds: How long after the call for it the deadline is.
        act: What is done, in a thread of its own.
    """

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self.seconds = seconds
        self.act = act
        self._deadline: float | None = None
        self._watching = False
        self._lock = Lock()

    def call(self) -> None:
        """Sets the deadline."""
        with self._lock:
            self._deadline = monotonic() + self.seconds
            if not self._watching:
                self._watching = True
                Thread(target=self._watch, daemon=True).start()

    def call_off(self) -> None:
        """Takes the deadline back; what it led to is done by then, or is never done."""
        with self._lock:
            self._deadline = None

    def _watch(self) -> None:
        while left := self._look():
            sleep(left)

    def _look(self) -> float:
        """Acts if it is time, and gives for how long to sleep; for 0 seconds at the end."""
        with self._lock:
            left = 0.0 if self._deadline is None else self._deadline - monotonic()
            if left > 0:
                return left
            if self._deadline is not None:
                self.act()
            self._watching = False
            return 0.0
