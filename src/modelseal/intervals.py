"""How sure a counted share is: the intervals of Wilson and of Clopper and Pearson."""

from dataclasses import dataclass
from enum import Enum
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

from modelseal.errors import unexpected

CONFIDENCE = 0.95
"""Of every interval, and of every bound for which nothing else is said."""

HALVINGS = 60
"""Halving [0, 1] this often leaves nothing that a float64 could tell apart."""

# What is smaller, in shares of a sum, is lost when a float64 is added to it.
_NEGLIGIBLE = 1e-17


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A counted share `value`, which is `part / whole`, with its 95 % Wilson interval."""

    part: int
    whole: int
    value: float
    low: float
    high: float


class BoundRule(Enum):
    """Where an upper bound comes from."""

    THREE = "rule of three"
    """Nothing was counted: the bound is 3 / whole."""
    CLOPPER_PEARSON = "Clopper-Pearson"
    """The share at which so few or fewer are counted in 5 % of all repetitions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """What a share is at most, at 95 % confidence, one-sided, and where that comes from."""

    value: float
    rule: BoundRule


def measure(part: int, whole: int) -> Share:
    """A share with its interval.

    Examples:
        >>> measure(1, 4).value
        0.25
    """
    low, high = wilson(part, whole)
    return Share(part=part, whole=whole, value=part / whole, low=low, high=high)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927).

    With p = part / n and z the normal quantile, its ends are
    (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n). It stays within [0, 1] and has a width
    even where p is 0 or 1.
    """
    _check(part, whole)
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    share, square = part / whole, z * z / whole
    middle = share + square / 2
    reach = z * sqrt(share * (1 - share) / whole + square / (4 * whole))
    # Where nothing or all was counted the end is exact, but for a rounding error.
    low = 0.0 if part == 0 else (middle - reach) / (1 + square)
    high = 1.0 if part == whole else (middle + reach) / (1 + square)
    return low, high


def bound_above(part: int, whole: int) -> Bound:
    """The one-sided 95 % upper bound of a share; of nothing counted it is the rule of three.

    That is a little more than the exact 1 - 0.05^(1 / whole), since -ln 0.05 is 2.996.
    """
    _check(part, whole)
    if part == 0:
        return Bound(value=min(1.0, 3 / whole), rule=BoundRule.THREE)
    return Bound(value=upper_bound(part, whole), rule=BoundRule.CLOPPER_PEARSON)


def upper_bound(part: int, whole: int, *, risk: float = 1 - CONFIDENCE) -> float:
    """The exact upper bound of Clopper and Pearson (1934) on a probability.

    It is the p at which so few or fewer would be counted with a probability of `risk`, below 1/2:
    P(Bin(whole, p) ≤ part) = risk. A true p is above it with at most that probability.

    Examples:
        >>> round(upper_bound(0, 30), 4)
        0.095
    """
    _check(part, whole)
    if part == whole:
        return 1.0
    if not part:
        return 1 - exp(log(risk) / whole)
    low, high = part / whole, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rare = middle == 1 or tail(whole - part, whole, 1 - middle) <= risk
        low, high = (low, middle) if rare else (middle, high)
    # The upper end, so that rounding makes no bound too low.
    return high


def lower_bound(part: int, whole: int) -> float:
    """The exact 95 % lower bound of Clopper and Pearson on a probability."""
    return 1 - upper_bound(whole - part, whole)


def tail(count: int, draws: int, share: float) -> float:
    """The chance that `count` or more of independent draws succeed, if a share of all does.

    Σ_{k ≥ count} n! / (k! (n - k)!) p^k (1 - p)^(n - k). The count is at least what is expected:
    from there on each term is smaller than the last.
    """
    ways = lgamma(draws + 1) - lgamma(count + 1) - lgamma(draws - count + 1)
    term = exp(ways + count * log(share) + (draws - count) * log1p(-share))
    total, number = 0.0, count
    while term > total * _NEGLIGIBLE:
        total += term
        term *= (draws - number) / (number + 1) * share / (1 - share)
        number += 1
    return total


def _check(part: int, whole: int) -> None:
    if not 0 <= part <= whole or whole < 1:
        raise unexpected("0 to n of n, with n from 1", f"{part} of {whole}", field="part")
