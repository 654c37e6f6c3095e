"""Asking one question: paced, again after faults that pass, and noted."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from enum import Enum
from math import inf
from threading import Event, Lock
from typing import cast

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.endpoints.retries import ask_patiently, back_off
from modelseal.errors import EndpointError
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.types import Codes
from modelseal.verdict import Evidence, Finding
from modelseal.verification.decoys import is_cover, take_question
from modelseal.verification.judge import NO_ANSWERS, Stop, examine
from modelseal.verification.policy import Faces, Manners, forget


class Unasked(Enum):
    """Why a question was not asked."""

    TIME_OVER = "the time for all questions was over"
    ENDED = "the asking had ended"


class Asker:
    """Asks an endpoint the samples of a fingerprint, one at a time.

    It may be used from several threads. The time limit counts from when it is made, unless the
    manners say since when.

    Args:
        endpoint: What to ask.
        fingerprint: Whose samples.
        manners: How to ask.
        generator: The source of pauses and waits.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        fingerprint: Fingerprint,
        *,
        manners: Manners,
        generator: np.random.Generator,
    ) -> None:
        self.endpoint = endpoint
        self.fingerprint = fingerprint
        self.manners = manners
        self.clock = manners.clock
        begun = self.clock.now() if manners.begun is None else manners.begun
        self.deadline = begun + manners.time_limit
        self.asked: list[int] = []
        """The questions that were asked, cover among them, in the order of asking."""
        self._generator = generator
        self._next = -inf
        self._ended = Event()
        self._lock = Lock()
        self._noting = Lock()

    def ask(self, number: int) -> object:
        """Asks one sample when its turn has come, and notes what came.

        Returns:
            An answer of whatever form, the EndpointError that stands for none, or why the sample
            was not asked.
        """
        unasked = self.take_turn(number)
        if unasked is not None:
            return unasked
        answer = self.send_faces(number)
        if not isinstance(answer, Unasked):
            self.note(number, answer)
        return answer

    def send_faces(self, number: int) -> object:
        """Asks a sample, or it and its neighbours in random order as the manners say.

        Returns:
            What came for the first that did not agree with the sample's expected answer, or for
            the last; an EndpointError if the time was over before all were asked, and that the
            asking had ended if something else ended it.
        """
        if self.manners.faces is Faces.ITSELF or is_cover(number, self.fingerprint):
            return self.send(take_question(number, self.fingerprint, self.manners.cover))
        with self._lock:
            faces = self._generator.permutation(self.fingerprint.faces(number))
        answer = self.send(faces[[0]])
        for face in faces[1:]:
            if examine(self.fingerprint, number, answer).finding is not Finding.AGREES:
                break
            if not self.rest(self.pause()):
                if self._ended.is_set():
                    return Unasked.ENDED
                return EndpointError("not all neighbours were asked in time")
            answer = self.send(face[None])
        return answer

    def send(self, codes: Codes) -> object:
        """Asks inputs at once, and again after faults that pass; notes nothing.

        Returns:
            An answer of whatever form, or the EndpointError that stands for none.
        """
        try:
            return ask_patiently(self.endpoint, codes, waits=self.waits(), rest=self.rest)
        except EndpointError as error:
            return error

    def end(self) -> None:
        """Ends the asking: no question is begun any more, and no wait goes on."""
        self._ended.set()

    def take_turn(self, number: int) -> Unasked | None:
        """Waits until a question may be asked, a pause after the one before.

        Returns:
            Nothing, or why it may not be asked.
        """
        with self._lock:
            start = max(self.clock.now(), self._next)
            if start >= self.deadline:
                return Unasked.TIME_OVER
            self._next = start + self.draw_pause()
            self.asked.append(number)
        if self.rest(start - self.clock.now()):
            return None
        with self._lock:
            self.asked.remove(number)
        return Unasked.ENDED if self._ended.is_set() else Unasked.TIME_OVER

    def pause(self) -> float:
        """A pause between questions in seconds."""
        with self._lock:
            return self.draw_pause()

    def draw_pause(self) -> float:
        """The same for whoever holds the lock."""
        return float(self._generator.exponential(self.manners.pace)) if self.manners.pace else 0.0

    def waits(self) -> list[float]:
        """How long to wait after each fault of one question."""
        with self._lock:  # a generator of numpy must not be used by two threads at once
            return list(back_off(self.manners.retries, self._generator))

    def rest(self, seconds: float) -> bool:
        """Waits, and tells whether to go on.

        What would end after the time limit is not begun.
        """
        if self.clock.now() + seconds >= self.deadline:
            return False
        if seconds > 0:
            self.clock.wait(self._ended, seconds)
        return not self._ended.is_set()

    def note(self, number: int, answer: object) -> None:
        """Notes an answer that can be judged, or why it cannot."""
        if self.manners.note is forget or is_cover(number, self.fingerprint):
            return
        reason = examine(self.fingerprint, number, answer).reason
        usable = isinstance(answer, Answers) and not reason
        with self._noting:
            self.manners.note(number, cast(Answers, answer) if usable else EndpointError(reason))


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
