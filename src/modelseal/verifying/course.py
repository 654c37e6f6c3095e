"""The course of a verification: one question after another, or several at once."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from enum import Enum
from math import inf

from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import EndpointError
from modelseal.fingerprint.record import Fingerprint
from modelseal.verdict import Evidence, Finding
from modelseal.verifying.asking import Asker, Unasked
from modelseal.verifying.concluding import NO_ANSWERS, Stop
from modelseal.verifying.covering import is_cover
from modelseal.verifying.examining import examine


class Depth(Enum):
    """How far to ask."""

    FIRST_PROOF = "until the first proof of tampering"
    ALL = "every sample"


class Course:
    """What was found by now, and whether it is enough.

    Args:
        fingerprint: What is asked.
        depth: Whether the first proof of tampering is enough.
        silence: After how many questions in a row without an answer the endpoint is left alone.
        progress: Told after each sample how many were asked and how many there are.
    """

    def __init__(
        self,
        fingerprint: Fingerprint,
        *,
        depth: Depth,
        silence: float,
        progress: Callable[[int, int], None],
    ) -> None:
        self.fingerprint = fingerprint
        self.depth = depth
        self.silence = silence
        self.progress = progress
        self.found: dict[int, Evidence] = {}
        self.stop: Stop | None = None
        self._silent = 0

    def recall(self, number: int, answer: object) -> bool:
        """Takes what is known of a sample from earlier, and tells whether it is enough."""
        entry = self.found[number] = examine(self.fingerprint, number, answer)
        if entry.finding is Finding.DIFFERS and self.depth is Depth.FIRST_PROOF:
            self.stop = Stop.PROOF
        return self.stop is not None

    def take(self, number: int, answer: object) -> bool:
        """Takes what came of asking a sample, and tells whether it is enough."""
        if isinstance(answer, Unasked):
            if answer is Unasked.TIME_OVER:
                self.stop = self.stop or Stop.TIME
            return True
        if not is_cover(number, self.fingerprint):
            self.recall(number, answer)
        self._silent = self._silent + 1 if isinstance(answer, EndpointError) else 0
        if self._silent >= self.silence:
            self.stop = self.stop or Stop.SILENCE
        self.progress(len(self.found), len(self.fingerprint))
        return self.stop is not None


def patience(endpoint: Endpoint) -> float:
    """After how many questions in a row without an answer an endpoint is left alone.

    To look something up in a file costs nobody anything, and all that is in it has to be seen.
    """
    return inf if isinstance(endpoint, RecordedEndpoint) else float(NO_ANSWERS)


def ask_in_turn(asker: Asker, numbers: Iterable[int], take: Callable[[int, object], bool]) -> None:
    """Asks samples one after another, until what came is enough."""
    for number in numbers:
        if take(number, asker.ask(number)):
            return


def ask_at_once(
    asker: Asker, numbers: Iterable[int], take: Callable[[int, object], bool], *, workers: int
) -> None:
    """Asks several samples at the same time, until what came is enough.

    Those that are under way then are still taken. The first sample is asked alone: an endpoint
    that opens its connection or reads about its model with the first question does so once, and
    one that is not there is not met by many questions.
    """
    waiting, width, enough = deque(numbers), 1, False
    running: dict[Future[object], int] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            while running or (waiting and not enough):
                while waiting and not enough and len(running) < width:
                    number = waiting.popleft()
                    running[pool.submit(asker.ask, number)] = number
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    enough = take(running.pop(future), future.result()) or enough
                width = workers
                if enough:
                    asker.end()
        finally:
            asker.end()  # whatever went wrong, no wait between two tries goes on
