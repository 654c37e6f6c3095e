"""What is counted of an evaluation, one kind of fact after the other."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias, TypeVar

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.provider import (
    Routing,
    Sharing,
    Sighting,
    list_sightings,
    measure_routing,
    measure_sharing,
)
from modelseal.evaluation.curves import (
    BitGroup,
    Equivalent,
    GradedCurve,
    MissingCurve,
    compare_natural,
    count_missed,
    draw_graded,
    draw_missing,
    group_bits,
)
from modelseal.evaluation.responses import Responses, identify, is_graded, pair
from modelseal.evaluation.results import SampleSet, Subject, Suspicion, Trial
from modelseal.evaluation.sample_quality import Alarms, Quality, count_alarms, describe
from modelseal.intervals import Share, measure

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """How well the samples of one method do over the families of one.

    Args:
        method: Who made the samples.
        changes: How many rows count.
        mean: How often a single sample notices, averaged over the rows.
        worst: The same in the worst row.
        worst_change: That row.
        missed: Missed sets over all rows, by rule.
        sets: How many sets there were, by rule.
    """

    method: str
    changes: int
    mean: float
    worst: float
    worst_change: str
    missed: Mapping[str, int]
    sets: Mapping[str, int]


def oversee(
    method: str,
    detections: Sequence[Detection],
    missed: Sequence[Missed],
    *,
    changes: Collection[str] | None = None,
) -> Overview | None:
    """Sums up one method over some rows; None if it has none of them.

    Args:
        method: Who made the samples.
        detections: How often single samples notice.
        missed: How many sets miss.
        changes: The rows that count, such as the sixteen of a benchmark; by default all families
            of one.
    """
    rows = {
        each.change: each.share.value
        for each in detections
        if each.method == method
        and each.level is None
        and (changes is None or each.change in changes)
    }
    if not rows:
        return None
    worst = min(rows, key=lambda change: rows[change])
    sets = [each for each in missed if each.method == method and each.change in rows]
    rules = dict.fromkeys(each.rule for each in sets)
    return Overview(
        method=method,
        changes=len(rows),
        mean=sum(rows.values()) / len(rows),
        worst=rows[worst],
        worst_change=worst,
        missed={rule: sum(each.sets.part for each in sets if each.rule == rule) for rule in rules},
        sets={rule: sum(each.sets.whole for each in sets if each.rule == rule) for rule in rules},
    )


NATURAL = "natural"
"""The method whose samples are the natural images themselves."""

RULES = ("detection", "manc", "random")
"""The rules of choosing that are known, in the order of being told."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """All that is known of the samples for one network behind one kind of endpoint.

    Args:
        network: The network's name.
        spec: What the endpoint shows, such as `top1`.
        samples: How many samples make a set.
        methods: The methods, ours first, and those off the levels last.
        rules: The rules by which samples were chosen.
        overviews: A line for each method.
        qualities: What the samples are and cost.
        detections: How often single samples notice each change at each level.
        missed: How many sets miss each change of a family of one.
        curves: Missing rate against number of samples.
        equivalents: How many natural images it takes to match one sample.
        graded: Detection against level, for each graded family.
        bits: Detection of flipped bits, in groups.
        alarms: False alarms.
        comparisons: Ours and the nearest other method; a graded family is one row.
        rows_lost: The rows of these in which another method is ahead.
        levels_lost: The single levels of graded families in which another method is ahead.
        not_applied: Recipes that did not reach their own goal.
        skipped: Harmless variants that could not be run, each with its reason.
        sightings: How well detectors tell samples from natural inputs.
        unspotted: The methods of which too little was there for that, each with the reason.
        sharings: What is left of the power if some queries are answered from a clean copy.
        routings: The same if those are that a detector suspects.
    """

    network: str
    spec: str
    samples: int
    methods: tuple[str, ...]
    rules: tuple[str, ...]
    overviews: tuple[Overview, ...]
    qualities: tuple[Quality, ...]
    detections: tuple[Detection, ...]
    missed: tuple[Missed, ...]
    curves: tuple[MissingCurve, ...]
    equivalents: tuple[Equivalent, ...]
    graded: tuple[GradedCurve, ...]
    bits: tuple[BitGroup, ...]
    alarms: tuple[Alarms, ...]
    comparisons: tuple[Comparison, ...]
    rows_lost: tuple[str, ...]
    levels_lost: tuple[Comparison, ...]
    not_applied: tuple[NotApplied, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    sightings: tuple[Sighting, ...] = ()
    unspotted: tuple[tuple[str, str], ...] = ()
    sharings: tuple[Sharing, ...] = ()
    routings: tuple[Routing, ...] = ()


def summarise(
    sets: Sequence[SampleSet],
    trials: Sequence[Trial],
    suspicions: Sequence[Suspicion] = (),
    *,
    samples: int = 8,
) -> tuple[Summary, ...]:
    """Counts an evaluation: one summary for each network and kind of endpoint.

    Args:
        sets: The samples of every subject.
        trials: What every changed network did to them.
        suspicions: How well they are told from natural inputs.
        samples: How many samples make a set, from 1.

    Raises:
        InvalidArgumentError: The number is too small, or sets and trials do not fit each other.
    """
    if samples < 1:
        raise InvalidArgumentError(f"a set needs 1 sample or more, but has {samples}")
    groups: dict[tuple[str, str], list[Responses]] = {}
    for each in pair(sets, trials):
        subject = each.samples.subject
        groups.setdefault((subject.network, subject.spec), []).append(each)
    return tuple(
        sum_up(
            network,
            spec,
            sorted(members, key=order_methods),
            [t for t in trials if (t.subject.network, t.subject.spec) == (network, spec)],
            {each.subject: each for each in suspicions},
            samples,
        )
        for (network, spec), members in sorted(groups.items())
    )


def sum_up(
    network: str,
    spec: str,
    members: Sequence[Responses],
    trials: Sequence[Trial],
    suspicions: Mapping[Subject, Suspicion],
    samples: int,
) -> Summary:
    """Counts what was asked of one network behind one kind of endpoint."""
    suspected = [
        (each, suspicions[each.samples.subject])
        for each in members
        if each.samples.subject in suspicions
    ]
    detections = flat(detect(each) for each in members)
    comparisons = compare(members)
    chosen = [(each, rule) for each in members for rule in each.samples.picks]
    missed = flat(count_misses(each, rule, samples=samples) for each, rule in chosen)
    return Summary(
        network=network,
        spec=spec,
        samples=samples,
        methods=tuple(each.method for each in members),
        rules=order_rules(rule for _, rule in chosen),
        overviews=present(oversee(each.method, detections, missed) for each in members),
        qualities=present(describe(each.samples) for each in members),
        detections=detections,
        missed=missed,
        curves=present(draw_missing(each, rule, samples=samples) for each, rule in chosen),
        equivalents=match_natural(members),
        graded=flat(draw_graded(each, rule, samples=samples) for each, rule in chosen),
        bits=flat(group_bits(each, rule, samples=samples) for each, rule in chosen),
        alarms=flat(count_alarms(each.samples) for each in members),
        comparisons=comparisons,
        rows_lost=tuple(each.change for each in comparisons if each.lead < 0),
        levels_lost=tuple(
            each
            for each in compare(members, single_row)
            if each.level is not None and each.lead < 0
        ),
        not_applied=list_not_applied(trials),
        skipped=tuple(dict.fromkeys(flat(list(each.samples.skipped.items()) for each in members))),
        sightings=flat(list_sightings(found) for _, found in suspected),
        unspotted=tuple((each.method, found.reason) for each, found in suspected if found.reason),
        sharings=flat(map(measure_sharing, members)),
        routings=flat(measure_routing(each, found) for each, found in suspected),
    )


def match_natural(members: Sequence[Responses]) -> tuple[Equivalent, ...]:
    """How many natural images match one sample of each other method; nothing without any."""
    natural = [each for each in members if each.method == NATURAL]
    others = [each for each in members if each.method != NATURAL]
    return present(
        compare_natural(each, images, change)
        for images in natural
        for each in others
        for change in ("", *list_changes(each))
    )


def list_changes(responses: Responses) -> tuple[str, ...]:
    """The families of one that were applied."""
    return tuple(dict.fromkeys(each.name for each in responses.trials if not is_graded(each)))


def order_methods(responses: Responses) -> tuple[bool, bool, str]:
    """What methods are sorted by: those on the levels first, and ours first of them."""
    method = responses.method
    return bool(form(method)), not method.startswith(OURS), method


def order_rules(rules: Iterable[str]) -> tuple[str, ...]:
    """Each rule once, the known ones first."""
    found = set(rules)
    return (*(rule for rule in RULES if rule in found), *sorted(found - set(RULES)))


def flat(parts: Iterable[Sequence[Item]]) -> tuple[Item, ...]:
    """Many rows as one."""
    return tuple(chain.from_iterable(parts))


def present(items: Iterable[Item | None]) -> tuple[Item, ...]:
    """Those that are there."""
    return tuple(item for item in items if item is not None)
