import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from refusals import refuses

from modelseal.errors import InvalidArgumentError
from modelseal.selection import cover as module
from modelseal.selection.cover import cover, cover_changes, random_picks, smallest_margin


@st.composite
def problems(draw, *, candidates=9, neurons=40):
    rows, columns = draw(st.integers(1, candidates)), draw(st.integers(1, neurons))
    active = draw(arrays(bool, (rows, columns)))
    return active, draw(st.integers(1, rows))


def packed(active):
    return np.packbits(active, axis=1)


def eager(active, count):
    """Greedy without any short cut, one neuron at a time."""
    left, covered, number, picks = list(range(len(active))), set(), 0, []
    neurons = [set(np.flatnonzero(row)) for row in active]
    while len(picks) < count:
        if not any(neurons[one] - covered for one in left) and any(neurons[one] for one in left):
            covered, number = set(), number + 1
        gains = [len(neurons[one] - covered) for one in left]
        pick = left.pop(gains.index(max(gains)))
        picks.append((pick, max(gains), number))
        covered |= neurons[pick]
    return tuple(zip(*picks, strict=True))


@given(problems())
def test_lazy_picks_are_those_of_the_plain_greedy_rule(problem):
    picks = cover(packed(problem[0]), problem[1])
    assert (picks.order, picks.gains, picks.rounds) == eager(*problem)


@pytest.mark.parametrize("density", [0.02, 0.3])
@pytest.mark.parametrize("block_bytes", [1, 64, 2**18])
def test_the_block_size_changes_nothing(density, block_bytes, monkeypatch):
    active = np.random.default_rng(1).random((200, 300)) < density
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    picks = cover(packed(active), 60)
    assert (picks.order, picks.gains, picks.rounds) == eager(active, 60)


@given(problems(candidates=7, neurons=12))
def test_the_cover_reaches_its_guaranteed_share_of_the_best_choice(problem):
    active, count = problem
    best = max(
        active[list(choice)].any(axis=0).sum() for choice in combinations(range(len(active)), count)
    )
    assert cover(packed(active), count).covered >= (1 - 1 / np.e) * best


def test_of_equal_candidates_the_lowest_number_comes_first_even_if_its_bound_was_lower(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    # Once the last is chosen, the first two add 2 neurons each, but the second had added 3.
    neurons = [{0, 1}, {2, 3, 4}, {4, 5, 6, 7}]
    active = np.array([[one in row for one in range(8)] for row in neurons])
    assert cover(packed(active), 3).order == (2, 0, 1)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
def test_random_picks_are_distinct_and_repeat_with_the_generator(candidates, seed, data):
    count = data.draw(st.integers(1, candidates))
    picks = random_picks(candidates, count, np.random.default_rng(seed))
    assert len(set(picks)) == count
    assert set(picks) <= set(range(candidates))
    assert picks == random_picks(candidates, count, np.random.default_rng(seed))


@given(arrays(float, st.integers(1, 20), elements=st.sampled_from([0.1, 0.2, 0.3, 1.0])))
def test_smallest_margins_come_first_and_equal_ones_by_number(margins):
    expected = sorted(range(len(margins)), key=lambda one: (margins[one], one))
    assert smallest_margin(margins, len(margins)) == tuple(expected)


def test_choosing_needs_no_torch():
    program = "import sys, modelseal.selection.cover; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


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
    noticed = draw(arrays(bool, (candidates, draw(st.integers(1, 10)))))
    active = draw(arrays(bool, (candidates, draw(st.integers(1, 4)))))
    margins = draw(
        st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=candidates, max_size=candidates)
    )
    return noticed, active, np.array(margins), draw(st.integers(1, candidates))


@given(choices())
def test_the_choice_is_that_of_sets(choice):
    noticed, active, margins, count = choice
    found = cover_changes(packed(noticed), packed(active), margins=margins, count=count)
    assert found == slow_cover(noticed, active, margins, count)


@pytest.mark.parametrize("count", [-1, 0, 4])
@pytest.mark.parametrize(
    "choose",
    [
        lambda count: cover(np.zeros((3, 1), np.uint8), count),
        lambda count: random_picks(3, count, np.random.default_rng(0)),
        lambda count: smallest_margin(np.ones(3), count),
        lambda count: cover_changes(
            np.zeros((3, 1), np.uint8), np.zeros((3, 2), np.uint8), margins=np.ones(3), count=count
        ),
    ],
)
def test_a_count_that_cannot_be_chosen_is_refused(choose, count):
    with refuses(InvalidArgumentError, field="count", match=f"1 to 3, got {count}"):
        choose(count)
