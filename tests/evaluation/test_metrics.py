from math import inf

import pytest
from evaluated import everything, refused, samples, subject, trial
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.curves import gather
from modelseal.evaluation.metrics import (
    compare,
    count_alarms,
    count_misses,
    describe,
    detect,
    list_not_applied,
    oversee,
    single_row,
    summarise,
)
from modelseal.intervals import BoundRule

PICKS = {"manc": ((0, 1), (2, 3))}


def test_a_row_counts_every_sample_in_every_applied_trial():
    trials = [trial("1100"), trial("0001", seed=1), refused(seed=2), trial("1111", name="ftll")]
    first, second = detect(gather(samples(), trials))
    assert (first.change, first.level, first.samples, first.trials) == ("ftal", None, 4, 2)
    assert (first.share.part, first.share.whole) == (3, 8)
    assert (second.change, second.share.value) == ("ftll", 1.0)


@given(st.lists(st.text("01", min_size=4, max_size=4), min_size=1, max_size=6), st.integers(1, 9))
def test_missed_sets_are_those_of_counting_them_one_by_one(rows, number):
    found = gather(samples(picks=PICKS), [trial(row, seed=at) for at, row in enumerate(rows)])
    (row,) = count_misses(found, "manc", samples=number)
    sets = [[line[pick] for pick in bag[:number]] for line in rows for bag in PICKS["manc"]]
    assert row.sets.part == sum("1" not in each for each in sets)
    assert (row.sets.whole, row.samples) == (len(sets), min(number, 2))


def test_what_was_not_applied_is_named_once_for_all_methods_with_each_reason():
    trials = [
        refused(seed=0),
        refused("natural", seed=0),
        refused(seed=1),
        trial("1111", seed=2),
        refused(name="bit", level=3.0, reason="it broke"),
    ]
    first, second = list_not_applied(trials)
    assert (first.change, first.level, first.trials) == ("ftal", None, 2)
    assert first.reasons == ("the backdoor works on 0.31 of the inputs, 0.9 was wanted",)
    assert (second.change, second.level, second.reasons) == ("bit", 3.0, ("it broke",))


def answers(method, *trials):
    """A method's ten samples, of which so many notice each changed network."""
    return gather(
        samples(method, size=10),
        [trial("1" * part + "0" * (10 - part), method, **where) for part, where in trials],
    )


@pytest.mark.parametrize(
    ("shares", "found"),
    [
        ({"natural": 2, "boundary": 9, "ibsf": 5, "ibsf:float": 10}, [(0.9, 0.5, "ibsf", 0.4)]),
        ({"boundary": 5, "ascent": 6}, [(0.5, 0.6, "ascent", -0.1)]),
        ({"boundary": 5, "ascent": 5}, [(0.5, 0.5, "ascent", 0)]),
        ({"boundary": 5}, []),
        ({"ascent": 5, "natural": 3}, []),
        ({"boundary": 5, "ascent:float": 6}, []),
    ],
)
def test_a_row_is_compared_with_the_best_other_method_on_the_levels(shares, found):
    rows = compare([answers(method, (part, {})) for method, part in shares.items()])
    assert [(each.ours, each.best, each.rival, round(each.lead, 9)) for each in rows] == found


def test_only_networks_that_both_were_asked_about_are_compared():
    ours = answers("boundary", (10, {"seed": 0}), (4, {"seed": 1}), (0, {"seed": 2}))
    high = answers("ascent", (9, {"seed": 0}))
    (row,) = compare([ours, high])
    assert (row.ours, row.best) == (1.0, 0.9)
    assert compare([ours, answers("ascent", (8, {"seed": 3}))]) == ()
    (row,) = compare([ours, high, answers("natural", (5, {"seed": 1}))])
    assert (row.rival, row.ours, row.best) == ("natural", 0.4, 0.5)


def test_all_levels_of_a_family_are_one_row_or_one_each():
    half, quarter = ({"name": "noise", "level": level} for level in (0.5, 0.25))
    pair = answers("boundary", (10, half), (2, quarter)), answers("ascent", (4, half), (4, quarter))
    (row,) = compare(pair)
    assert (row.change, row.level, row.ours, row.best) == ("noise", None, 0.6, 0.4)
    assert [(each.level, each.ours) for each in compare(pair, single_row)] == [
        (0.5, 1.0),
        (0.25, 0.2),
    ]


