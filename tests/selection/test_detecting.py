import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelseal.errors import InvalidArgumentError
from modelseal.selection.cover import cover
from modelseal.selection.detection import cover_changes


def packed(rows):
    return np.packbits(np.asarray(rows, bool), axis=1)


def slow_cover(noticed, active, margins, count):
    """The same choice, with sets and one candidate at a time."""
    changes = [set(np.flatnonzero(row)) for row in noticed]
    neurons = [set(np.flatnonzero(row)) for row in active]
    left, order, seen, fired = list(range(len(changes))), [], set(), set()
    while len(order) < count:
        if not any(changes[one] - seen for one in left) and any(changes[one] for one in left):
            seen, fired = set(), set()
        pick = min(
            left,
            key=lambda one: (
                -len(changes[one] - seen),
                -len(neurons[one] - fired),
                margins[one],
                one,
            ),
        )
        left.remove(pick)
        order.append(pick)
        seen |= changes[pick]
        fired |= neurons[pick]
    return tuple(order)


@st.composite
def choices(draw):
    """Two small matrices with many equal rows, margins of which some are equal, and a count."""
    candidates = draw(st.integers(1, 7))
    noticed = draw(arrays.arrays(bool, (candidates, draw(st.integers(1, 10)))))
    active = draw(arrays.arrays(bool, (candidates, draw(st.integers(1, 4)))))
    margins = draw(
        st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=candidates, max_size=candidates)
    )
    return noticed, active, np.array(margins), draw(st.integers(1, candidates))


@given(choices())
def test_the_choice_is_that_of_sets(choice):
    noticed, active, margins, count = choice
    found = cover_changes(packed(noticed), packed(active), margins=margins, count=count)
    assert found == slow_cover(noticed, active, margins, count)


@given(choices())
def test_without_ties_to_break_it_is_the_usual_cover(choice):
    noticed, _, _, count = choice
    blank = np.zeros((len(noticed), 1), np.uint8)
    equal = np.zeros(len(noticed))
    found = cover_changes(packed(noticed), blank, margins=equal, count=count)
    assert found == cover(packed(noticed), count).order


@given(choices())
def test_one_pick_notices_as_many_changes_as_any_could(choice):
    noticed, active, margins, _ = choice
    (first,) = cover_changes(packed(noticed), packed(active), margins=margins, count=1)
    assert noticed[first].sum() == noticed.sum(axis=1).max()


def test_changes_come_before_neurons_and_neurons_before_margins():
    noticed = packed([[1, 0, 0], [0, 1, 1], [0, 1, 1], [0, 1, 1]])
    active = packed([[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 1, 1]])
    margins = np.array([0.1, 0.1, 0.3, 0.2])
    assert cover_changes(noticed, active, margins=margins, count=4) == (3, 0, 2, 1)


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_can_be_chosen_than_there_are(count):
    rows = packed(np.ones((2, 3)))
    with pytest.raises(InvalidArgumentError, match=rf"a choice of 1 to 2 among 2 .* but {count}"):
        cover_changes(rows, rows, margins=np.ones(2), count=count)
