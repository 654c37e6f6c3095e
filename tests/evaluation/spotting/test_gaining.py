from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.routing import (
    breaking_share,
    power_if_independent,
    power_of_routing,
    power_of_sharing,
)

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
    found = [
        any(row[each] and not suspected[each] for each in chosen)
        for row in NOTICED
        for chosen in combinations(range(5), count)
    ]
    assert power_of_routing(NOTICED, suspected, count) == pytest.approx(np.mean(found))


def test_a_detector_that_finds_all_samples_leaves_no_power_and_one_that_finds_none_all():
    assert power_of_routing(NOTICED, np.ones(5, bool), 3) == 0
    assert power_of_routing(NOTICED, np.zeros(5, bool), 3) == power_of_sharing(NOTICED, 0.0, 3)


def test_many_independent_samples_come_near_to_the_textbook():
    noticed = np.random.default_rng(0).random((60, 400)) < 0.7
    for share, count in ((0.0, 1), (0.5, 4), (0.9, 16)):
        exact = power_of_sharing(noticed, share, count)
        assert exact == pytest.approx(power_if_independent(0.7, share, count), abs=0.02)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 64))
def test_the_textbook_is_one_less_the_product_of_misses(detection, cleanly, count):
    missed = 1.0
    for _ in range(count):
        missed *= 1 - detection * (1 - cleanly)
    assert power_if_independent(detection, cleanly, count) == pytest.approx(1 - missed)


def test_the_breaking_share_is_where_the_power_falls_below_what_is_wanted():
    noticed = np.ones((3, 40), bool)
    for count in (1, 8, 32):
        share = breaking_share(lambda q, n=count: power_of_sharing(noticed, q, n))
        # All notice: the power is 1 - q^n.
        assert share == pytest.approx(0.05 ** (1 / count))
    assert breaking_share(lambda q: 0.9 - q) == pytest.approx(0)
    assert breaking_share(lambda q: 1.0) == pytest.approx(1)


@pytest.mark.parametrize(("share", "count"), [(-0.1, 1), (1.1, 1), (0.5, 0), (0.5, 6)])
def test_impossible_questions_are_refused(share, count):
    with pytest.raises(InvalidArgumentError, match=r"share from 0 to 1|as many samples"):
        power_of_sharing(NOTICED, share, count)


def test_a_detector_has_to_answer_for_every_sample():
    with pytest.raises(InvalidArgumentError, match="5 answers of a detector were wanted, but 4"):
        power_of_routing(NOTICED, np.ones(4, bool), 1)
