from itertools import combinations, product

import numpy as np
import pytest
from evaluated import everything, samples, subject, trial
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import separate
from modelseal.evaluation.adversary.router import (
    breaking_share,
    measure_routing,
    measure_sharing,
    power_of_routing,
    power_of_sharing,
)
from modelseal.evaluation.curves import gather
from modelseal.evaluation.metrics import summarise
from modelseal.evaluation.results import Suspicion

NOTICED = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 1, 1, 1]], dtype=bool)


def slow_power(noticed, share, count):
    """Every set of every network, with every way to answer its queries."""
    powers = []
    for row in noticed:
        for chosen in combinations(range(noticed.shape[1]), count):
            for cleanly in product([True, False], repeat=count):
                chance = np.prod([share if each else 1 - share for each in cleanly])
                caught = any(
                    row[sample] and not each for sample, each in zip(chosen, cleanly, strict=True)
                )
                powers.append(chance * caught)
    sets = len(list(combinations(range(noticed.shape[1]), count)))
    return sum(powers) / (len(noticed) * sets)


@given(
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.25, 0.9, 1.0]),
    st.integers(1, 5),
)
def test_the_power_against_sharing_is_that_of_every_set_and_every_way_to_answer(rows, share, count):
    noticed = np.array(rows)
    assert power_of_sharing(noticed, share, count) == pytest.approx(
        slow_power(noticed, share, count), abs=1e-12
    )


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_power_against_routing_is_that_of_every_set_of_samples_not_suspected(count):
    suspected = np.array([True, False, False, True, False])
    wanted = slow_power(NOTICED & ~suspected, 0.0, count)
    assert power_of_routing(NOTICED, suspected, count) == pytest.approx(wanted)


def test_the_breaking_share_is_where_the_power_falls_below_what_is_wanted():
    noticed = np.ones((3, 40), bool)
    for count in (1, 8, 32):
        share = breaking_share(lambda q, n=count: power_of_sharing(noticed, q, n))
        # All notice: the power is 1 - q^n.
        assert share == pytest.approx(0.05 ** (1 / count))
    assert breaking_share(lambda q: 0.9 - q) == pytest.approx(0)
    assert breaking_share(lambda q: 1.0) == pytest.approx(1)


def test_impossible_questions_are_refused():
    for share, count in ((-0.1, 1), (1.1, 1), (0.5, 0), (0.5, 6)):
        with pytest.raises(InvalidArgumentError):
            power_of_sharing(NOTICED, share, count)
    with refuses(InvalidArgumentError, field="suspected"):
        power_of_routing(NOTICED, np.ones(4, bool), 1)
    with pytest.raises(InvalidArgumentError, match="9"):
        measure_routing(gather(samples(), [trial("0101")]), suspicion([0, 9], [1.0, 0.0]))


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
    few = Suspicion(
        subject=subject("natural"), separations=(), detector="", tried=(), scores=(), reason="few"
    )
    (summary,) = summarise(sets, trials, [found, few])
    assert [each.separation for each in summary.sightings] == list(found.separations)
    assert {each.method for each in summary.routings} == {"boundary"}
    assert {(each.method, each.samples) for each in summary.sharings} == {
        (method, count) for method in ("boundary", "natural") for count in (1, 8, 16)
    }
    assert summary.unspotted == (("natural", "few"),)
