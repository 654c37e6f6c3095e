"""Asking samples: one query at its pace, again after faults that pass, or several at once."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from threading import Event, Lock
from time import monotonic
from typing import TypeAlias

import numpy as np

from modelseal.endpoints.endpoint import Endpoint, ask_with_retries, back_off
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.types import Array, Codes
from modelseal.verdict import Evidence, Finding
from modelseal.verification.judge import NO_ANSWERS, examine

_MOST_RETRIES = 100
"""At the longest mean wait that is three quarters of an hour for one query."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPolicy:
    """How an endpoint is queried.

    Args:
        retries: How often a query is sent again after a fault that may pass; from 0 to 100.
        timeout: How many seconds each answer may take, unless an endpoint.toml says otherwise;
            above 0. It counts where `verify` or `enroll` opens the endpoint.
        pace: The mean pause between queries in seconds, drawn anew each time; from 0.
        time_limit: For how many seconds queries are sent in all, natural images included; above
            0. The query that is under way then is still waited for.
        concurrency: How many queries are under way at once; from 1. With more than one the
            endpoint is asked from several threads.

    Raises:
        InvalidArgumentError: A number is out of its range; `field` names it.

    Examples:
        >>> QueryPolicy(retries=5, concurrency=4).retries
        5
    """

    retries: int = 3
    timeout: float = 30.0
    pace: float = 0.0
    time_limit: float = inf
    concurrency: int = 1

    def __post_init__(self) -> None:
        ranges = {
            "retries": (0 <= self.retries <= _MOST_RETRIES, f"a number from 0 to {_MOST_RETRIES}"),
            "timeout": (0 < self.timeout < inf, "seconds above 0"),
            "pace": (0 <= self.pace < inf, "seconds from 0"),
            "time_limit": (self.time_limit > 0, "seconds above 0"),
            "concurrency": (self.concurrency >= 1, "a number from 1"),
        }
        for name, (fits, expected) in ranges.items():
            if not fits:
                got = getattr(self, name)
                raise InvalidArgumentError(f"expected {expected}, got {got:g}", field=name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """What time it is in seconds, and how to wait for an event, but so many seconds at most."""

    now: Callable[[], float] = monotonic
    wait: Callable[[Event, float], object] = Event.wait


class Unasked(Enum):
    """Why a sample was not asked."""

    TIME_OVER = "the time limit was over"
    ENDED = "the asking had ended"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reply:
    """What came of one query."""

    answer: object
    evidence: Evidence | None

    @property
    def silent(self) -> bool:
        """Whether no answer came at all."""
        return isinstance(self.answer, EndpointError)


Note: TypeAlias = Callable[[int, Answers | EndpointError], None]
"""Is told a sample's number and its usable answer, or why there is none; one at a time."""

PickInputs: TypeAlias = Callable[[Fingerprint, int, np.random.Generator], Codes]
"""By which inputs a sample is asked, in this order, until one is not answered as expected."""


def sample_alone(fingerprint: Fingerprint, number: int, _: np.random.Generator) -> Codes:
    """The sample itself."""
    return fingerprint.samples[[number]]


def sample_and_neighbours(
    fingerprint: Fingerprint, number: int, generator: np.random.Generator
) -> Codes:
    """The sample and all its neighbours, in random order."""
    return generator.permutation(fingerprint.faces(number))


def sample_or_neighbour(
    fingerprint: Fingerprint, number: int, generator: np.random.Generator
) -> Codes:
    """The sample or one of its neighbours, by chance: every query is alike, under one bound."""
    faces = fingerprint.faces(number)
    return faces[[generator.integers(len(faces))]]


@dataclass(kw_only=True, eq=False)
class Querier:
    """Asks an endpoint the samples of a fingerprint, from any number of threads."""

    endpoint: Endpoint
    fingerprint: Fingerprint
    policy: QueryPolicy
    generator: np.random.Generator
    inputs: PickInputs = sample_alone
    decoys: Sequence[Array] = ()
    note: Note | None = None
    clock: Clock = field(default_factory=Clock)
    begun: float | None = None

    def __post_init__(self) -> None:
        self.asked: list[int] = []
        """What was asked, decoys among it, in the order of asking."""
        begun = self.clock.now() if self.begun is None else self.begun
        self._deadline = begun + self.policy.time_limit
        self._next = -inf
        self._ended = Event()
        self._lock = Lock()
        self._noting = Lock()

    @property
    def patience(self) -> float:
        """After how many queries in a row without an answer the endpoint is left alone.

        To look something up in a file costs nobody anything, and all that is in it has to be seen.
        """
        return inf if isinstance(self.endpoint, RecordedEndpoint) else float(NO_ANSWERS)

    def ask(self, number: int) -> Reply | Unasked:
        """Asks a sample or a decoy when its turn has come, and notes what came."""
        unasked = self.take_turn(number)
        if unasked is not None:
            return unasked
        samples = len(self.fingerprint)
        if number >= samples:
            return Reply(answer=self.send(self.decoys[number - samples]), evidence=None)
        reply = self._ask_sample(number)
        if self.note is not None and isinstance(reply, Reply) and reply.evidence is not None:
            reason = reply.evidence.reason
            usable = reply.answer if isinstance(reply.answer, Answers) and not reason else None
            with self._noting:
                self.note(number, usable or EndpointError(reason))
        return reply

    def _ask_sample(self, number: int) -> Reply | Unasked:
        with self._lock:
            inputs = self.inputs(self.fingerprint, number, self.generator)
        for place in range(len(inputs)):
            answer: object = EndpointError("not all neighbours were asked in time")
            if not place or self._rest(self._draw_pause()):
                answer = self.send(inputs[[place]])
            elif self._ended.is_set():
                return Unasked.ENDED
            evidence = examine(self.fingerprint, number, answer)
            if evidence.finding is not Finding.AGREES:
                break
        return Reply(answer=answer, evidence=evidence)

    def send(self, codes: Codes) -> object:
        """What an endpoint answers to inputs, or the EndpointError that stands for no answer.

        They are sent again after faults that pass, and after no other.
        """
        with self._lock:  # a generator of numpy must not be used by two threads at once
            waits = list(back_off(self.policy.retries, self.generator))
        try:
            return ask_with_retries(self.endpoint, codes, waits=waits, rest=self._rest)
        except EndpointError as error:
            return error

    def end(self) -> None:
        """Ends the asking: no query is begun any more, and no wait goes on."""
        self._ended.set()

    def take_turn(self, number: int) -> Unasked | None:
        """Waits until a query may be sent, a pause after the one before; or says why not."""
        with self._lock:
            start = max(self.clock.now(), self._next)
            if start >= self._deadline:
                return Unasked.TIME_OVER
            self._next = start + self._pause()
            self.asked.append(number)
        if self._rest(start - self.clock.now()):
            return None
        with self._lock:
            self.asked.remove(number)
        return Unasked.ENDED if self._ended.is_set() else Unasked.TIME_OVER

    def _draw_pause(self) -> float:
        with self._lock:
            return self._pause()

    def _pause(self) -> float:
        pace = self.policy.pace
        return float(self.generator.exponential(pace)) if pace else 0.0

    def _rest(self, seconds: float) -> bool:
        """Waits, and tells whether to go on; a wait that would end too late is not begun."""
        if self.clock.now() + seconds >= self._deadline:
            return False
        if seconds > 0:
            self.clock.wait(self._ended, seconds)
        return not self._ended.is_set()


def ask_all(
    querier: Querier,
    numbers: Sequence[int],
    is_enough: Callable[[Reply | Unasked], bool],
    *,
    concurrency: int,
) -> None:
    """Asks samples and decoys until what came is enough; what is under way then is still taken."""
    if concurrency == 1:
        any(is_enough(querier.ask(number)) for number in numbers)
        return
    waiting, width, enough = deque(numbers), 1, False
    running: set[Future[Reply | Unasked]] = set()
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            while running or (waiting and not enough):
                while waiting and not enough and len(running) < width:
                    running.add(pool.submit(querier.ask, waiting.popleft()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    enough = is_enough(future.result()) or enough
                width = concurrency
                if enough:
                    querier.end()
        finally:
            querier.end()  # whatever went wrong, no wait between two tries goes on
