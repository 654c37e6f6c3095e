"""What is counted of an evaluation, one kind of fact after the other."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias, TypeVar

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.router import (
    Routing,
    Sharing,
    Sighting,
    measure_routing,
    measure_sharing,
)
from modelseal.evaluation.curves import (
    BitGroup,
    Equivalent,
    GradedCurve,
    MissingCurve,
    Responses,
    bit_groups,
    compare_natural,
    count_missed,
    graded_curves,
    identify,
    missing_curve,
    pair,
)
from modelseal.evaluation.plan import Subject
from modelseal.evaluation.results import SampleSet, Suspicion, Trial
from modelseal.intervals import Bound, Share, bound_above, measure

OURS = "boundary"
"""The method that is compared with all others."""

_NATURAL = "natural"

_RULES = ("detection", "manc", "random")

Row: TypeAlias = tuple[str, float | None]
"""A change and its level; no level for a family of one, or for all levels together."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """How often single samples notice one change, of all samples in all changed networks."""

    method: str
    change: str
    level: float | None
    samples: int
    trials: int
    share: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """How many sets miss a change of a family of one, of all pairs of a trial and a bag."""

    method: str
    rule: str
    change: str
    samples: int
    sets: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class _NotApplied:
    """Recipes of a row that did not reach their own goal; neither detected nor missed."""

    change: str
    level: float | None
    trials: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Comparison:
    """One row: our single samples beside those of the rival with the smallest lead over it."""

    change: str
    level: float | None
    ours: float
    best: float
    rival: str
    lead: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """How well the samples of one method do over the families of one.

    `mean` is how often a single sample notices, averaged over the rows; `missed` of `sets` are
    the sets that miss, by rule.
    """

    method: str
    changes: int
    mean: float
    worst: float
    worst_change: str
    missed: Mapping[str, int]
    sets: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Alarms:
    """False alarms of one method's samples in a harmless variant; empty for all together."""

    method: str
    variant: str
    alarms: int
    answers: int
    bound: Bound


