"""What a fingerprint was seen to notice when it was sealed: its power, family by family."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, frexp, isfinite, lgamma, log, log1p

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.checking import check_range, check_text

MAX_DRAWS = 10_000
"""More copies than anybody makes; a bound keeps a hostile file from asking for time."""

CONFIDENCE = 0.95
"""How sure it is that a share is at least its lower bound."""

# Halving an interval within [0, 1] so often comes to the last digit of a float64.
HALVINGS = 60
# What is smaller, in shares of a sum, is lost when a float64 is added to it.
NEGLIGIBLE = 1e-17


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The smallest change of one family that a fingerprint noticed when it was sealed.

    The samples of the whole fingerprint were asked of changed copies of the sealed network; a
    copy is noticed if one answer differs. Where no size was noticed every time, it is the largest
    size that was tried, with how often that one was.

    Args:
        family: The kind of change, such as `Gaussian noise`.
        unit: What its size is counted in, such as `of each layer's spread`; None if the family
            has changes of one size only.
        level: The size, positive; a larger one is a larger change. None as the unit is.
        noticed: How many of the copies were noticed.
        draws: How many copies with changes of this size were made, from 1 to 10,000.
        fixed: Whether chance has no part in the change: then one copy is all that there are.

    Raises:
        InvalidArgumentError: A field is not what it should be; the error names it.
    """

    family: str
    unit: str | None = None
    level: float | None = None
    noticed: int
    draws: int
    fixed: bool = False

    def __post_init__(self) -> None:
        check_text(self.family, field="family")
        if self.unit is not None:
            check_text(self.unit, field="unit")
        check_level(self.level, unit=self.unit)
        check_range(self.draws, range(1, 2 if self.fixed else MAX_DRAWS + 1), field="draws")
        check_range(self.noticed, range(self.draws + 1), field="noticed")

    def __str__(self) -> str:
        size = "" if self.level is None else f" from {tell_level(self.level)} {self.unit}"
        return f"{self.family}{size}" + ("" if self.fixed else f" ({self.noticed} of {self.draws})")

    @property
    def at_least(self) -> float:
        """The share of such changes that is noticed, at the least, at 95 % confidence.

        It is the exact lower bound of Clopper and Pearson: the share at which so many or more of
        the draws would be noticed in 5 % of cases. If all n are, that is 0.05^(1/n), which passes
        0.95 from 59 draws on. Of a change in which chance has no part it is 1 or 0. It is rounded
        down to six digits, which are the same on every machine.
        """
        if self.fixed or not self.noticed:
            return float(self.noticed)
        return floor(lower_bound(self.noticed, self.draws) * 10**6) / 10**6


def check_level(level: float | None, *, unit: str | None) -> None:
    """Makes sure that a size is a positive finite number if it has a unit, and else none."""
    if level is not None and not (isfinite(level) and level > 0):
        raise InvalidArgumentError(
            f"a positive finite number was wanted, but {level!r} came", field="level"
        )
    if (level is None) != (unit is None):
        wanted = "no number" if unit is None else "a number"
        raise InvalidArgumentError(
            f"{wanted} was wanted for the unit {unit}, but {level} came", field="level"
        )


def tell_level(level: float) -> str:
    """A size as short text; powers of two as such.

    Examples:
        >>> tell_level(2.0**-14), tell_level(1.0), tell_level(0.3)
        ('2^-14', '1', '0.3')
    """
    fraction, exponent = frexp(level)
    power = exponent - 1
    return f"2^{power}" if fraction == 0.5 and power else f"{level:g}"


def tell_power(limits: Sequence[Limit]) -> str:
    """What was noticed every time, in part and never, in one line; empty if nothing was tried."""
    every = [limit for limit in limits if limit.noticed == limit.draws]
    never = [limit for limit in limits if not limit.noticed]
    part = [limit for limit in limits if 0 < limit.noticed < limit.draws]
    groups = {"": every, "in part: ": part, "not: ": never}
    told = (head + ", ".join(map(str, group)) for head, group in groups.items() if group)
    return "; ".join(told)


def lower_bound(noticed: int, draws: int) -> float:
    """The share at which so many or more of the draws would be noticed in 5 % of cases."""
    if noticed == draws:
        return float((1 - CONFIDENCE) ** (1 / draws))
    low, high = 0.0, noticed / draws
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rare = tail(noticed, draws, middle) <= 1 - CONFIDENCE
        low, high = (middle, high) if rare else (low, middle)
    return low


def tail(count: int, draws: int, share: float) -> float:
    """The chance that `count` or more of independent draws succeed, if a share of all does.

    The count is at least what is expected: from there on each term is smaller than the last.
    """
    term, total, number = exp(log_chance(count, draws, share)), 0.0, count
    while term > total * NEGLIGIBLE:
        total += term
        term *= (draws - number) / (number + 1) * share / (1 - share)
        number += 1
    return total


def log_chance(number: int, draws: int, share: float) -> float:
    """The logarithm of the binomial chance n! / (k! (n - k)!) p^k (1 - p)^(n - k)."""
    ways = lgamma(draws + 1) - lgamma(number + 1) - lgamma(draws - number + 1)
    return ways + number * log(share) + (draws - number) * log1p(-share)