def test_a_method_is_summed_up_over_its_rows_without_levels_each_counting_the_same():
    trials = [trial("1110"), trial("1111", seed=1), trial("0100", name="ftll")]
    trials.append(trial("0000", name="noise", level=0.5))
    responses = gather(samples(picks={"manc": ((0, 1), (2, 3)), "random": ((0,),)}), trials)
    missed = [
        each for rule in ("manc", "random") for each in count_misses(responses, rule, samples=1)
    ]
    found = oversee("boundary", detect(responses), missed)
    assert (found.changes, found.mean) == (2, (7 / 8 + 1 / 4) / 2)
    assert (found.worst, found.worst_change) == (0.25, "ftll")
    assert (found.missed, found.sets) == ({"manc": 2, "random": 1}, {"manc": 6, "random": 3})
    assert oversee("boundary", detect(responses), missed, changes=()) is None
    assert oversee("natural", (), ()) is None


def test_alarms_are_counted_by_variant_and_in_all_of_them():
    found = count_alarms(samples(alarms={"batch 1": 0, "threads 2": 1}))
    exact = BoundRule.CLOPPER_PEARSON
    assert [(each.variant, each.alarms, each.answers, each.bound.rule) for each in found] == [
        ("batch 1", 0, 4, BoundRule.THREE),
        ("threads 2", 1, 4, exact),
        ("", 1, 8, exact),
    ]
    none = samples(psnr=(), margins=(), moves=(), picks={})
    assert count_alarms(samples(alarms={})) == count_alarms(none) == ()
    assert describe(none) is None


def test_quartiles_are_values_of_the_row_whatever_its_order():
    found = describe(samples(size=5, psnr=(50.0, inf, 40.0, 20.0, 10.0)))
    assert (found.psnr.low, found.psnr.median, found.psnr.high) == (20.0, 40.0, 50.0)
    assert (found.samples, found.work, found.margins) == (5, 100.0, (1e-3,) * 5)
    assert describe(samples(psnr=(inf,) * 4)).psnr.median == inf


def test_every_kind_of_fact_is_there_for_every_method_and_rule():
    (whole,) = summarise(*everything(("natural", "ibsf:float", "boundary", "ascent"), seeds=1))
    assert whole.methods == ("boundary", "ascent", "natural", "ibsf:float")
    assert whole.rules == ("detection", "manc", "random")
    pairs = {(method, rule) for method in whole.methods for rule in whole.rules}
    for facts in (whole.curves, whole.missed, whole.graded, whole.bits):
        assert {(each.method, each.rule) for each in facts} == pairs
    for facts in (whole.qualities, whole.detections, whole.alarms, whole.overviews):
        assert {each.method for each in facts} == set(whole.methods)
    assert {each.method for each in whole.equivalents} == {*whole.methods} - {"natural"}
    assert [each.change for each in whole.not_applied] == ["clean-label"]
    changes = [each.change for each in whole.comparisons]
    assert len(changes) == len(set(changes)) == 19 + 6


def test_lost_rows_and_lost_levels_are_named():
    noise = {"name": "noise"}
    trials = [
        trial("1000"),
        trial("1100", "natural"),
        trial("1111", **noise, level=0.5),
        trial("1110", "natural", **noise, level=0.5),
        trial("0000", **noise, level=0.25),
        trial("0000", "natural", **noise, level=0.25),
        trial("1000", **noise, level=0.125),
        trial("1100", "natural", **noise, level=0.125),
    ]
    (found,) = summarise([samples(), samples("natural")], trials)
    assert found.rows_lost == ("ftal",)
    assert [(each.change, each.level) for each in found.levels_lost] == [("noise", 0.125)]


def test_each_network_and_spec_has_a_summary_of_its_own():
    subjects = [subject(network="b"), subject(network="a", spec="topk:2"), subject(network="a")]
    sets = [samples(subject=each) for each in subjects]
    trials = [trial("1111", subject=subjects[0]), trial("0000", subject=subjects[1])]
    found = summarise(sets, trials)
    assert [(each.network, each.spec) for each in found] == [
        ("a", "top1"),
        ("a", "topk:2"),
        ("b", "top1"),
    ]
    assert [[d.share.value for d in each.detections] for each in found] == [[], [0.0], [1.0]]


def test_what_is_missing_is_not_told_and_a_set_needs_a_sample():
    (found,) = summarise([samples()], [trial("1111")])
    assert (found.equivalents, found.comparisons, found.rows_lost) == ((), (), ())
    assert len(found.curves) == 1
    graded = gather(samples(picks=PICKS), [trial("0000", name="noise", level=0.5)])
    assert count_misses(graded, "manc", samples=2) == count_misses(graded, "x", samples=2) == ()
    assert summarise([], []) == ()
    with pytest.raises(InvalidArgumentError, match="got 0"):
        summarise([], [], samples=0)
