import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.roc import FALSE_RATES, find_at, measure_auc, placements, separate

scores = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=12).map(np.array)


def pairs(samples, naturals):
    """Every pair, as 1 if the sample is higher, 1/2 if both are the same, and else 0."""
    return np.array([[(x > y) + 0.5 * (x == y) for y in naturals] for x in samples])


@given(scores, scores)
def test_the_area_and_its_variance_are_those_of_all_pairs(samples, naturals):
    table = pairs(samples, naturals)
    auc, low, high = measure_auc(samples, naturals)
    assert auc == pytest.approx(table.mean())
    assert 0 <= low <= auc <= high <= 1
    variance = table.mean(1).var(ddof=1) / len(samples) + table.mean(0).var(ddof=1) / len(naturals)
    if table.mean() in {0, 1}:
        assert high - low == pytest.approx(min(1, 3 / min(len(samples), len(naturals))))
    else:
        reach = 1.959964 * np.sqrt(variance)
        assert low == pytest.approx(max(0, table.mean() - reach), abs=1e-6)
        assert high == pytest.approx(min(1, table.mean() + reach), abs=1e-6)


@given(scores, scores)
def test_placements_are_shares_below(samples, naturals):
    assert placements(samples, naturals) == pytest.approx(pairs(samples, naturals).mean(axis=1))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator, held = np.random.default_rng(0), 0
    # For normal scores one apart the area is Φ(1/√2).
    for _ in range(400):
        _, low, high = measure_auc(generator.normal(1, 1, 60), generator.normal(0, 1, 90))
        held += low <= 0.76025 <= high
    # 95 % of 400 are 380, with a standard deviation of 4.4.
    assert held >= 362


@given(scores, scores, st.sampled_from(FALSE_RATES) | st.floats(0, 0.9))
def test_the_threshold_is_the_lowest_that_keeps_the_rate(samples, naturals, rate):
    found = find_at(rate, samples, naturals)
    assert (naturals > found.threshold).mean() <= rate
    assert found.found.part == (samples > found.threshold).sum()
    lower = naturals[naturals < found.threshold]
    if len(lower):
        assert (naturals > lower.max()).mean() > rate


def test_a_detector_without_a_clue_finds_as_many_samples_as_it_takes_naturals_for():
    generator = np.random.default_rng(0)
    found = separate("chance", generator.normal(size=4000), generator.normal(size=4000))
    assert found.low <= 0.5 <= found.high
    for rate in found.rates:
        assert rate.found.low <= rate.false_rate + 0.01
        assert rate.found.high >= rate.false_rate - 0.01


@pytest.mark.parametrize("bad", [np.array([1.0]), np.array([1.0, np.nan]), np.array([1, np.inf])])
def test_too_few_scores_or_none_are_refused(bad):
    good = np.array([1.0, 2.0])
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(InvalidArgumentError, match="two finite scores of each kind were want"):
            separate("x", *pair)
