import numpy as np
import pytest
from evaluated import everything, samples, subject, trial

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.provider import list_sightings, measure_routing, measure_sharing
from modelseal.evaluation.adversary.routing import power_of_routing, power_of_sharing
from modelseal.evaluation.metrics import summarise
from modelseal.evaluation.responses import gather
from modelseal.evaluation.results import Suspicion
from modelseal.evaluation.roc import separate


def suspicion(tried, scores, method="boundary"):
    """A detector that takes 1 of 4 natural inputs for a sample, or none."""
    found = separate("noise level", np.array(scores), np.array([0.0, 0.1, 0.2, 0.5]))
    return Suspicion(
        subject=subject(method),
        separations=(found,),
        detector="noise level",
        tried=tuple(tried),
        scores=tuple(scores),
    )


def test_sharing_leaves_what_the_formula_says_averaged_over_changes_that_count_the_same():
    many = [trial("1" * 4 + "0" * 6, seed=seed) for seed in range(3)]
    other, graded = trial("1" * 10, name="ftll"), trial("0" * 10, name="noise", level=0.5)
    responses = gather(samples(size=10), [*many, other, graded])
    one, eight = measure_sharing(responses)
    assert (one.samples, eight.samples) == (1, 8)
    rows = [np.array([each.changed for each in group]) for group in (many, [other])]
    for found in (one, eight):
        for share, power in found.powers:
            wanted = np.mean([power_of_sharing(each, share, found.samples) for each in rows])
            assert power == pytest.approx(wanted)
        assert found.powers[0][0] == 0
        assert found.powers[-1] == (1.0, 0.0)
    assert one.breaking == 0
    left = np.mean([power_of_sharing(each, eight.breaking, 8) for each in rows])
    assert left == pytest.approx(0.95)


def test_no_changes_leave_nothing_to_tell_of_sharing_and_routing():
    graded = trial("0101", name="noise", level=0.5)
    responses = gather(samples(), [graded])
    assert measure_sharing(responses) == ()
    assert measure_routing(responses, suspicion([0, 2], [1.0, 0.0])) == ()


def test_routing_takes_the_power_of_the_suspected_samples_among_those_tried():
    changed = trial("1100110011")
    responses = gather(samples(size=10), [changed])
    tried, scores = [0, 2, 4, 6, 8], [0.9, 0.3, 0.1, 0.9, 0.3]
    found = measure_routing(responses, suspicion(tried, scores))
    assert {each.samples for each in found} == {1}
    rows = np.array([changed.changed])[:, tried]
    for each in found:
        # No rate allows one of four natural inputs: only scores above the largest are suspected.
        suspected = np.array(scores) > 0.5
        assert each.power == power_of_routing(rows, suspected, 1) == 0.4
        assert each.unspotted == power_of_sharing(rows, 0.0, 1) == 0.6


def test_a_summary_tells_of_the_methods_that_detectors_looked_at():
    sets, trials = everything(("boundary", "natural"), seeds=1, size=24, bags=3)
    found = suspicion(range(12), [0.1 * row for row in range(12)])
    (summary,) = summarise(sets, trials, [found])
    assert summary.sightings == list_sightings(found)
    assert {each.method for each in summary.routings} == {"boundary"}
    assert {(each.method, each.samples) for each in summary.sharings} == {
        (method, count) for method in ("boundary", "natural") for count in (1, 8, 16)
    }


def test_a_sample_that_does_not_exist_was_not_tried():
    responses = gather(samples(), [trial("0101")])
    with pytest.raises(InvalidArgumentError, match=r"numbers below 4, but were tried on 9$"):
        measure_routing(responses, suspicion([0, 9], [1.0, 0.0]))


def test_a_method_that_no_detector_was_tried_on_is_named_with_the_reason():
    sets, trials = everything(("boundary",), seeds=1, size=24, bags=3)
    found = Suspicion(
        subject=subject(), separations=(), detector="", tried=(), scores=(), reason="too few"
    )
    (summary,) = summarise(sets, trials, [found])
    assert (summary.sightings, summary.routings) == ((), ())
    assert summary.unspotted == (("boundary", "too few"),)
