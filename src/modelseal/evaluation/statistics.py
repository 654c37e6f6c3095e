"""What is counted of an evaluation, one kind of fact after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelseal.evaluation.curves import count_missed
from modelseal.evaluation.intervals import Share, measure
from modelseal.evaluation.responses import Responses, is_graded
from modelseal.evaluation.trial import Trial

OURS = "boundary"
"""The method that is compared with all others."""


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
    """One row: our single samples and the best other method's of the same form.

    Args:
        change: The row.
        level: Of a graded family; None for a family of one, or for all levels together.
        ours: How often one of our samples notices.
        best: How often one of the best other method's does.
        rival: That method.
        lead: `ours - best`.
    """

    change: str
    level: float | None
    ours: float
    best: float
    rival: str
    lead: float


def detect(responses: Responses) -> tuple[Detection, ...]:
    """How often single samples notice each change, at each of its levels."""
    rows = responses.split(lambda trial: (trial.name, trial.level))
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


def pool(detections: Sequence[Detection]) -> tuple[Detection, ...]:
    """The same detections with all levels of a family as one row."""
    rows: dict[tuple[str, str], list[Detection]] = {}
    for each in detections:
        rows.setdefault((each.method, each.change), []).append(each)
    return tuple(
        Detection(
            method=method,
            change=change,
            level=None,
            samples=members[0].samples,
            trials=sum(each.trials for each in members),
            share=measure(
                sum(each.share.part for each in members),
                sum(each.share.whole for each in members),
            ),
        )
        for (method, change), members in rows.items()
    )


def compare(detections: Sequence[Detection]) -> tuple[Comparison, ...]:
    """Each row of our samples beside the best other method of the same form.

    A row that only one of them has is left out.

    Args:
        detections: Of all methods, one for each row.
    """
    rows: dict[tuple[str, float | None], dict[str, float]] = {}
    for each in detections:
        if form(each.method) == form(OURS):
            rows.setdefault((each.change, each.level), {})[each.method] = each.share.value
    return tuple(
        contrast(change, level, shares)
        for (change, level), shares in rows.items()
        if OURS in shares and len(shares) > 1
    )


def contrast(change: str, level: float | None, shares: dict[str, float]) -> Comparison:
    """One row of which ours and at least one other method are known."""
    ours = shares[OURS]
    best, rival = max((value, name) for name, value in shares.items() if name != OURS)
    return Comparison(
        change=change, level=level, ours=ours, best=best, rival=rival, lead=ours - best
    )


def form(method: str) -> str:
    """What kind of input the samples are: `float`, or nothing for those on the levels.

    Examples:
        >>> form("ibsf:float"), form("ibsf")
        ('float', '')
    """
    return method.partition(":")[2]
