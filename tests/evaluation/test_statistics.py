import pytest
from evaluated import refused, samples, trial
from hypothesis import given
from hypothesis import strategies as st

from modelseal.evaluation.metrics import (
    compare,
    count_misses,
    detect,
    form,
    list_not_applied,
    single_row,
)
from modelseal.evaluation.responses import gather

PICKS = {"manc": ((0, 1), (2, 3))}


def test_a_row_counts_every_sample_in_every_applied_trial():
    trials = [trial("1100"), trial("0001", seed=1), refused(seed=2), trial("1111", name="ftll")]
    first, second = detect(gather(samples(), trials))
    assert (first.change, first.level, first.samples, first.trials) == ("ftal", None, 4, 2)
    assert (first.share.part, first.share.whole) == (3, 8)
    assert (second.change, second.share.value) == ("ftll", 1.0)


def test_each_level_is_a_row_of_its_own():
    trials = [trial("1000", name="noise", level=level) for level in (0.5, 0.25)]
    assert [each.level for each in detect(gather(samples(), trials))] == [0.5, 0.25]


def test_a_method_without_samples_has_no_rows():
    none = samples(psnr=(), margins=(), moves=(), picks={})
    assert detect(gather(none, [trial("")])) == ()


@given(st.lists(st.text("01", min_size=4, max_size=4), min_size=1, max_size=6), st.integers(1, 9))
def test_missed_sets_are_those_of_counting_them_one_by_one(rows, number):
    found = gather(samples(picks=PICKS), [trial(row, seed=at) for at, row in enumerate(rows)])
    (row,) = count_misses(found, "manc", samples=number)
    sets = [[line[pick] for pick in bag[:number]] for line in rows for bag in PICKS["manc"]]
    assert row.sets.part == sum("1" not in each for each in sets)
    assert (row.sets.whole, row.samples) == (len(sets), min(number, 2))


def test_graded_families_and_rules_without_bags_have_no_missed_sets():
    found = gather(samples(picks=PICKS), [trial("0000", name="noise", level=0.5)])
    assert count_misses(found, "manc", samples=2) == ()
    assert count_misses(gather(samples(), [trial("0000")]), "random", samples=2) == ()


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


def rows(**shares):
    """Methods that were asked about the same one network."""
    return [answers(method.replace("_", ":"), (part, {})) for method, part in shares.items()]


def test_a_row_is_compared_with_the_best_other_method_on_the_levels():
    (row,) = compare(rows(natural=2, boundary=9, ibsf=5, ibsf_float=10))
    assert (row.ours, row.best, row.rival) == (0.9, 0.5, "ibsf")
    assert row.lead == pytest.approx(0.4)


def test_the_lead_is_below_0_where_another_method_is_ahead_and_0_where_both_are_even():
    assert compare(rows(boundary=5, ascent=6))[0].lead < 0
    assert compare(rows(boundary=5, ascent=5))[0].lead == 0


def test_a_row_that_only_one_of_them_has_is_not_compared():
    assert compare(rows(boundary=5)) == ()
    assert compare(rows(ascent=5, natural=3)) == ()
    assert compare(rows(boundary=5, ascent_float=6)) == ()


def test_only_networks_that_both_were_asked_about_are_compared():
    ours = answers("boundary", (10, {"seed": 0}), (0, {"seed": 1}), (0, {"seed": 2}))
    (row,) = compare([ours, answers("ascent", (8, {"seed": 0}))])
    assert (row.ours, row.best) == (1.0, 0.8)
    assert compare([ours, answers("ascent", (8, {"seed": 3}))]) == ()


def test_the_rival_is_the_one_that_is_nearest_on_its_own_networks():
    ours = answers("boundary", (10, {"seed": 0}), (4, {"seed": 1}))
    high = answers("ascent", (9, {"seed": 0}))
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


@pytest.mark.parametrize(("method", "wanted"), [("ibsf", ""), ("ibsf:float", "float")])
def test_the_form_of_a_method_stands_behind_its_colon(method, wanted):
    assert form(method) == wanted
