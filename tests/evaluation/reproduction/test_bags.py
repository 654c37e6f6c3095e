from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.research.experiment import count_success, size_bag


def count(active, noticed, **changes):
    given = {"samples": 2, "bag": 3, "trials": 2000, "seed": 0, **changes}
    active = np.asarray(active, dtype=bool)
    return count_success(np.packbits(active, axis=1), np.asarray(noticed, dtype=bool), **given)


def slow_cover(active, rows, samples):
    """The greedy choice, written down; all gains differ in the tests that use it."""
    covered, chosen = np.zeros(active.shape[1], dtype=bool), []
    for _ in range(samples):
        gains = {row: int((active[row] & ~covered).sum()) for row in rows if row not in chosen}
        chosen.append(max(gains, key=gains.get))
        covered |= active[chosen[-1]]
    return chosen


def test_the_rates_are_those_of_all_bags():
    widths = (1, 2, 4, 8, 16)
    active, start = np.zeros((5, 31), dtype=bool), 0
    for row, width in enumerate(widths):
        active[row, start : start + width] = True
        start += width
    noticed = np.array([True, False, True, False, False])
    bags = list(combinations(range(5), 3))
    chosen = [slow_cover(active, bag, 2) for bag in bags]
    manc = [np.mean([noticed[rows[:n]].any() for rows in chosen]) for n in (1, 2)]
    random = [noticed.mean(), 1 - 3 / 5 * 2 / 4]
    found = count(active, noticed)
    # The spread of a share in 2,000 draws is at most 0.011.
    assert found.manc == pytest.approx(manc, abs=0.045)
    assert found.random == pytest.approx(random, abs=0.045)
    assert found.distinct == len({frozenset(rows) for rows in chosen})
    assert (found.bag, found.trials) == (3, 2000)


def test_bags_differ_where_there_are_no_more_candidates_than_a_bag_holds():
    found = count(np.eye(8, dtype=bool), [True] + 7 * [False], bag=100, samples=10)
    assert found.bag == 4
    assert len(found.manc) == 4
    assert found.distinct == 70  # every bag of 4 out of 8, each of which is chosen as a whole
    assert found.manc[-1] == pytest.approx(0.5, abs=0.045)


def test_the_same_seed_gives_the_same_numbers_and_another_one_others():
    active = np.random.default_rng(0).random((9, 40)) < 0.4
    noticed = np.arange(9) % 2 == 0
    once = count(active, noticed, trials=30)
    assert count(active, noticed, trials=30) == once
    assert count(active, noticed, trials=30, seed=1) != once


def test_without_candidates_there_is_nothing_to_count():
    assert count(np.zeros((0, 8)), np.zeros(0)) is None


@given(candidates=st.integers(1, 500), wanted=st.integers(1, 200))
def test_a_bag_is_a_proper_part_of_the_candidates(candidates, wanted):
    size = size_bag(candidates, wanted)
    assert 1 <= size <= wanted
    assert size < candidates or candidates == 1


@given(noticed=st.lists(st.booleans(), min_size=1, max_size=8), seed=st.integers(0, 9))
def test_more_samples_never_notice_less(noticed, seed):
    active = np.random.default_rng(seed).random((len(noticed), 20)) < 0.5
    found = count(active, noticed, trials=5, seed=seed, samples=3, bag=4)
    for shares in (found.manc, found.random):
        assert list(shares) == sorted(shares)
        assert shares[0] >= 0
        assert shares[-1] <= any(noticed)
