from itertools import combinations, product
from math import comb, inf

import pytest
from evaluated import refused, samples, trial
from hypothesis import given
from hypothesis import strategies as st

from modelseal.evaluation.curves import (
    bit_groups,
    compare_natural,
    gather,
    graded_curves,
    miss_by_size,
    missing_curve,
)

ANSWERS = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=8)
BAGS = ((0, 3, 5), (1, 2, 4))


def responses(rows, method="boundary", bags=BAGS, **changes):
    trials = [trial(row, method, seed=seed, **changes) for seed, row in enumerate(rows)]
    return gather(samples(method, size=len(rows[0]), picks={"manc": bags}), trials)


def graded(levels, family="noise"):
    """Trials of a graded family with one bag: by level, which sets of one sample notice."""
    trials = [
        trial([each], name=family, level=level, seed=seed)
        for level, row in levels.items()
        for seed, each in enumerate(row)
    ]
    return gather(samples(size=1), trials)


@given(ANSWERS, st.integers(1, 5))
def test_the_missing_rate_is_that_of_counting_set_by_set(rows, largest):
    curve = missing_curve(responses(rows), "manc", samples=largest)
    expected = []
    for number in range(1, min(largest, 3) + 1):
        sets = [[row[pick] for pick in bag[:number]] for row, bag in product(rows, BAGS)]
        expected.append((sum(not any(each) for each in sets), len(sets)))
    assert [(point.part, point.whole) for point in curve.points] == expected


def test_the_missing_rate_leaves_out_graded_families_and_what_was_not_applied():
    trials = [trial("0000"), trial("1111", name="noise", level=0.5), refused(seed=1)]
    (point,) = missing_curve(gather(samples(), trials), "manc", samples=1).points
    assert (point.part, point.whole) == (1, 1)


@pytest.mark.parametrize(
    ("picks", "trials"),
    [({"manc": ()}, [trial("1111")]), ({}, [trial("1111")]), ({"manc": ((0,),)}, [refused()])],
)
def test_without_bags_or_trials_there_is_no_curve(picks, trials):
    found = gather(samples(picks=picks), trials)
    assert missing_curve(found, "manc", samples=8) is None
    assert graded_curves(found, "manc", samples=8) == ()
    assert bit_groups(found, "manc", samples=8) == ()


@given(st.dictionaries(st.integers(-9, 3), st.text("01", min_size=1, max_size=5), min_size=1))
def test_the_smallest_change_is_what_looking_at_every_level_says(rows):
    levels = {2.0**power: row for power, row in rows.items()}
    (curve,) = graded_curves(graded(levels), "manc", samples=8)
    detected = {level: row.count("1") / len(row) >= 0.95 for level, row in levels.items()}
    good = [one for one in levels if all(detected[other] for other in levels if other >= one)]
    assert curve.smallest == min(good, default=None)


def flips(*rows):
    trials = [
        trial([changed], name="bit", level=float(bit), seed=seed, effect=effect)
        for seed, (bit, changed, effect) in enumerate(rows)
    ]
    return gather(samples(size=1), trials)


def test_flipped_bits_are_pooled_with_and_without_those_that_change_nothing():
    found = flips(
        (31, True, 1.0),
        (23, True, inf),
        (30, False, 0.0),
        (22, False, 1e-9),
        (19, True, 0.5),
        (18, True, 1.0),
    )
    groups = {each.name: each for each in bit_groups(found, "manc", samples=8)}
    counted = {
        name: [(each.part, each.whole) for each in (group.sets, group.effective)]
        for name, group in groups.items()
    }
    assert counted == {
        "sign": [(1, 1), (1, 1)],
        "exponent": [(1, 2), (1, 1)],
        "top four mantissa bits": [(1, 2), (1, 2)],
        "all of these": [(3, 5), (3, 4)],
    }


@given(ANSWERS)
def test_the_mean_over_random_sets_is_that_of_looking_at_all_of_them(rows):
    found = miss_by_size(responses(rows))
    for number in range(1, 7):
        sets = list(combinations(range(6), number))
        missed = sum(not any(row[pick] for pick in each) for row in rows for each in sets)
        assert found[number - 1] == pytest.approx(missed / len(rows) / comb(6, number))


def test_as_many_natural_images_are_needed_as_first_miss_no_more_than_one_sample():
    ours = responses([[1, 1, 0, 0], [1, 1, 1, 1]], bags=())  # one sample misses every fourth time
    natural = responses([[1, 0, 0, 0], [1, 1, 0, 0]], "natural", bags=())
    found = compare_natural(ours, natural)
    # One image misses 5/8, two miss (3/6 + 1/6)/2 = 1/3, three miss (1/4 + 0)/2 = 1/8.
    assert (found.missing, found.images, found.asked) == (0.25, 3, 4)
    assert compare_natural(natural, natural).images == 1
    # It may be that not even all natural images do.
    found = compare_natural(
        responses([[1, 1], [1, 1]], bags=()), responses([[0, 0, 0], [1, 0, 0]], "natural", bags=())
    )
    assert (found.images, found.asked) == (None, 3)


def test_only_networks_without_levels_that_both_were_asked_of_are_compared():
    noise = trial("1111", name="noise", level=0.5)
    own = [trial("1111"), trial("0000", seed=1), trial("0000", name="ftll"), noise]
    ours = gather(samples(), own)
    natural = gather(
        samples("natural"),
        [
            trial("1000", "natural"),
            refused("natural", seed=1),
            trial("1111", "natural", name="noise", level=0.5),
        ],
    )
    assert (compare_natural(ours, natural).missing, compare_natural(ours, natural).images) == (0, 4)
    assert compare_natural(ours, natural, "ftal").images == 4
    assert compare_natural(ours, natural, "ftll") is None
    assert compare_natural(ours, natural, "noise") is None
