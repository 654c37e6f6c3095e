import numpy as np
import planned
import pytest
import torch

from modelseal.evaluation import subsets
from modelseal.evaluation.inputs import list_networks, open_network
from modelseal.evaluation.plan import read_plan
from modelseal.evaluation.subsets import detect_small, fill, pick
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.inference import run_network
from modelseal.sealing import pipeline
from modelseal.sealing.bitflips import FLIPS, foretell_flips
from modelseal.sealing.methods import make_samples
from modelseal.sealing.perturbations import Kind, small_copies
from modelseal.sealing.recipe import Method, Recipe
from modelseal.selection.activations import active_neurons


@pytest.fixture
def opened(tmp_path):
    path = planned.write_plan(tmp_path)
    return open_network(list_networks(read_plan(path), tmp_path)["small"])


@pytest.fixture
def few(monkeypatch):
    """One random change of each family."""
    monkeypatch.setattr(subsets, "DRAWS", 1)


def test_bags_are_random_draws_of_one_size_that_may_overlap():
    bags = fill(14, 6, 4, seed=1)
    assert [len(set(bag.tolist())) for bag in bags] == [4] * 6
    assert set().union(*(bag.tolist() for bag in bags)) <= set(range(14))
    assert len({tuple(sorted(bag.tolist())) for bag in bags}) > 1
    # Six bags of four share some of fourteen.
    assert len(np.unique(np.concatenate(bags))) < 24


def test_bags_are_drawn_by_the_seed_and_a_bag_stays_as_it_is_when_more_are_drawn():
    assert np.array_equal(fill(14, 4, 3, seed=1), fill(14, 4, 3, seed=1))
    assert np.array_equal(fill(14, 4, 3, seed=1), fill(14, 9, 3, seed=1)[:4])
    assert not np.array_equal(fill(14, 4, 3, seed=1), fill(14, 4, 3, seed=2))


def test_every_sample_is_drawn_about_equally_often():
    counts = np.bincount(np.concatenate(fill(10, 2000, 5, seed=3)), minlength=10)
    assert counts.sum() == 10_000
    # Five standard deviations of 2000 draws with a chance of one half.
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(500)


def test_no_more_samples_than_a_bag_takes_make_one_bag_of_all():
    assert [sorted(bag.tolist()) for bag in fill(5, 3, 64, seed=1)] == [[0, 1, 2, 3, 4]]
    assert [sorted(bag.tolist()) for bag in fill(5, 3, 5, seed=1)] == [[0, 1, 2, 3, 4]]


@pytest.mark.usefixtures("few")
def test_every_rule_chooses_different_samples_of_each_bag(opened):
    samples = opened.data.test_inputs
    rules = ("manc", "detection", "random")
    picks = pick(opened, samples, spec=TopLabels(), rules=rules, sizes=(3, 6, 4), seed=5)
    bags = [set(bag.tolist()) for bag in fill(20, 3, 6, 5)]
    for rule in rules:
        assert [len(set(chosen)) for chosen in picks[rule]] == [4, 4, 4]
        assert all(set(chosen) <= bag for chosen, bag in zip(picks[rule], bags, strict=True))
    assert picks["random"] != picks["manc"]
    again = pick(opened, samples, spec=TopLabels(), rules=rules, sizes=(3, 6, 4), seed=5)
    assert picks == again


def test_a_bag_smaller_than_a_set_gives_all_it_has(opened):
    samples = opened.data.test_inputs[:5]
    picks = pick(opened, samples, spec=TopLabels(), rules=("random",), sizes=(2, 3, 4), seed=5)
    assert [len(chosen) for chosen in picks["random"]] == [3, 3]
    picks = pick(opened, samples, spec=TopLabels(), rules=("random",), sizes=(2, 64, 8), seed=5)
    assert [sorted(chosen) for chosen in picks["random"]] == [[0, 1, 2, 3, 4]]


def slow_choice(noticed, firing, margins, count):
    """The greedy rule, counted anew for every pick: changes, then neurons, then the margin."""
    order, left = [], list(range(len(noticed)))
    seen, awake = np.zeros(noticed.shape[1], bool), np.zeros(firing.shape[1], bool)
    while len(order) < count:
        gains = {each: int((noticed[each] & ~seen).sum()) for each in left}
        if not max(gains.values()) and noticed[left].any():
            seen[:], awake[:] = False, False
            continue
        best = min(left, key=lambda own: (-gains[own], -(firing[own] & ~awake).sum(), margins[own]))
        order.append(best)
        seen |= noticed[best]
        awake |= firing[best]
        left.remove(best)
    return order


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("rows", [20, 12])
def test_detection_covers_the_seeded_changes_that_sealing_would_try_and_then_neurons(opened, rows):
    starts, network = opened.data.test_inputs[:rows], opened.model.network
    samples = make_samples(opened.model, starts, Recipe(method=Method.TWO_CLASS))
    before = run_network(network, samples)
    copies = small_copies(opened.model, samples, draws=1, seed=5, kinds=(Kind.DRAWN,))
    noticed = np.array([run_network(each, samples).argmax(1) for each in copies]).T
    flips = foretell_flips(network, samples, spec=TopLabels(), seed=5)
    noticed = np.hstack([noticed != before.argmax(1)[:, None], flips])
    assert 0 < noticed.mean() < 1
    firing = np.unpackbits(active_neurons(network, samples), axis=1).astype(bool)
    ordered = np.sort(before.astype(np.float64), axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    bags = fill(rows, 3, 9, 5)
    picks = pick(opened, samples, spec=TopLabels(), rules=("detection",), sizes=(3, 9, 6), seed=5)
    for bag, chosen in zip(bags, picks["detection"], strict=True):
        wanted = slow_choice(noticed[bag], firing[bag], margins[bag], 6)
        assert chosen == tuple(int(bag[place]) for place in wanted)


def test_as_many_seeded_changes_are_tried_as_sealing_tries(opened):
    assert subsets.DRAWS == pipeline.DRAWS
    samples = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    drawn = small_copies(opened.model, samples, draws=pipeline.DRAWS, seed=5, kinds=(Kind.DRAWN,))
    copies = sum(1 for _ in drawn)
    noticed = detect_small(opened, samples, TopLabels(), 5)
    assert (noticed.shape, noticed.dtype) == ((3, -(-(copies + FLIPS) // 8)), np.uint8)
