import itertools
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from modelseal.intervals import upper_bound
from modelseal.verification.e_process import (
    HALF,
    average,
    bound_all,
    spend_alpha,
    weigh_alarm,
    weigh_trust,
)

PROBABILITIES = [0.0, 0.01, 0.1, 0.25, 0.4, 0.49, 0.5, 0.6, 0.9, 1.0]


@pytest.mark.parametrize(
    "shares",
    [(0.5, 0.5), (0.4, 0.3, 0.3), (0.6, 0.4), (0.51, 0.25, 0.24), (0.9, 0.1), (0.8, 0.1, 0.1)],
)
def test_bounds_hold_although_the_enrolled_answer_is_chosen_by_the_same_answers(shares):
    asked, risk = 12, 0.2
    wrong = 0.0
    for counts in itertools.product(range(asked + 1), repeat=len(shares)):
        if sum(counts) != asked:
            continue
        chosen = int(np.argmax(counts))
        (bound,) = bound_all(np.array([asked - counts[chosen]]), asked, risk=risk, samples=1)
        if bound <= HALF and bound < 1 - shares[chosen]:
            wrong += multinomial(counts, shares)
    assert wrong <= risk


def multinomial(counts, shares):
    """The chance of these counts, one answer after the other."""
    left, chance, rest = sum(counts), 1.0, 1.0
    for count, share in zip(counts, shares, strict=True):
        chance *= binom.pmf(count, left, min(share / rest, 1.0)) if rest > 1e-12 else 1.0
        left, rest = left - count, rest - share
    return chance


def test_many_samples_share_the_risk():
    (alone,) = bound_all(np.array([1]), 30, risk=0.01, samples=1)
    shared = bound_all(np.array([1, 0, 1]), 30, risk=0.01, samples=10)
    assert alone == upper_bound(1, 30, risk=0.005)
    assert shared.tolist() == [upper_bound(count, 30, risk=0.0005) for count in (1, 0, 1)]


def alarm(answers, bound):
    """The e-value of a row of answers, step by step, as the formula has it."""
    total = 0.0
    for left in (0.75, 0.5, 0.25, 0.0625, 0.0):
        q, product = 1 - (1 - bound) * left, 1.0
        for differs in answers:
            product *= q / bound if differs else (1 - q) / (1 - bound)
        total += product / 5
    return total


def trust(answers, known):
    total = 0.0
    for q in (known, (known + 0.5) / 2):
        product = 1.0
        for differs in answers:
            product *= q / 0.5 if differs else (1 - q) / 0.5
        total += product / 2
    return total


def count(answers):
    return np.array([sum(answers)]), np.array([len(answers) - sum(answers)])


@pytest.mark.parametrize("bound", [0.05, 0.24, 0.5, 0.9])
def test_e_values_are_the_averaged_likelihood_ratios_of_the_answers(bound):
    for length in range(7):
        for answers in itertools.product((0, 1), repeat=length):
            (found,) = weigh_alarm(*count(answers), np.array([bound]))
            assert exp(found) == pytest.approx(alarm(answers, bound))
            (found,) = weigh_trust(*count(answers), np.array([bound / 2]))
            assert exp(found) == pytest.approx(trust(answers, bound / 2))


def chance(answers, p):
    return np.prod([p if differs else 1 - p for differs in answers])


@pytest.mark.parametrize("length", [1, 2, 5, 9])
@pytest.mark.parametrize("p", PROBABILITIES)
def test_no_e_value_is_expected_above_one_while_its_null_hypothesis_holds(p, length):
    rows = list(itertools.product((0, 1), repeat=length))
    for bound in (0.05, 0.24, 0.4, 0.5):
        if p <= bound:
            expected = sum(
                chance(row, p) * exp(weigh_alarm(*count(row), np.array([bound]))[0]) for row in rows
            )
            assert expected <= 1 + 1e-9
        if p >= HALF:
            expected = sum(
                chance(row, p) * exp(weigh_trust(*count(row), np.array([bound / 2]))[0])
                for row in rows
            )
            assert expected <= 1 + 1e-9


@pytest.mark.parametrize(("p", "bound"), [(0.05, 0.05), (0.2, 0.24), (0.4, 0.4)])
def test_stopping_at_the_first_crossing_still_raises_few_alarms(p, bound):
    """All rows of 14 answers, stopped as early as wanted: the exact chance of ever crossing."""
    level, crossed = 10.0, 0.0
    for row in itertools.product((0, 1), repeat=14):
        heights = [alarm(row[:length], bound) for length in range(1, 15)]
        if max(heights) >= level:
            crossed += chance(row, p)
    assert crossed <= 1 / level


def test_the_average_over_samples_is_an_e_value_of_all_of_them():
    bounds, ps = np.array([0.3, 0.1]), (0.3, 0.1)
    expected = 0.0
    for first in itertools.product((0, 1), repeat=3):
        for second in itertools.product((0, 1), repeat=3):
            counts = [
                np.concatenate(pair) for pair in zip(count(first), count(second), strict=True)
            ]
            expected += (
                chance(first, ps[0])
                * chance(second, ps[1])
                * exp(average(weigh_alarm(*counts, bounds)))
            )
    assert expected == pytest.approx(1.0)


@given(st.floats(1e-6, 0.5), st.integers(1, 2000))
def test_any_number_of_looks_spends_less_than_alpha(alpha, looks):
    assert sum(spend_alpha(alpha, look) for look in range(1, looks + 1)) < alpha
