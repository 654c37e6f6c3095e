"""What a provider gains that serves a changed network and answers some queries from a clean copy.

`noticed` says of every changed network (a row) which samples (columns) it answers otherwise. Sets
of samples are drawn from the columns without repeats; nothing is taken to be independent that was
measured together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import Separation
from modelseal.evaluation.curves import POWER, Noticed, Responses
from modelseal.evaluation.results import Suspicion
from modelseal.intervals import HALVINGS
from modelseal.types import Array, Mask

COUNTS = (1, 8, 16, 32, 64)
"""How many samples a set has, as far as there are so many."""

_STEPS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """How well one detector tells one method's samples from natural inputs."""

    method: str
    separation: Separation


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """The power that is left if a share of all queries is answered from a clean copy.

    Over all changes of families of one, each counted once. `powers` are pairs of a share and the
    power; `breaking` is the largest share at which it is still 95 %, 0 if it is so at none.
    """

    method: str
    samples: int
    powers: tuple[tuple[float, float], ...]
    breaking: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """The power that is left if what a detector suspects is answered from a clean copy.

    Over the samples that the detector was tried on; `unspotted` if it suspects nothing.
    """

    method: str
    detector: str
    false_rate: float
    samples: int
    power: float
    unspotted: float


def measure_sharing(responses: Responses) -> tuple[Sharing, ...]:
    """The power that sharing leaves, by number of samples; nothing without a change."""
    rows = tuple(responses.families.values())
    if not rows:
        return ()
    shares = [step / _STEPS for step in range(_STEPS + 1)]
    measured = []
    for count in _fitting(responses.changed.shape[1]):
        chances = np.mean([_count_noticing(each.changed, count) for each in rows], axis=0)
        measured.append(
            Sharing(
                method=responses.method,
                samples=count,
                powers=tuple((share, _power_of(chances, share)) for share in shares),
                breaking=breaking_share(partial(_power_of, chances)),
            )
        )
    return tuple(measured)


def measure_routing(responses: Responses, found: Suspicion) -> tuple[Routing, ...]:
    """The power that routing leaves, by rate of false positives and number of samples."""
    rows, tried = tuple(responses.families.values()), list(found.tried)
    if max(tried, default=-1) >= responses.changed.shape[1]:
        raise InvalidArgumentError(
            f"expected samples below {responses.changed.shape[1]}, got one of {max(tried)} that "
            "detectors were tried on"
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
            power=_mean_power(rows, tried, scores > rate.threshold, count),
            unspotted=_mean_power(rows, tried, np.zeros(len(tried), bool), count),
        )
        for rate in best.rates
        for count in _fitting(len(tried))
    )


def _mean_power(rows: Sequence[Responses], tried: list[int], suspected: Mask, count: int) -> float:
    powers = [power_of_routing(each.changed[:, tried], suspected, count) for each in rows]
    return float(np.mean(powers))


def _fitting(samples: int) -> tuple[int, ...]:
    return tuple(count for count in COUNTS if count <= samples)


def power_of_sharing(noticed: Noticed, share: float, count: int) -> float:
    """How often a set notices a network whose provider answers a share of all queries cleanly.

    Each query goes to the clean copy with probability q, whatever it is. A set of n misses a
    network if all J of its samples that notice it went to the clean copy: the power is
    1 - E[q^J], averaged over networks.
    """
    if not 0 <= share <= 1:
        raise InvalidArgumentError(f"expected a share from 0 to 1, got {share:g}", field="share")
    return _power_of(_count_noticing(noticed, count), share)


def _power_of(chances: Array, share: float) -> float:
    """The power 1 - E[q^J] for a share q and the chances that J is 0, 1, 2 and so on."""
    return float(1 - (chances * share ** np.arange(len(chances))).sum())


def _count_noticing(noticed: Noticed, count: int) -> Array:
    """How probable it is that 0, 1, ..., n samples of a set notice, averaged over networks.

    Of a network that k of S samples notice, a set of n holds J of these with the hypergeometric
    probability C(k, J) C(S - k, n - J) / C(S, n).
    """
    trials, samples = noticed.shape
    if not trials or not 1 <= count <= samples:
        raise InvalidArgumentError(
            f"expected 1 to {samples} samples in a set and a network, got {count} and {trials} "
            "networks",
            field="count",
        )
    ways, chances = comb(samples, count), np.zeros(count + 1)
    numbers, networks = np.unique(noticed.sum(axis=1), return_counts=True)
    for noticing, weight in zip(numbers.tolist(), networks.tolist(), strict=True):
        for drawn in range(min(noticing, count) + 1):
            sets = comb(noticing, drawn) * comb(samples - noticing, count - drawn)
            chances[drawn] += weight / trials * (sets / ways)
    return chances


def power_of_routing(noticed: Noticed, suspected: Mask, count: int) -> float:
    """How often a set notices a network whose provider answers suspicious queries cleanly.

    A suspected sample notices nothing any more: with k of S samples that notice a network and are
    not suspected, the power is 1 - C(S - k, n) / C(S, n), averaged over networks.
    """
    if suspected.shape != noticed.shape[1:]:
        raise InvalidArgumentError(
            f"expected {noticed.shape[1]} answers of a detector, got {len(suspected)}",
            field="suspected",
        )
    return power_of_sharing(noticed & ~suspected, 0.0, count)


def breaking_share(power: Callable[[float], float], *, wanted: float = POWER) -> float:
    """The largest share of queries at which a power, which never rises, is still as wanted."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) >= wanted else (low, middle)
    return low
