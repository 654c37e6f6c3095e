"""On what terms an endpoint whose answers vary is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf, isfinite
from threading import Event
from time import monotonic
from typing import TypeAlias

import numpy as np

from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.fingerprint.record import Enrollment
from modelseal.outputs.answers import Answers
from modelseal.types import PerInput
from modelseal.verification.decoys import Cover
from modelseal.verification.e_process import HALF, bound_all, estimate, spend

ALPHA = 0.01
"""The rate of false alarms that enrolment aims at: one in a hundred checks at the most."""

MISSED = 0.01
"""The probability at the most that a sample whose most frequent answer has changed passes.

A smaller one costs little: each factor of ten takes three or four more answers of every sample.
"""

QUERIES = 50
"""How many questions are asked at the most for each sample, by default.

Eight settle a sample that never differed at enrolment; one that differs in a fifth of all cases
is settled by 50 in nine of ten cases.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms an endpoint whose answers vary is judged.

    Args:
        alpha: The rate of false alarms at the most, above 0 and below 1, half of which is for an
            enrolment that misleads; by default that of the enrolment.
        queries: How many questions are asked at the most, from 1; by default 50 for each sample.
        look: The number of this look in a schedule of many, from 1: all looks together then raise
            a false alarm with a probability of alpha at the most. None for a check that stands
            alone.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    alpha: float | None = None
    queries: int | None = None
    look: int | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None and not (isfinite(self.alpha) and 0 < self.alpha < 1):
            raise InvalidArgumentError(
                f"a number above 0 and below 1 was wanted, but {self.alpha!r} came", field="alpha"
            )
        for name, number in (("queries", self.queries), ("look", self.look)):
            if number is not None and number < 1:
                raise InvalidArgumentError(
                    f"a number from 1 was wanted, but {number} came", field=name
                )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Levels:
    """What is compared with what: the terms as they apply to the samples of one enrolment.

    Args:
        alpha: The rate of false alarms at the most.
        bar: Which e-value is an alarm.
        bounds: What the p of each sample was at enrolment, at the most.
        estimates: What it was by estimate.
        queries: How many questions are asked at the most.
        look: The number of this look in a schedule.
    """

    alpha: float
    bar: float
    bounds: PerInput
    estimates: PerInput
    queries: int
    look: int | None


def apply(terms: Terms, enrolment: Enrollment, *, samples: int) -> Levels:
    """The terms as they apply to the samples of an enrolment.

    Args:
        terms: The terms.
        enrolment: How often each sample was asked there, and how often it differed.
        samples: How many of them are asked now.

    Raises:
        InvalidArgumentError: The enrolment asked too little for so few false alarms.
    """
    alpha = enrolment.alpha if terms.alpha is None else terms.alpha
    half, differing = alpha / 2, np.array(enrolment.differing)
    bounds = bound_all(differing, enrolment.repeats, risk=half, samples=enrolment.asked)
    if (bounds > HALF).any():
        worst = int(bounds.argmax())
        raise InvalidArgumentError(
            f"{enrolment.repeats} questions of each sample at enrolment are too few for a rate of "
            f"false alarms of {alpha:g}: of sample {worst}, {differing[worst]} answers differed, "
            f"which bounds their share by {bounds[worst]:.2g}, where 0.5 at the most was wanted; "
            "enrol with more"
        )
    return Levels(
        alpha=alpha,
        bar=1 / (half if terms.look is None else spend(half, terms.look)),
        bounds=bounds,
        estimates=estimate(differing, enrolment.repeats),
        queries=terms.queries or QUERIES * samples,
        look=terms.look,
    )


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
