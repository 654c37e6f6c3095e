"""What a provider gains that spots samples, or answers some queries from a clean copy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.responses import Responses, is_graded
from modelseal.evaluation.separation import Separation
from modelseal.evaluation.spotting.gaining import (
    breaking_share,
    count_noticing,
    power_of,
    power_of_routing,
)
from modelseal.evaluation.trial import Suspicion
from modelseal.shapes import Mask

COUNTS = (1, 8, 16, 32, 64)
"""How many samples a set has, as far as there are so many."""

STEPS = 20
"""Shares of queries are multiples of one in so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """How well one detector tells one method's samples from natural inputs.

    Args:
        method: Who made the samples.
        separation: How well it does.
    """

    method: str
    separation: Separation


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """What is left of the power against a provider that answers a share of all queries cleanly.

    Over all changes of families of one, each counted once; sets are drawn at random.

    Args:
        method: Who made the samples.
        samples: How many a set has.
        powers: Pairs of a share and the power that is left.
        breaking: The largest share at which the power is still 95 %; 0 if it is so at none.
    """

    method: str
    samples: int
    powers: tuple[tuple[float, float], ...]
    breaking: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """What is left of the power against a provider that answers suspicious queries cleanly.

    Over the samples that the detector was tried on.

    Args:
        method: Who made the samples.
        detector: What the provider suspects by.
        false_rate: The share of natural inputs that it may take for samples.
        samples: How many a set has.
        power: What is left.
        unspotted: The power against a provider that suspects nothing.
    """

    method: str
    detector: str
    false_rate: float
    samples: int
    power: float
    unspotted: float


def list_sightings(found: Suspicion) -> tuple[Sighting, ...]:
    """How well each detector does."""
    return tuple(
        Sighting(method=found.subject.method, separation=each) for each in found.separations
    )


def measure_sharing(responses: Responses) -> tuple[Sharing, ...]:
    """The power that sharing leaves, by number of samples; nothing without a change."""
    rows = split(responses)
    if not rows:
        return ()
    shares = [step / STEPS for step in range(STEPS + 1)]
    measured = []
    for count in fitting(responses.changed.shape[1]):
        chances = np.mean([count_noticing(each.changed, count) for each in rows], axis=0)
        measured.append(
            Sharing(
                method=responses.method,
                samples=count,
                powers=tuple((share, power_of(chances, share)) for share in shares),
                breaking=breaking_share(partial(power_of, chances)),
            )
        )
    return tuple(measured)


def measure_routing(responses: Responses, found: Suspicion) -> tuple[Routing, ...]:
    """The power that routing leaves, by rate of false positives and number of samples.

    Raises:
        InvalidArgumentError: Detectors were tried on samples that do not exist.
    """
    rows, tried = split(responses), list(found.tried)
    if max(tried, default=-1) >= responses.changed.shape[1]:
        raise InvalidArgumentError(
            f"detectors need samples with numbers below {responses.changed.shape[1]}, but were "
            f"tried on {max(tried)}"
        )
    if not rows or found.reason:
        return ()
    best = next(each for each in found.separations if each.detector == found.detector)
    scores = np.array(found.scores)
    return tuple(
        Routing(
            method=responses.method,
            detector=found.detector,
            false_rate=rate.false_rate,
            samples=count,
            power=mean_routed(rows, tried, scores > rate.threshold, count),
            unspotted=mean_routed(rows, tried, np.zeros(len(tried), bool), count),
        )
        for rate in best.rates
        for count in fitting(len(tried))
    )


def mean_routed(rows: Sequence[Responses], tried: list[int], suspected: Mask, count: int) -> float:
    """The power that is left where some samples are suspected; each change counts once."""
    return float(
        np.mean([power_of_routing(each.changed[:, tried], suspected, count) for each in rows])
    )


def split(responses: Responses) -> tuple[Responses, ...]:
    """The samples with the trials of each family of one."""
    return tuple(
        responses.only(lambda trial: not is_graded(trial)).split(lambda trial: trial.name).values()
    )


def fitting(samples: int) -> tuple[int, ...]:
    """The sizes of sets that so many samples are enough for."""
    return tuple(count for count in COUNTS if count <= samples)
