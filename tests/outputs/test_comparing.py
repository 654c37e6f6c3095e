from decimal import Decimal
from math import floor, inf

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparing import (
    all_probabilities,
    best,
    check_digits,
    comparable,
    finite,
    label_margin,
    label_move,
    many_enough,
    rounding_margin,
    same_digits,
    same_labels,
    shares,
    softmax,
    wide_enough,
)

# Few different values, so that ties are common.
coarse = st.integers(-4, 4).map(float)
fine = st.floats(-50, 50, width=32)
scores = hnp.arrays(np.float64, (3, 5), elements=coarse | fine)
counts = st.integers(1, 5)


def ranked(row, count):
    return sorted(range(len(row)), key=lambda label: (-row[label], label))[:count]


@given(hnp.arrays(np.float32, (3, 5), elements=st.floats(-1000, 1000, width=32)))
def test_softmax_is_that_of_scipy(scores):
    assert np.allclose(softmax(scores), scipy.special.softmax(scores.astype(float), axis=1))
    assert softmax(scores).dtype == np.float64


@given(scores, counts)
def test_best_are_the_highest_and_of_equals_the_lower_class(scores, count):
    assert best(scores, count).tolist() == [ranked(row, count) for row in scores]


def test_more_labels_than_classes_are_refused():
    with pytest.raises(InvalidArgumentError, match="6 labels need as many classes, not 5"):
        best(np.zeros((1, 5)), 6)


@given(scores, counts)
def test_label_margin_is_the_smallest_gap_that_decides_the_shown_labels(scores, count):
    for row, margin in zip(scores, label_margin(scores, count), strict=True):
        shown = ranked(row, count)
        others = set(range(5)) - set(shown)
        gaps = [row[a] - row[b] for place, a in enumerate(shown) for b in shown[place + 1 :]]
        gaps += [row[a] - row[b] for a in shown for b in others]
        assert margin == min(gaps)


def test_the_only_class_has_an_infinite_margin():
    assert label_margin(np.zeros((2, 1)), 1).tolist() == [inf, inf]


@given(scores, scores, counts)
def test_label_move_is_the_largest_change_of_a_gap_of_a_shown_label(scores, others, count):
    for row, other, move in zip(scores, others, label_move(scores, others, count), strict=True):
        slow = max(
            abs((other[a] - other[b]) - (row[a] - row[b]))
            for a in ranked(row, count)
            for b in range(5)
        )
        assert move == pytest.approx(slow, abs=1e-12)


@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(0, 1)), st.integers(1, 9))
def test_rounding_margin_is_the_distance_to_the_nearest_half_unit(values, digits):
    unit = Decimal(10) ** -digits
    for row, margin in zip(values, rounding_margin(values, digits), strict=True):
        distances = []
        for value in row:
            number = floor(Decimal(value) / unit)
            halves = [(number + shift + Decimal("0.5")) * unit for shift in (-1, 0, 1)]
            distances.append(min(abs(Decimal(value) - half) for half in halves))
        assert margin == pytest.approx(float(min(distances)), abs=1e-15)


def test_labels_are_the_same_only_in_the_same_order():
    first = Answers(kind=Kind.LABELS, labels=np.array([[1, 2], [1, 2], [1, 2]]))
    second = Answers(kind=Kind.LABELS, labels=np.array([[1, 2], [2, 1], [1, 3]]))
    assert same_labels(first, second).tolist() == [True, False, False]


@given(hnp.arrays(np.int64, (4, 3), elements=st.integers(0, 1000)), st.integers(1, 6), st.data())
def test_digits_are_the_same_exactly_if_the_rounded_numbers_are(numbers, digits, data):
    others = numbers + data.draw(hnp.arrays(np.int64, (4, 3), elements=st.integers(-1, 1)))
    first, second = (
        Answers(kind=Kind.PROBABILITIES, values=(n * 10.0**-digits).round(digits))
        for n in (numbers, others)
    )
    assert same_digits(first, second, digits).tolist() == (numbers == others).all(axis=1).tolist()


def test_values_of_two_shapes_cannot_be_compared():
    first = Answers(kind=Kind.SCORES, values=np.zeros((1, 3)))
    second = Answers(kind=Kind.SCORES, values=np.zeros((1, 2)))
    with pytest.raises(EndpointError, match=r"shape \(1, 3\) were wanted, but \(1, 2\) came"):
        comparable(first, second)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([[1]], "2 labels were wanted, but 1 came"),
        ([[1, -1]], "labels from 0 were wanted, but -1 came"),
        ([[0, 1], [1, 1]], "one came twice"),
    ],
)
def test_labels_that_cannot_be_shown_labels_are_refused(labels, problem):
    with pytest.raises(EndpointError, match=problem):
        wide_enough(np.array(labels), 2)


def test_of_more_labels_the_first_are_taken():
    assert wide_enough(np.array([[4, 2, 2]]), 2).tolist() == [[4, 2]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(EndpointError, match="an infinity or NaN came"):
        finite(np.array([[0.5, value]]))
    with pytest.raises(EndpointError, match="an infinity or NaN came"):
        shares(np.array([[0.5, value]]))


def test_fewer_classes_than_wanted_are_refused():
    assert many_enough(np.zeros((1, 3)), 3).shape == (1, 3)
    with pytest.raises(EndpointError, match="4 classes were wanted, but 3 came"):
        many_enough(np.zeros((1, 3)), 4)


@pytest.mark.parametrize("value", [-0.1, 1.2])
def test_shares_below_0_or_above_1_are_refused(value):
    with pytest.raises(EndpointError, match="probabilities from 0 to 1 were wanted"):
        shares(np.array([[0.5, value]]))


def test_scores_are_turned_into_probabilities():
    values = np.array([[1.0, 2.0, 4.0]])
    answers = Answers(kind=Kind.SCORES, values=values)
    assert np.allclose(all_probabilities(answers, 3), scipy.special.softmax(values, axis=1))


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_honestly_rounded_probabilities_are_always_taken(classes, digits):
    values = np.full((1, classes), 1 / classes).round(digits)
    answers = Answers(kind=Kind.PROBABILITIES, values=values)
    assert np.array_equal(all_probabilities(answers, digits), values)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([[0.5, 0.6]], "that add up to 1"),
        ([[0.5, 0.4]], "that add up to 1"),
        ([[1.5, -0.5]], "that add up to 1"),
        ([[np.nan, 1.0]], "NaN"),
    ],
)
def test_numbers_that_are_no_probabilities_are_refused(values, problem):
    with pytest.raises(EndpointError, match=problem):
        all_probabilities(Answers(kind=Kind.PROBABILITIES, values=np.array(values)), 4)


def test_labels_hold_no_probabilities():
    with pytest.raises(EndpointError, match="probabilities were wanted, but labels came"):
        all_probabilities(Answers(kind=Kind.LABELS, labels=np.array([[1]])), 4)


@pytest.mark.parametrize("digits", [0, 13, -1])
def test_digits_beyond_float64_are_refused(digits):
    with pytest.raises(InvalidArgumentError, match=f"1 to 12 digits, but got {digits}"):
        check_digits(digits)
