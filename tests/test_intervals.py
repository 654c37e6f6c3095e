from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from modelseal.errors import InvalidArgumentError
from modelseal.intervals import BoundRule, bound_above, lower_bound, measure, tail, upper_bound

SHARES = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def exact_tail(count, draws, share):
    """The chance of so many or more, by counting with fractions."""
    share = Fraction(share)
    ways = (comb(draws, k) * share**k * (1 - share) ** (draws - k) for k in range(count, draws + 1))
    return sum(ways, Fraction(0))


@given(SHARES)
def test_the_interval_is_that_of_scipy_and_holds_the_share(share):
    expected = binomtest(*share).proportion_ci(0.95, method="wilson")
    found = measure(*share)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.value == share[0] / share[1]
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(SHARES, st.floats(1e-4, 0.4))
def test_the_exact_bounds_are_those_of_scipy(share, risk):
    high = binomtest(*share, alternative="less").proportion_ci(1 - risk, method="exact").high
    low = binomtest(*share, alternative="greater").proportion_ci(0.95, method="exact").low
    assert upper_bound(*share, risk=risk) == pytest.approx(high, abs=1e-9)
    assert lower_bound(*share) == pytest.approx(low, abs=1e-9)


@given(SHARES)
def test_of_nothing_counted_the_bound_is_the_rule_of_three_a_little_above_the_exact_one(share):
    found = bound_above(*share)
    if share[0]:
        assert (found.rule, found.value) == (BoundRule.CLOPPER_PEARSON, upper_bound(*share))
    else:
        assert (found.rule, found.value) == (BoundRule.THREE, min(1.0, 3 / share[1]))
        assert upper_bound(*share) <= found.value


def test_the_bounds_of_many_draws_are_bounded_by_hand():
    bound = lower_bound(9_000, 10_000)
    assert 0.894 < bound < 0.896
    assert tail(9_000, 10_000, bound) == pytest.approx(0.05, rel=1e-6)
    # Of one draw in many the bound is that of the first one: (1 - share)^n is 95 %.
    assert lower_bound(1, 10_000) == pytest.approx(1 - 0.95 ** (1 / 10_000), rel=1e-9)


@given(st.integers(1, 40), st.data(), st.floats(0.01, 0.99))
def test_the_tail_is_that_of_counting(draws, data, share):
    count = data.draw(st.integers(min(draws, int(draws * share) + 1), draws))
    assert tail(count, draws, share) == pytest.approx(
        float(exact_tail(count, draws, share)), rel=1e-9
    )


@pytest.mark.parametrize("count", [measure, bound_above, upper_bound, lower_bound])
@pytest.mark.parametrize(("part", "whole"), [(-1, 4), (5, 4), (0, 0), (0, -1)])
def test_what_is_no_share_is_refused(count, part, whole):
    with pytest.raises(InvalidArgumentError) as caught:
        count(part, whole)
    assert caught.value.field == "part"
