import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from modelseal.errors import InvalidArgumentError
from modelseal.intervals import BoundRule, bound_above, measure, tail, wilson

SHARES = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(SHARES)
def test_the_interval_is_that_of_scipy(share):
    expected = binomtest(*share).proportion_ci(0.95, method="wilson")
    assert wilson(*share) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(SHARES)
def test_a_share_lies_within_its_interval_and_that_within_0_and_1(share):
    found = measure(*share)
    assert found.value == share[0] / share[1]
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(SHARES)
def test_the_bound_is_that_of_scipy_or_the_rule_of_three_a_little_above_it(share):
    exact = binomtest(*share, alternative="less").proportion_ci(0.95, method="exact").high
    found = bound_above(*share)
    if share[0]:
        assert found.rule is BoundRule.CLOPPER_PEARSON
        assert found.value == pytest.approx(exact, abs=1e-9)
    else:
        assert found.rule is BoundRule.THREE
        assert found.value == min(1.0, 3 / share[1])
        assert exact <= found.value


@pytest.mark.parametrize(("part", "whole"), [(1, 1), (7, 7), (1, 20), (400, 2500)])
def test_few_or_all_counted_have_the_bound_of_scipy_too(part, whole):
    exact = binomtest(part, whole, alternative="less").proportion_ci(0.95, method="exact").high
    assert bound_above(part, whole).value == pytest.approx(exact, abs=1e-12)


@given(SHARES, st.floats(0.001, 1))
def test_the_tail_is_that_of_the_binomial_distribution(share, chance):
    assert tail(*share, chance) == pytest.approx(binom.cdf(*share, chance), abs=1e-9)


def test_none_of_twenty_thousand_alarms_bounds_their_share_by_0_00015():
    assert bound_above(0, 20_000).value == 0.00015


@pytest.mark.parametrize("count", [measure, wilson, bound_above])
@pytest.mark.parametrize(("part", "whole"), [(-1, 4), (5, 4), (0, 0), (0, -1)])
def test_what_is_no_share_is_refused(count, part, whole):
    with pytest.raises(InvalidArgumentError, match=f"but is {part} of {whole}"):
        count(part, whole)
