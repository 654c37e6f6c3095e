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
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingCurve:
    """How often sets of the first 1, 2, 3 ... picks miss a change of the families of one.

    Args:
        method: Who made the samples.
        rule: How they were chosen.
        points: The missed of all pairs of a trial and a bag, for 1, 2, 3 ... samples.
    """

    method: str
    rule: str
    points: tuple[Share, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class GradedPoint:
    """How often one level of a family is noticed.

    Args:
        level: Where it stands in the family.
        sets: Noticing sets, of all pairs of a trial and a bag.
    """

    level: float
    sets: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class GradedCurve:
    """How often each level of a graded family is noticed.

    Args:
        method: Who made the samples.
        rule: How they were chosen.
        family: The family's name.
        points: By rising level.
        smallest: The smallest level such that at it and at every larger one at least 95 % of the
            sets notice; None if the largest is not noticed so often, and for single bits, whose
            numbers are no sizes.
    """

    method: str
    rule: str
    family: str
    points: tuple[GradedPoint, ...]
    smallest: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BitGroup:
    """How often flips of some bits are noticed.

    Args:
        method: Who made the samples.
        rule: How they were chosen.
        name: What the bits are called.
        sets: Noticing sets, of all pairs of a flip and a bag; None if no such flip was tried.
        effective: The same without flips that changed no score of any input looked at; None if
            there is no other.
    """

    method: str
    rule: str
    name: str
    sets: Share | None
    effective: Share | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Equivalent:
    """How many natural images it takes to miss no more often than one sample.

    Args:
        method: Who made the sample.
        change: The row; empty for all families of one together.
        missing: How often one sample misses.
        images: How many natural images; None if not even all of them do.
        asked: How many natural images were asked.
    """

    method: str
    change: str
    missing: float
    images: int | None
    asked: int


def count_missed(noticed: Noticed) -> Share:
    """The share of sets that noticed nothing."""
    return measure(int((~noticed).sum()), noticed.size)


def draw_missing(responses: Responses, rule: str, *, samples: int) -> MissingCurve | None:
    """Missing rate against number of samples, over every family of one; None without trials.

    Misses of one set's samples are correlated, so whole sets are counted: a set is missed where
    no sample of it changed its answer.

    Args:
        responses: The samples and their trials.
        rule: How the samples were chosen.
        samples: The largest number of samples.
    """
    alone = responses.only(lambda trial: not is_graded(trial))
    numbers = range(1, min(samples, alone.reach(rule)) + 1)
    if not (numbers and alone.trials):
        return None
    points = tuple(count_missed(alone.notices(rule, number)) for number in numbers)
    return MissingCurve(method=alone.method, rule=rule, points=points)


def draw_graded(responses: Responses, rule: str, *, samples: int) -> tuple[GradedCurve, ...]:
    """Detection against level, for every graded family with applied trials.

    Args:
        responses: The samples and their trials.
        rule: How the samples were chosen.
        samples: How many of a bag make a set.
    """
    number = min(samples, responses.reach(rule))
    if not number:
        return ()
    families = responses.only(is_graded).split(lambda trial: trial.name)
    return tuple(draw_family(members, rule, family, number) for family, members in families.items())


def draw_family(members: Responses, rule: str, family: str, number: int) -> GradedCurve:
    """Detection against level, of trials that are all of one family."""
    levels = members.split(lambda trial: trial.level or 0.0)
    points = tuple(draw_point(levels[level], rule, level, number) for level in sorted(levels))
    smallest = None if family == BIT else find_smallest(points)
    return GradedCurve(
        method=members.method, rule=rule, family=family, points=points, smallest=smallest
    )


def draw_point(responses: Responses, rule: str, level: float, number: int) -> GradedPoint:
    """Detection at one level, of trials that are all at that level."""
    noticed = responses.notices(rule, number)
    return GradedPoint(level=level, sets=measure(int(noticed.sum()), noticed.size))


def find_smallest(points: Iterable[GradedPoint]) -> float | None:
    """The smallest level from which on, upwards, every level is detected with 95 % power.

    Args:
        points: By rising level.
    """
    smallest = None
    for point in reversed(tuple(points)):
        if point.sets.value < POWER:
            break
        smallest = point.level
    return smallest


def group_bits(responses: Responses, rule: str, *, samples: int) -> tuple[BitGroup, ...]:
    """How often flips of the sign, exponent and top mantissa bits are noticed by sets.

    Args:
        responses: The samples and their trials.
        rule: How the samples were chosen.
        samples: How many of a bag make a set.
    """
    flips = responses.only(lambda trial: trial.name == BIT and is_graded(trial))
    number = min(samples, flips.reach(rule))
    if not (number and flips.trials):
        return ()

    return tuple(group(flips, rule, name, number) for name in BIT_GROUPS)


def group(responses: Responses, rule: str, name: str, number: int) -> BitGroup:
    """How often flips of one group are noticed by sets."""
    flips = responses.only(lambda trial: trial.level in BIT_GROUPS[name])
    alive = flips.only(lambda trial: trial.effect > 0)
    return BitGroup(
        method=flips.method,
        rule=rule,
        name=name,
        sets=count_noticed(flips.notices(rule, number)),
        effective=count_noticed(alive.notices(rule, number)),
    )


def count_noticed(noticed: Noticed) -> Share | None:
    """The share of sets that noticed; None if there are none."""
    return measure(int(noticed.sum()), noticed.size) if noticed.size else None


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

    Only changed networks that both were asked count; None if there is none.

    Args:
        responses: The method's samples and their trials.
        natural: The natural images and their trials.
        change: The row; empty for all families of one together.
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
    enough = np.flatnonzero(miss_by_size(theirs) <= missing + ROUNDING)
    return Equivalent(
        method=responses.method,
        change=change,
        missing=missing,
        images=int(enough[0]) + 1 if len(enough) else None,
        asked=theirs.changed.shape[1],
    )
