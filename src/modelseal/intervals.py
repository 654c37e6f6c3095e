"""How sure a counted share is."""

from dataclasses import dataclass
from enum import Enum
from math import sqrt
from statistics import NormalDist

import numpy as np

from modelseal.errors import InvalidArgumentError

CONFIDENCE = 0.95
"""Of every interval and bound."""

HALVINGS = 60
"""Halving [0, 1] this often leaves nothing that a float64 could tell apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A counted share with its 95 % Wilson interval.

    Args:
        part: How many counted.
        whole: Of how many, from 1.
        value: `part / whole`.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

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
    """What a share is at most, at 95 % confidence, one-sided.

    Args:
        value: The bound.
        rule: Where it comes from.
    """

    value: float
    rule: BoundRule


def measure(part: int, whole: int) -> Share:
    """A share with its interval.

    Raises:
        InvalidArgumentError: It is no share of anything.

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

    Raises:
        InvalidArgumentError: It is no share of anything.
    """
    check(part, whole)
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    share, square = part / whole, z * z / whole
    middle = share + square / 2
    reach = z * sqrt(share * (1 - share) / whole + square / (4 * whole))
    # Where nothing or all was counted the end is exact, but for a rounding error.
    low = 0.0 if part == 0 else (middle - reach) / (1 + square)
    high = 1.0 if part == whole else (middle + reach) / (1 + square)
    return low, high


def bound_above(part: int, whole: int) -> Bound:
    """The exact one-sided 95 % upper bound of a share.

    Of nothing counted it is the rule of three, 3 / whole: a little more than the exact
    1 - 0.05^(1 / whole), since -ln 0.05 is 2.996. Else it is the bound of Clopper and Pearson
    (1934), found by halving.

    Raises:
        InvalidArgumentError: It is no share of anything.
    """
    check(part, whole)
    if part == 0:
        return Bound(value=min(1.0, 3 / whole), rule=BoundRule.THREE)
    low, high = part / whole, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if tail(part, whole, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return Bound(value=high, rule=BoundRule.CLOPPER_PEARSON)


def tail(part: int, whole: int, share: float) -> float:
    """How probable it is that `part` or fewer of `whole` are counted, where each is by `share`.

    Σ_{k ≤ part} C(whole, k) share^k (1 - share)^(whole - k), by logarithms.
    """
    if share >= 1:
        return float(part >= whole)
    counts = np.arange(1, part + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((whole - counts + 1) / counts))])
    counts = np.arange(part + 1)
    logs = ways + counts * np.log(share) + (whole - counts) * np.log1p(-share)
    return float(np.exp(logs).sum())


def check(part: int, whole: int) -> None:
    """Makes sure that it is a share of something.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not 0 <= part <= whole or whole < 1:
        raise InvalidArgumentError(
            f"a share needs 0 to n of n, with n from 1, but is {part} of {whole}"
        )
