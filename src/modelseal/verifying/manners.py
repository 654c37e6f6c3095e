"""How an endpoint is asked: how fast, how often, how long, and what is kept of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from threading import Event
from time import monotonic
from typing import TypeAlias

from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers
from modelseal.verifying.covering import Cover
from modelseal.verifying.terms import Terms

MOST_RETRIES = 100
"""At the longest mean wait that is three quarters of an hour for one question."""

Note: TypeAlias = Callable[[int, Answers | EndpointError], None]
"""Is told a sample's number and its usable answer, or why there is none."""


def forget(number: int, answer: Answers | EndpointError) -> None:
    """Is told of an answer and does nothing with it."""


class Faces(Enum):
    """By which inputs a sample is asked."""

    ITSELF = "itself alone"
    ALL = "itself and its neighbours"


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """What time it is, and how to let some of it pass.

    Args:
        now: Tells seconds since whenever.
        wait: Waits until an event is set, but so many seconds at most.
    """

    now: Callable[[], float] = monotonic
    wait: Callable[[Event, float], object] = Event.wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Manners:
    """How an endpoint is asked, and what is kept of it.

    Args:
        retries: How often a question is asked again after a fault that may pass; from 0 to
            100.
        pace: The mean pause between questions in seconds, drawn anew each time; from 0.
        time_limit: For how many seconds questions are asked in all; above 0. One that is under
            way then is still waited for.
        begun: Since when that counts, by the clock; by default from the first question.
        concurrency: How many questions are under way at once; from 1. With more than one the
            endpoint has to bear being asked from several threads.
        known: Answers of earlier, by sample, whose samples are not asked again, nor their
            neighbours.
        cover: Natural inputs that are asked among the samples, as `covering.draw_cover` gives them;
            their answers are neither judged nor noted.
        note: Is told every answer as soon as it came, from one thread at a time.
        clock: What time it is.
        chosen: The numbers of the samples to ask, each once; by default all. What a part of the
            samples rules out was never measured, so that the verdict does not say it.
        terms: How sure the verdict on an enrolled fingerprint must be.
        faces: Whether each sample of a fingerprint that is not enrolled is asked by itself, or by
            its neighbours as well.

    Raises:
        InvalidArgumentError: A field is not what it should be; the error names it.
    """

    retries: int = 3
    pace: float = 0.0
    time_limit: float = inf
    begun: float | None = None
    concurrency: int = 1
    known: Mapping[int, object] = field(default_factory=dict)
    cover: Cover = ()
    note: Note = forget
    clock: Clock = field(default_factory=Clock)
    chosen: tuple[int, ...] | None = None
    terms: Terms = field(default_factory=Terms)
    faces: Faces = Faces.ITSELF

    def __post_init__(self) -> None:
        if not 0 <= self.retries <= MOST_RETRIES:
            raise wrong(f"a number from 0 to {MOST_RETRIES}", self.retries, field="retries")
        if not 0 <= self.pace < inf:
            raise wrong("seconds from 0", self.pace, field="pace")
        if not self.time_limit > 0:
            raise wrong("seconds above 0", self.time_limit, field="time_limit")
        if self.concurrency < 1:
            raise wrong("a number from 1", self.concurrency, field="concurrency")
        if self.chosen is not None and not 0 < len(self.chosen) == len(set(self.chosen)):
            raise InvalidArgumentError(
                f"at least one sample was wanted, and each once, but {list(self.chosen)} came",
                field="chosen",
            )


def wrong(wanted: str, came: int | float, *, field: str) -> InvalidArgumentError:
    """The error for a field that is not what it should be."""
    return InvalidArgumentError(f"{wanted} was wanted, but {came:g} came", field=field)