@dataclass(frozen=True, kw_only=True, slots=True)
class _Quartiles:
    """Three values of a sorted row, each one of its own, so that infinite ones do no harm."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Quality:
    """What the samples of one method are and cost, as `SampleSet` has it."""

    method: str
    psnr: _Quartiles
    margins: tuple[float, ...]
    moves: tuple[float, ...]
    work: float

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.margins)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """All that is known of the samples for one network behind one kind of endpoint.

    Sets have `samples` samples. Methods come ours first, and those off the levels last. A graded
    family is one row of `comparisons`; `rows_lost` and `levels_lost` are where another method is
    ahead. `skipped` harmless variants and `unspotted` methods have their reasons.
    """

    network: str
    spec: str
    samples: int
    methods: tuple[str, ...]
    rules: tuple[str, ...]
    overviews: tuple[Overview, ...]
    qualities: tuple[_Quality, ...]
    detections: tuple[Detection, ...]
    missed: tuple[Missed, ...]
    curves: tuple[MissingCurve, ...]
    equivalents: tuple[Equivalent, ...]
    graded: tuple[GradedCurve, ...]
    bits: tuple[BitGroup, ...]
    alarms: tuple[_Alarms, ...]
    comparisons: tuple[_Comparison, ...]
    rows_lost: tuple[str, ...]
    levels_lost: tuple[_Comparison, ...]
    not_applied: tuple[_NotApplied, ...]
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
    """Counts an evaluation: one summary for each network and kind of endpoint."""
    if samples < 1:
        raise InvalidArgumentError(f"expected 1 sample or more in a set, got {samples}")
    groups: dict[tuple[str, str], list[Responses]] = {}
    for each in pair(sets, trials):
        subject = each.samples.subject
        groups.setdefault((subject.network, subject.spec), []).append(each)
    return tuple(
        _summarise_one(
            where,
            sorted(members, key=_order_methods),
            [t for t in trials if (t.subject.network, t.subject.spec) == where],
            {each.subject: each for each in suspicions},
            samples,
        )
        for where, members in sorted(groups.items())
    )


def _summarise_one(
    where: tuple[str, str],
    members: Sequence[Responses],
    trials: Sequence[Trial],
    suspicions: Mapping[Subject, Suspicion],
    samples: int,
) -> Summary:
    found = [(each, suspicions.get(each.samples.subject)) for each in members]
    suspected = [(each, suspicion) for each, suspicion in found if suspicion is not None]
    detections = _flat(detect(each) for each in members)
    comparisons = compare(members)
    chosen = [(each, rule) for each in members for rule in each.samples.picks]
    missed = _flat(count_misses(each, rule, samples=samples) for each, rule in chosen)
    return Summary(
        network=where[0],
        spec=where[1],
        samples=samples,
        methods=tuple(each.method for each in members),
        rules=_order_rules(rule for _, rule in chosen),
        overviews=_present(oversee(each.method, detections, missed) for each in members),
        qualities=_present(describe(each.samples) for each in members),
        detections=detections,
        missed=missed,
        curves=_present(missing_curve(each, rule, samples=samples) for each, rule in chosen),
        equivalents=_match_natural(members),
        graded=_flat(graded_curves(each, rule, samples=samples) for each, rule in chosen),
        bits=_flat(bit_groups(each, rule, samples=samples) for each, rule in chosen),
        alarms=_flat(count_alarms(each.samples) for each in members),
        comparisons=comparisons,
        rows_lost=tuple(each.change for each in comparisons if each.lead < 0),
        levels_lost=tuple(
            each
            for each in compare(members, single_row)
            if each.level is not None and each.lead < 0
        ),
        not_applied=list_not_applied(trials),
        skipped=tuple(dict.fromkeys(_flat(list(each.samples.skipped.items()) for each in members))),
        sightings=tuple(
            Sighting(method=each.method, separation=separation)
            for each, suspicion in suspected
            for separation in suspicion.separations
        ),
        unspotted=tuple((each.method, one.reason) for each, one in suspected if one.reason),
        sharings=_flat(map(measure_sharing, members)),
        routings=_flat(measure_routing(each, one) for each, one in suspected),
    )


def _whole_row(trial: Trial) -> Row:
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
    """How many sets of so many samples, or as many as a bag has, miss each family of one."""
    number = min(samples, responses.reach(rule))
    if not number:
        return ()
    return tuple(
        Missed(
            method=row.method,
            rule=rule,
            change=change,
            samples=number,
            sets=count_missed(row.notices(rule, number)),
        )
        for change, row in responses.families.items()
    )


def list_not_applied(trials: Iterable[Trial]) -> tuple[_NotApplied, ...]:
    """The rows with recipes that did not reach their goal, each network counted once."""
    failed: dict[Row, dict[tuple[str, int], str]] = {}
    for trial in trials:
        if trial.reason:
            row = failed.setdefault((trial.name, trial.level), {})
            row[trial.tampering, trial.seed] = trial.reason
    return tuple(
        _NotApplied(
            change=change,
            level=level,
            trials=len(networks),
            reasons=tuple(dict.fromkeys(networks.values())),
        )
        for (change, level), networks in failed.items()
    )


def compare(
    members: Sequence[Responses], row: Callable[[Trial], Row] = _whole_row
) -> tuple[_Comparison, ...]:
    """Each row of our samples beside the other method that comes nearest, or is most ahead.

    A row that only one of them has is left out. Two methods are compared on the changed networks
    that both were asked about: which networks those are makes more of a difference than which
    samples.
    """
    fitting = [each for each in members if _form(each.method) == _form(OURS)]
    rows = {each.method: each.split(row) for each in fitting if each.changed.size}
    ours = rows.pop(OURS, {})
    found = []
    for where, own in ours.items():
        pairs = _present(
            _contrast(where, own, each[where]) for each in rows.values() if where in each
        )
        # Of equal leads the name decides.
        found += sorted(pairs, key=lambda each: (each.lead, each.rival))[:1]
    return tuple(found)


def _contrast(where: Row, ours: Responses, theirs: Responses) -> _Comparison | None:
    """One row of two methods, on the networks that both were asked about; None without any."""
    common = set(map(identify, ours.trials)) & set(map(identify, theirs.trials))
    if not common:
        return None
    own, other = (
        float(each.only(lambda trial: identify(trial) in common).changed.mean())
        for each in (ours, theirs)
    )
    change, level = where
    return _Comparison(
        change=change, level=level, ours=own, best=other, rival=theirs.method, lead=own - other
    )


def _form(method: str) -> str:
    """What kind of input the samples are: `float`, or nothing for those on the levels."""
    return method.partition(":")[2]


def oversee(
    method: str,
    detections: Sequence[Detection],
    missed: Sequence[Missed],
    *,
    changes: Collection[str] | None = None,
) -> Overview | None:
    """Sums up one method over some rows, by default all families of one; None if it has none."""
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


def count_alarms(samples: SampleSet) -> tuple[_Alarms, ...]:
    """The false alarms in each harmless variant, which was asked every sample once, and in all."""
    size = len(samples)
    if not (size and samples.alarms):
        return ()
    counted = {**samples.alarms, "": sum(samples.alarms.values())}
    answers = {**dict.fromkeys(samples.alarms, size), "": size * len(samples.alarms)}
    return tuple(
        _Alarms(
            method=samples.subject.method,
            variant=variant,
            alarms=alarms,
            answers=answers[variant],
            bound=bound_above(alarms, answers[variant]),
        )
        for variant, alarms in counted.items()
    )


def describe(samples: SampleSet) -> _Quality | None:
    """What the samples are and cost; None if there are none."""
    if not len(samples):
        return None
    low, median, high = np.quantile(samples.psnr, [0.25, 0.5, 0.75], method="inverted_cdf").tolist()
    return _Quality(
        method=samples.subject.method,
        psnr=_Quartiles(low=low, median=median, high=high),
        margins=samples.margins,
        moves=samples.moves,
        work=samples.work,
    )


def _match_natural(members: Sequence[Responses]) -> tuple[Equivalent, ...]:
    natural = [each for each in members if each.method == _NATURAL]
    others = [each for each in members if each.method != _NATURAL]
    return _present(
        compare_natural(each, images, change)
        for images in natural
        for each in others
        for change in ("", *each.families)
    )


def _order_methods(responses: Responses) -> tuple[bool, bool, str]:
    method = responses.method
    return bool(_form(method)), not method.startswith(OURS), method


def _order_rules(rules: Iterable[str]) -> tuple[str, ...]:
    found = set(rules)
    return (*(rule for rule in _RULES if rule in found), *sorted(found - set(_RULES)))


def _flat(parts: Iterable[Sequence[_Item]]) -> tuple[_Item, ...]:
    return tuple(chain.from_iterable(parts))


def _present(items: Iterable[_Item | None]) -> tuple[_Item, ...]:
    return tuple(item for item in items if item is not None)
