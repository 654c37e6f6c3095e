"""What samples answered, and how detection grows with their number and the size of a change."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import numpy as np
from jaxtyping import Bool

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.plan import Subject
from modelseal.evaluation.results import SampleSet, Trial
from modelseal.intervals import Share, measure
from modelseal.tabular import BIT
from modelseal.types import PerInput

_Changed: TypeAlias = Bool[np.ndarray, "trials samples"]
"""Whether each sample was answered otherwise by each changed network."""

Noticed: TypeAlias = Bool[np.ndarray, "trials bags"]
"""Whether each chosen set noticed each changed network."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Responses:
    """The samples of one subject and its applied trials: a row each, a column for each sample."""

    samples: SampleSet
    trials: tuple[Trial, ...]
    changed: _Changed

    @property
    def method(self) -> str:
        """The name of the method that made the samples."""
        return self.samples.subject.method

    def only(self, wanted: Callable[[Trial], bool]) -> "Responses":
        """The same samples with some of the trials."""
        return self._take([row for row, trial in enumerate(self.trials) if wanted(trial)])

    def split(self, key: Callable[[Trial], Key]) -> dict[Key, "Responses"]:
        """The same samples with the trials of each key, in the order of their first trials."""
        rows: dict[Key, list[int]] = {}
        for row, trial in enumerate(self.trials):
            rows.setdefault(key(trial), []).append(row)
        return {each: self._take(own) for each, own in rows.items()}

    def _take(self, rows: Sequence[int]) -> "Responses":
        trials = tuple(self.trials[row] for row in rows)
        return Responses(samples=self.samples, trials=trials, changed=self.changed[list(rows)])

    @property
    def single(self) -> "Responses":
        """The same samples with the trials of families of one."""
        return self.only(lambda trial: not _is_graded(trial))

    @property
    def families(self) -> "dict[str, Responses]":
        """The same samples with the trials of each family of one, by its name."""
        return self.single.split(lambda trial: trial.name)

    def reach(self, rule: str) -> int:
        """How many samples every bag has in the order of a rule; 0 if it has no bags."""
        return min(map(len, self.samples.picks.get(rule, ())), default=0)

    def notices(self, rule: str, number: int) -> Noticed:
        """Whether any of the first `number` picks of each bag was answered otherwise."""
        picks = np.array([bag[:number] for bag in self.samples.picks[rule]])
        return cast(Noticed, self.changed[:, picks].any(axis=-1))


def _is_graded(trial: Trial) -> bool:
    """Whether it belongs to a family of many levels."""
    return trial.level is not None


def identify(trial: Trial) -> Hashable:
    """The changed network, which trials of several methods share."""
    return (trial.name, trial.level, trial.seed, trial.tampering)


def gather(samples: SampleSet, trials: Iterable[Trial]) -> Responses:
    """What the applied ones of some trials say of these samples."""
    applied = tuple(trial for trial in trials if not trial.reason)
    size = len(samples)
    for trial in applied:
        if len(trial.changed) != size:
            raise InvalidArgumentError(
                f"expected {size} answers in a trial of {samples.subject}, one for each sample, "
                f"got {len(trial.changed)} of {trial.tampering}"
            )
    changed = np.array([trial.changed for trial in applied], dtype=bool)
    return Responses(samples=samples, trials=applied, changed=changed.reshape(len(applied), size))


def pair(sets: Sequence[SampleSet], trials: Sequence[Trial]) -> tuple[Responses, ...]:
    """The samples of every subject with its trials, in the order of the sets."""
    of: dict[Subject, list[Trial]] = {each.subject: [] for each in sets}
    if len(of) < len(sets):
        raise InvalidArgumentError("expected one set of samples for each subject, got two of one")
    for trial in trials:
        if trial.subject not in of:
            raise InvalidArgumentError(f"expected samples of {trial.subject}, got only trials")
        of[trial.subject].append(trial)
    return tuple(gather(each, of[each.subject]) for each in sets)


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
    """How often flips of some bits are noticed; None without such flips."""

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
    """Missing rate against number of samples, over every family of one; None without trials."""
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
    families = responses.only(_is_graded).split(lambda trial: trial.name)
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
    flips = responses.only(lambda trial: trial.name == BIT and _is_graded(trial))
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
    """How many natural images miss no more often than one sample of a method."""

    def shared(trial: Trial) -> bool:
        wanted = trial.name == change or not change
        return wanted and not _is_graded(trial) and identify(trial) in common

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
