"""How detection grows with the number of samples, and with the size of a change."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from modelseal.display import BIT
from modelseal.evaluation.responses import Noticed, Responses, identify, is_graded
from modelseal.evaluation.results import Trial
from modelseal.intervals import Share, measure
from modelseal.types import PerInput

POWER = 0.95
"""The share of sets that must notice a change for it to count as detected."""

BIT_GROUPS = {
    "sign": (31,),
    "exponent": tuple(range(23, 31)),
    "top four mantissa bits": tuple(range(19, 23)),
    "all of these": tuple(range(19, 32)),
}
"""Bits of a float32 weight that are told together."""

# A share of 1/n summed in two orders differs by rounding: so much is no difference.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingCurve:
    """How often sets of the first 1, 2, 3 ... picks of a rule miss a change without levels."""

    method: str
    rule: str
    points: tuple[Share, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _GradedPoint:
    """How many sets notice one level of a family, of all pairs of a trial and a bag."""

    level: float
    sets: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class GradedCurve:
    """How often each level of a graded family is noticed, by rising level.

    `smallest` is the smallest level such that at it and at every larger one at least 95 % of the
    sets notice; None if the largest is not noticed so often, and for single bits, whose numbers
    are no sizes.
    """

    method: str
    rule: str
    family: str
    points: tuple[_GradedPoint, ...]
    smallest: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BitGroup:
    """How often flips of some bits are noticed; None without such flips.

    `effective` leaves out flips that changed no score of any input looked at.
    """

    method: str
    rule: str
    name: str
    sets: Share | None
    effective: Share | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Equivalent:
    """How many of `asked` natural images it takes to miss no more often than one sample.

    `change` is empty for all families of one together; `images` is None if not even all do.
    """

    method: str
    change: str
    missing: float
    images: int | None
    asked: int


def count_missed(noticed: Noticed) -> Share:
    """The share of sets that noticed nothing."""
    return measure(int((~noticed).sum()), noticed.size)


def _count_noticed(noticed: Noticed) -> Share | None:
    """The share of sets that noticed; None if there are none."""
    return measure(int(noticed.sum()), noticed.size) if noticed.size else None


def missing_curve(responses: Responses, rule: str, *, samples: int) -> MissingCurve | None:
    """Missing rate against number of samples, over every family of one; None without trials.

    Misses of one set's samples are correlated, so whole sets are counted: a set is missed where
    no sample of it changed its answer.
    """
    alone = responses.single
    numbers = range(1, min(samples, alone.reach(rule)) + 1)
    if not (numbers and alone.trials):
        return None
    points = tuple(count_missed(alone.notices(rule, number)) for number in numbers)
    return MissingCurve(method=alone.method, rule=rule, points=points)


def graded_curves(responses: Responses, rule: str, *, samples: int) -> tuple[GradedCurve, ...]:
    """Detection by sets of so many samples against level, for every graded family."""
    number = min(samples, responses.reach(rule))
    if not number:
        return ()
    families = responses.only(is_graded).split(lambda trial: trial.name)
    return tuple(_curve(members, rule, family, number) for family, members in families.items())


def _curve(members: Responses, rule: str, family: str, number: int) -> GradedCurve:
    levels = members.split(lambda trial: trial.level or 0.0)
    noticed = {level: levels[level].notices(rule, number) for level in sorted(levels)}
    points = tuple(
        _GradedPoint(level=level, sets=measure(int(each.sum()), each.size))
        for level, each in noticed.items()
    )
    smallest = None if family == BIT else _find_smallest(points)
    return GradedCurve(
        method=members.method, rule=rule, family=family, points=points, smallest=smallest
    )


def _find_smallest(points: Iterable[_GradedPoint]) -> float | None:
    """The level from which on, upwards, every level is detected with 95 % power."""
    smallest = None
    for point in reversed(tuple(points)):
        if point.sets.value < POWER:
            break
        smallest = point.level
    return smallest


def bit_groups(responses: Responses, rule: str, *, samples: int) -> tuple[BitGroup, ...]:
    """How often flips of the sign, exponent and top mantissa bits are noticed by sets."""
    flips = responses.only(lambda trial: trial.name == BIT and is_graded(trial))
    number = min(samples, flips.reach(rule))
    if not (number and flips.trials):
        return ()

    def group(name: str) -> BitGroup:
        own = flips.only(lambda trial: trial.level in BIT_GROUPS[name])
        alive = own.only(lambda trial: trial.effect > 0)
        return BitGroup(
            method=flips.method,
            rule=rule,
            name=name,
            sets=_count_noticed(own.notices(rule, number)),
            effective=_count_noticed(alive.notices(rule, number)),
        )

    return tuple(map(group, BIT_GROUPS))


def miss_by_size(natural: Responses) -> PerInput:
    """How often random sets of 1, 2, 3 ... of the samples miss, on average over the trials.

    Sets are not drawn but counted, all of them: of n samples of which k changed in a trial,
    C(n - k, m) / C(n, m) of the sets of m have none of the k. That is what a mean over random
    sets of these very answers converges to, correlations between samples included, without the
    error of drawing.
    """
    size = natural.changed.shape[1]
    silent = (~natural.changed).sum(axis=1, keepdims=True)
    steps = np.arange(size)
    return np.asarray(np.cumprod((silent - steps).clip(0) / (size - steps), axis=1).mean(axis=0))


def compare_natural(
    responses: Responses, natural: Responses, change: str = ""
) -> Equivalent | None:
    """How many natural images miss no more often than one sample of a method.

    Over the changed networks of one row, or of all families of one, that both were asked about;
    None if there is none.
    """

    def shared(trial: Trial) -> bool:
        wanted = trial.name == change or not change
        return wanted and not is_graded(trial) and identify(trial) in common

    common = {identify(trial) for trial in responses.trials}
    common &= {identify(trial) for trial in natural.trials}
    ours, theirs = responses.only(shared), natural.only(shared)
    if not (ours.changed.size and theirs.changed.size):
        return None
    missing = float((~ours.changed).mean())
    enough = np.flatnonzero(miss_by_size(theirs) <= missing + _ROUNDING)
    return Equivalent(
        method=responses.method,
        change=change,
        missing=missing,
        images=int(enough[0]) + 1 if len(enough) else None,
        asked=theirs.changed.shape[1],
    )
