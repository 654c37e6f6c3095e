"""How well a score tells samples from natural inputs."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.intervals import CONFIDENCE, Share, measure
from modelseal.types import Array

FALSE_RATES = (0.01, 0.05)
"""The shares of natural inputs that a detector may take for samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """How many samples a detector finds that takes few natural inputs for samples.

    Args:
        false_rate: The largest share of natural inputs that may be taken for samples.
        threshold: The score above which an input is taken for one.
        found: The samples above it.
    """

    false_rate: float
    threshold: float
    found: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Separation:
    """How well one detector tells samples from natural inputs.

    Args:
        detector: Its name.
        auc: How often a sample has a higher score than a natural input, of all pairs; ties count
            half. 0.5 is chance.
        low: The lower end of its 95 % interval.
        high: The upper end.
        samples: How many samples had scores.
        naturals: How many natural inputs had.
        rates: What it finds at each rate of false positives.
    """

    detector: str
    auc: float
    low: float
    high: float
    samples: int
    naturals: int
    rates: tuple[Rate, ...]


def separate(detector: str, samples: Array, naturals: Array) -> Separation:
    """How well scores tell the two apart.

    Args:
        detector: The name of what gave the scores.
        samples: The scores of samples: the higher the more suspicious.
        naturals: The scores of natural inputs.

    Raises:
        InvalidArgumentError: There are fewer than two of one kind, or a score is no number.
    """
    for scores in (samples, naturals):
        if len(scores) < 2 or not np.isfinite(scores).all():
            raise InvalidArgumentError(
                f"at least two finite scores of each kind were wanted, but {detector} gave "
                f"{int(np.isfinite(scores).sum())} of {len(scores)}"
            )
    auc, low, high = measure_auc(samples, naturals)
    return Separation(
        detector=detector,
        auc=auc,
        low=low,
        high=high,
        samples=len(samples),
        naturals=len(naturals),
        rates=tuple(find_at(rate, samples, naturals) for rate in FALSE_RATES),
    )


def measure_auc(samples: Array, naturals: Array) -> tuple[float, float, float]:
    """The area under the ROC curve with the 95 % interval of DeLong et al. (1988).

    With ψ(x, y) = 1 if x > y, 1/2 if x = y and else 0, the area is the mean of ψ over all m · n
    pairs. A_i is the mean of ψ over the natural inputs for sample i, B_j that over the samples
    for natural input j; the variance is var(A) / m + var(B) / n, with m - 1 and n - 1 below.

    Where no pair is the wrong way round the variance says nothing: then the lower end is
    1 - 3 / min(m, n), by the rule of three for the scarcer kind, and the same below 0.5.
    """
    above, below = placements(samples, naturals), 1 - placements(naturals, samples)
    auc = float(above.mean())
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    if variance == 0 and auc in {0.0, 1.0}:
        reach = min(1.0, 3 / min(len(samples), len(naturals)))
    else:
        reach = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * sqrt(variance)
    return auc, max(0.0, auc - reach), min(1.0, auc + reach)


def placements(scores: Array, others: Array) -> Array:
    """For each score the share of others below it, ties counted half."""
    ordered = np.sort(others)
    smaller = np.searchsorted(ordered, scores, side="left")
    smaller_or_same = np.searchsorted(ordered, scores, side="right")
    return (smaller + smaller_or_same) / (2 * len(others))


def find_at(false_rate: float, samples: Array, naturals: Array) -> Rate:
    """What is found by the lowest threshold that keeps a rate of false positives."""
    allowed = int(false_rate * len(naturals))
    threshold = float(np.sort(naturals)[::-1][allowed])
    found = measure(int((samples > threshold).sum()), len(samples))
    return Rate(false_rate=false_rate, threshold=threshold, found=found)
