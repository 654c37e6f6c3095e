"""On what terms an endpoint whose answers vary is judged."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.enrolment import Enrolment
from modelseal.shapes import PerInput
from modelseal.verifying.sequential import HALF, bound_all, estimate, spend

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


def apply(terms: Terms, enrolment: Enrolment, *, samples: int) -> Levels:
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
