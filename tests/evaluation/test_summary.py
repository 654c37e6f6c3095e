import pytest
from evaluated import everything, samples, subject, trial

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.metrics import summarise


@pytest.fixture(scope="module")
def whole():
    (found,) = summarise(*everything(("natural", "ibsf:float", "boundary", "ascent"), seeds=1))
    return found


def test_ours_comes_first_and_samples_off_the_levels_last(whole):
    assert whole.methods == ("boundary", "ascent", "natural", "ibsf:float")
    assert whole.rules == ("detection", "manc", "random")


def test_every_kind_of_fact_is_there_for_every_method_and_rule(whole):
    pairs = {(method, rule) for method in whole.methods for rule in whole.rules}
    for facts in (whole.curves, whole.missed, whole.graded, whole.bits):
        assert {(each.method, each.rule) for each in facts} == pairs
    for facts in (whole.qualities, whole.detections, whole.alarms, whole.overviews):
        assert {each.method for each in facts} == set(whole.methods)
    assert {each.method for each in whole.equivalents} == {*whole.methods} - {"natural"}
    assert [each.change for each in whole.not_applied] == ["clean-label"]


def test_a_row_of_the_comparison_is_a_change_however_many_levels_it_has(whole):
    changes = [each.change for each in whole.comparisons]
    assert len(changes) == len(set(changes)) == 19 + 6
    assert whole.rows_lost == tuple(each.change for each in whole.comparisons if each.lead < 0)


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


def test_without_natural_images_nothing_is_said_of_how_many_match():
    (found,) = summarise([samples()], [trial("1111")])
    assert (found.equivalents, found.comparisons, found.rows_lost) == ((), (), ())
    assert len(found.curves) == 1


def test_samples_without_any_trial_have_a_summary_all_the_same():
    (found,) = summarise([samples()], [])
    assert (len(found.qualities), len(found.alarms)) == (1, 2)
    assert (found.overviews, found.curves, found.graded, found.bits) == ((), (), (), ())


def test_unknown_rules_come_after_the_known_ones():
    picks = {"zeal": ((0,),), "random": ((0,),), "care": ((0,),)}
    (found,) = summarise([samples(picks=picks)], [])
    assert found.rules == ("random", "care", "zeal")


def test_without_results_there_is_no_summary_and_a_set_needs_a_sample():
    assert summarise([], []) == ()
    with pytest.raises(InvalidArgumentError, match="1 sample or more, but has 0"):
        summarise([], [], samples=0)
