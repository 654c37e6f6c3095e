from decimal import Decimal
from math import floor

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refusals import refuses

from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import (
    all_probabilities,
    best,
    check_detail,
    decimal_digits,
    label_margin,
    label_move,
    like_probabilities,
    rounding_margin,
    same_digits,
    softmax,
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


@given(scores, counts)
def test_label_margin_is_the_smallest_gap_that_decides_the_shown_labels(scores, count):
    for row, margin in zip(scores, label_margin(scores, count), strict=True):
        shown = ranked(row, count)
        others = set(range(5)) - set(shown)
        gaps = [row[a] - row[b] for place, a in enumerate(shown) for b in shown[place + 1 :]]
        gaps += [row[a] - row[b] for a in shown for b in others]
        assert margin == min(gaps)


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


@given(hnp.arrays(np.int64, (4, 3), elements=st.integers(0, 1000)), st.integers(1, 6), st.data())
def test_digits_are_the_same_exactly_if_the_rounded_numbers_are(numbers, digits, data):
    others = numbers + data.draw(hnp.arrays(np.int64, (4, 3), elements=st.integers(-1, 1)))
    first, second = (
        Answers(kind=Kind.PROBABILITIES, values=(n * 10.0**-digits).round(digits))
        for n in (numbers, others)
    )
    assert same_digits(first, second, digits).tolist() == (numbers == others).all(axis=1).tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(hnp.arrays(np.int64, 3, elements=st.integers(0, 10**4)))
def test_values_have_as_many_digits_as_their_longest_decimal_form(dtype, numbers):
    texts = [str(Decimal(int(number)).scaleb(-4).normalize()) for number in numbers]
    places = [-Decimal(text).as_tuple().exponent for text in texts]
    values = np.array([[float(text) for text in texts]], dtype)
    wanted = max(1, *places)
    assert decimal_digits(values, below=9) == wanted
    assert decimal_digits(values, below=wanted) is None


@pytest.mark.parametrize("values", [[0.12340001, 0.5], [1 / 3, 0.5], [0.5, 1e-9]])
def test_values_in_full_have_no_few_digits_even_close_to_round_numbers(values):
    assert decimal_digits(np.array([values]), below=7) is None


@pytest.mark.parametrize(
    ("shown", "digits", "where", "doubtful"),
    [
        ([0.12, 0.88], 2, True, True),  # rounded
        ([0.12, 0.87], 2, True, True),  # cut
        ([0.12, 0.87], 2, False, False),
        ([0.12, 0.87], None, True, False),
        ([0.11, 0.88], 2, True, False),  # more than a unit away
        ([0.11, 0.88], 1, True, True),
    ],
)
def test_only_a_difference_that_fewer_digits_can_make_is_doubtful(shown, digits, where, doubtful):
    expected = Answers(kind=Kind.PROBABILITIES, values=np.array([[0.1234, 0.8766]]))
    came = Answers(kind=Kind.PROBABILITIES, values=np.array([shown]), digits=digits)
    if not doubtful:
        check_detail(expected, came, 4, where=np.array([where]))
        return
    with refuses(EndpointError):
        check_detail(expected, came, 4, where=np.array([where]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(rows=scores)
def test_every_softmax_looks_like_probabilities(dtype, rows):
    assert like_probabilities(softmax(rows).astype(dtype)).all()


def test_scores_do_not_look_like_probabilities():
    rows = [[0.6, 0.5, -0.1], [1.2, 0.0, 0.0], [0.5123, 0.2, 0.2], [0.0, 0.0, 0.0], [1e308] * 3]
    for row in rows:
        assert not like_probabilities(np.array([row])).any()
    assert like_probabilities(np.array([[0.25, 0.25, 0.5], *rows]))[0]


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_honestly_rounded_probabilities_are_always_taken(classes, digits):
    values = np.full((1, classes), 1 / classes).round(digits)
    answers = Answers(kind=Kind.PROBABILITIES, values=values)
    assert np.array_equal(all_probabilities(answers, digits), values)
