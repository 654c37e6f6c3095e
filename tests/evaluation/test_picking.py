from itertools import chain

import numpy as np
import planned
import pytest
import torch

from modelseal.calibration.running import run_network
from modelseal.evaluation import picking
from modelseal.evaluation.opening import list_networks, open_network
from modelseal.evaluation.picking import SEED, detect_small, divide, pick, small_recipes
from modelseal.evaluation.plan import read_plan
from modelseal.outputs.specs import TopLabels
from modelseal.selection.activation import active_neurons


@pytest.fixture
def opened(tmp_path):
    path = planned.write_plan(tmp_path)
    return open_network(list_networks(read_plan(path), tmp_path)["small"])


@pytest.fixture
def few(monkeypatch):
    """A few large changes, so that some samples notice some of them."""
    monkeypatch.setattr(picking, "NOISE", {0.2: 6})
    monkeypatch.setattr(picking, "STEPS", {0.5: 2})
    monkeypatch.setattr(picking, "BITS", {30: 4})


def test_bags_are_disjoint_of_one_size_and_drawn_by_the_seed():
    bags = divide(14, 4, seed=1)
    assert [len(bag) for bag in bags] == [3, 3, 3, 3]
    assert len({int(each) for each in chain(*bags)}) == 12
    assert not np.array_equal(bags, divide(14, 4, seed=2))
    assert np.array_equal(bags, divide(14, 4, seed=1))


@pytest.mark.usefixtures("few")
def test_every_rule_chooses_different_samples_of_each_bag(opened):
    samples = opened.data.test_inputs
    rules = ("manc", "detection", "random")
    picks = pick(opened, samples, spec=TopLabels(), rules=rules, sizes=(3, 4), seed=5)
    bags = [set(bag.tolist()) for bag in divide(20, 3, 5)]
    for rule in rules:
        assert [len(set(chosen)) for chosen in picks[rule]] == [4, 4, 4]
        assert all(set(chosen) <= bag for chosen, bag in zip(picks[rule], bags, strict=True))
    assert picks["random"] != picks["manc"]
    again = pick(opened, samples, spec=TopLabels(), rules=rules, sizes=(3, 4), seed=5)
    assert picks == again


def test_a_bag_smaller_than_a_set_gives_all_it_has(opened):
    samples = opened.data.test_inputs[:5]
    picks = pick(opened, samples, spec=TopLabels(), rules=("random",), sizes=(2, 4), seed=5)
    assert [len(chosen) for chosen in picks["random"]] == [2, 2]


def slow_cover(rows, tiebreak, count):
    """The greedy rule, counted anew for every pick."""
    order, covered, left = [], np.zeros(rows.shape[1], bool), list(range(len(rows)))
    while len(order) < count:
        gains = [int((rows[each] & ~covered).sum()) for each in left]
        if not max(gains) and any(rows[each].any() for each in left):
            covered[:] = False
            continue
        best = [each for each, gain in zip(left, gains, strict=True) if gain == max(gains)]
        order.append(min(best, key=tiebreak.index))
        covered |= rows[order[-1]]
        left.remove(order[-1])
    return tuple(order)


@pytest.mark.usefixtures("few")
def test_detection_covers_detected_changes_and_breaks_ties_by_neurons(opened):
    samples, network = opened.data.test_inputs, opened.model.network
    (bag,) = divide(20, 1, 5)
    before = run_network(network, samples).argmax(1)
    noticed = np.stack(
        [
            run_network(recipe(network), samples).argmax(1) != before
            for recipe in small_recipes(opened.data)
        ],
        axis=1,
    )
    assert 0 < noticed.mean() < 1
    firing = np.unpackbits(active_neurons(network, samples), axis=1).astype(bool)
    manc = slow_cover(firing[bag], list(range(20)), 20)
    places = slow_cover(noticed[bag], list(manc), 6)
    picks = pick(opened, samples, spec=TopLabels(), rules=("detection",), sizes=(1, 6), seed=5)
    assert picks["detection"] == (tuple(int(bag[each]) for each in places),)


def test_small_changes_have_seeds_that_no_trial_has_and_are_all_different(opened):
    recipes = list(small_recipes(opened.data))
    assert all(recipe.seed >= SEED for recipe in recipes)
    assert len({repr(recipe) for recipe in recipes}) == len(recipes)


@pytest.mark.usefixtures("few")
def test_detected_changes_are_one_bit_each(opened):
    assert detect_small(opened, torch.rand(3, 1, 8, 8), TopLabels()).shape == (3, 2)
