"""Asking one question: paced, again after faults that pass, and noted."""

from enum import Enum
from math import inf
from threading import Event, Lock
from typing import cast

import numpy as np

from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.retrying import ask_patiently, back_off
from modelseal.errors import EndpointError
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.shapes import Codes
from modelseal.verdict import Finding
from modelseal.verifying.covering import is_cover, take_question
from modelseal.verifying.examining import examine
from modelseal.verifying.manners import Faces, Manners, forget


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
