"""All that is known of the samples for one network, counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.curves import (
    BitGroup,
    Equivalent,
    GradedCurve,
    MissingCurve,
    compare_natural,
    draw_graded,
    draw_missing,
    group_bits,
)
from modelseal.evaluation.harmless import Alarms, Quality, count_alarms, describe
from modelseal.evaluation.overview import Overview, oversee
from modelseal.evaluation.providing import (
    Routing,
    Sharing,
    Sighting,
    list_sightings,
    measure_routing,
    measure_sharing,
)
from modelseal.evaluation.responses import Responses, is_graded, pair
from modelseal.evaluation.statistics import (
    OURS,
    Comparison,
    Detection,
    Missed,
    NotApplied,
    compare,
    count_misses,
    detect,
    form,
    list_not_applied,
    single_row,
)
from modelseal.evaluation.trial import SampleSet, Subject, Suspicion, Trial

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
