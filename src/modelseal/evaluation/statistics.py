"""What is counted of an evaluation, one kind of fact after the other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modelseal.evaluation.curves import count_missed
from modelseal.evaluation.intervals import Share, measure
from modelseal.evaluation.responses import Responses, identify, is_graded
from modelseal.evaluation.trial import Trial

OURS = "boundary"
"""The method that is compared with all others."""

Row: TypeAlias = tuple[str, float | None]
"""A change and its level; no level for a family of one, or for all levels together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """How often single samples notice one change.

    Args:
        method: Who made the samples.
        change: The row, such as `ftal` or `noise`.
        level: Where it stands in a graded family; None for a family of one.
        samples: How many samples were asked.
        trials: How many changed networks they were asked of.
        share: The changed, of all samples in all trials.
    """

    method: str
    change: str
    level: float | None
    samples: int
    trials: int
    share: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """How many sets miss a change of a family of one.

    Args:
        method: Who made the samples.
        rule: How they were chosen.
        change: The row.
        samples: How many samples a set has.
        sets: The missed, of all pairs of a trial and a bag.
    """

    method: str
    rule: str
    change: str
    samples: int
    sets: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class NotApplied:
    """Recipes of a row that did not reach their own goal; neither detected nor missed.

    Args:
        change: The row.
        level: Where it stands in a graded family; None for a family of one.
        trials: How many networks.
        reasons: Why, each reason once.
    """

    change: str
    level: float | None
    trials: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One row: our single samples and the nearest other method's of the same form.

    Args:
        change: The row.
        level: Of a graded family; None for a family of one, or for all levels together.
        ours: How often one of our samples notices a network that both were asked about.
        best: How often one of the other method's does.
        rival: That method: the one with the smallest lead over it.
        lead: `ours - best`.
    """

    change: str
    level: float | None
    ours: float
    best: float
    rival: str
    lead: float


def whole_row(trial: Trial) -> Row:
    """The row of a trial, with all levels of a family as one."""
    return trial.name, None


def single_row(trial: Trial) -> Row:
    """The row of a trial at its level."""
    return trial.name, trial.level


def detect(responses: Responses) -> tuple[Detection, ...]:
    """How often single samples notice each change, at each of its levels."""
    rows = responses.split(single_row)
    return tuple(
        Detection(
            method=responses.method,
            change=change,
            level=level,
            samples=row.changed.shape[1],
            trials=row.changed.shape[0],
            share=measure(int(row.changed.sum()), row.changed.size),
        )
        for (change, level), row in rows.items()
        if row.changed.size
    )


def count_misses(responses: Responses, rule: str, *, samples: int) -> tuple[Missed, ...]:
    """How many sets miss each change of a family of one.

    Args:
        responses: The samples and their trials.
        rule: How the samples were chosen.
        samples: How many of a bag make a set; fewer if a bag has fewer.
    """
    number = min(samples, responses.reach(rule))
    if not number:
        return ()
    rows = responses.only(lambda trial: not is_graded(trial)).split(lambda trial: trial.name)
    return tuple(
        Missed(
            method=row.method,
            rule=rule,
            change=change,
            samples=number,
            sets=count_missed(row.notices(rule, number)),
        )
        for change, row in rows.items()
    )


def list_not_applied(trials: Iterable[Trial]) -> tuple[NotApplied, ...]:
    """The rows with recipes that did not reach their goal, each network counted once."""
    failed: dict[tuple[str, float | None], dict[tuple[str, int], str]] = {}
    for trial in trials:
        if trial.reason:
            row = failed.setdefault((trial.name, trial.level), {})
            row[trial.tampering, trial.seed] = trial.reason
    return tuple(
        NotApplied(
            change=change,
            level=level,
            trials=len(networks),
            reasons=tuple(dict.fromkeys(networks.values())),
        )
        for (change, level), networks in failed.items()
    )


def compare(
    members: Sequence[Responses], row: Callable[[Trial], Row] = whole_row
) -> tuple[Comparison, ...]:
    """Each row of our samples beside the other method that comes nearest, or is most ahead.

    A row that only one of them has is left out. Two methods are compared on the changed networks
    that both were asked about: which networks those are makes more of a difference than which
    samples.

    Args:
        members: The samples of every method with their trials.
        row: Where a trial belongs; by default all levels of a family are one row.
    """
    fitting = [each for each in members if form(each.method) == form(OURS)]
    rows = {each.method: each.split(row) for each in fitting if each.changed.size}
    ours = rows.pop(OURS, {})
    found = []
    for where, own in ours.items():
        pairs = [contrast(where, own, each[where]) for each in rows.values() if where in each]
        # Of equal leads the name decides.
        known = [(each.lead, each.rival, each) for each in pairs if each is not None]
        found += [min(known, key=lambda one: one[:2])[2]] if known else []
    return tuple(found)


def contrast(where: Row, ours: Responses, theirs: Responses) -> Comparison | None:
    """One row of two methods, on the networks that both were asked about; None without any."""
    common = set(map(identify, ours.trials)) & set(map(identify, theirs.trials))
    if not common:
        return None
    own, other = (
        float(each.only(lambda trial: identify(trial) in common).changed.mean())
        for each in (ours, theirs)
    )
    change, level = where
    return Comparison(
        change=change, level=level, ours=own, best=other, rival=theirs.method, lead=own - other
    )


def form(method: str) -> str:
    """What kind of input the samples are: `float`, or nothing for those on the levels.

    Examples:
        >>> form("ibsf:float"), form("ibsf")
        ('float', '')
    """
    return method.partition(":")[2]
