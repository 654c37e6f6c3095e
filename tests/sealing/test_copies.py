import copy
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from modelseal.errors import SealingError
from modelseal.runtime.inference import copy_network
from modelseal.sealing import perturbations as copying
from modelseal.sealing.candidates import generate
from modelseal.sealing.perturbations import (
    FINEST,
    applied,
    differs,
    list_families,
    powers,
    small_copies,
    step_family,
)
from modelseal.sealing.recipe import Method, Recipe
from modelseal.tampering.base import all_weights
from modelseal.tampering.weight_changes import FlippedBit, Pruned, Quantised

ALIVE = weakref.WeakSet()


class Watched(nn.Sequential):
    """A network that notes, whenever it runs, how many copies there are."""

    most = 0

    def __deepcopy__(self, memo):
        twin = Watched(*copy.deepcopy(list(self), memo))
        ALIVE.add(twin)
        return twin

    def forward(self, inputs):
        Watched.most = max(Watched.most, len(ALIVE))
        return super().forward(inputs)


class Scaled(nn.Module):
    """A network whose only weights have one axis."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.arange(1.0, 6.0))

    def forward(self, inputs):
        return inputs.flatten(1)[:, :5] * self.scale


@pytest.fixture
def inputs(model, naturals):
    return torch.from_numpy(model.domain.decode(naturals(model.domain)))


def weights(network):
    return torch.cat([each.flatten() for each in all_weights(network).values()])


def test_graded_families_go_from_the_smallest_change_to_the_largest(model, inputs):
    families = list_families(model, inputs, seed=0)
    names = [family.name for family in families]
    assert len(set(names)) == len(names) == 10
    for family in families:
        assert list(family.levels) == sorted(set(family.levels))
        assert set(family.small) <= set(family.levels)
        assert (family.unit is None) == (len(family.levels) == 1)
    assert families[0].levels == tuple(2.0**-number for number in range(20, -1, -1))
    assert powers(3, 1) == (0.125, 0.25, 0.5)
    assert FINEST == 20


def test_a_larger_size_is_a_larger_change_in_every_graded_family(model, inputs):
    whole = weights(model.network)
    for family in list_families(model, inputs, seed=0):
        if family.unit is None:
            continue
        sizes = [
            (weights(family.make(level, 3)(model.network)) - whole).norm()
            for level in family.levels[1::7]
        ]
        assert sizes == sorted(sizes)
        assert sizes[-1] > 0


def test_a_size_means_what_its_unit_says(model, inputs):
    noise, step, edit, *_, pruning, grid, _, _ = list_families(model, inputs, seed=0)
    assert pruning.make(0.25, 0) == Pruned(0.25)
    assert [grid.make(level, 0) for level in grid.levels[:2]] == [Quantised(16), Quantised(15)]
    assert (noise.make(0.5, 7).scale, noise.make(0.5, 7).seed) == (0.5, 7)
    assert (edit.make(0.5, 7).scale, edit.make(0.5, 7).seed) == (0.5, 7)
    made = step.make(0.5, 7)
    assert (made.learning_rate, made.seed, made.steps) == (0.5, 7, 1)


def test_a_flipped_bit_is_one_of_its_group_and_every_one_comes(model, inputs):
    groups = [
        {family.make(1.0, seed).bit for seed in range(64)}
        for family in list_families(model, inputs, seed=0)
        if isinstance(family.make(0.5, 0), FlippedBit)
    ]
    assert groups == [{31}, set(range(23, 31)), {19, 20, 21, 22}]


@pytest.mark.parametrize(
    ("count", "batch", "pool"),
    [(1, 1, 1), (3, 1, 3), (16, 8, 16), (300, 128, 300), (600, 128, 512)],
)
def test_a_step_takes_half_of_the_inputs_or_128_with_the_network_s_own_labels(
    model, inputs, count, batch, pool
):
    many = inputs.repeat(40, 1, 1, 1)[:count] + torch.rand(count, 1, 1, 1) * 0.01
    family = step_family(model, many, seed=0)
    step = family.make(0.5, 0)
    assert family.name == f"one SGD step on {batch} inputs"
    assert (step.batch, len(step.inputs)) == (batch, pool)
    with torch.no_grad():
        assert torch.equal(step.labels, model.network(step.inputs).argmax(1))


def test_a_step_on_large_inputs_takes_few_of_them():
    class Mean(nn.Module):
        def forward(self, inputs):
            return inputs.mean((2, 3))

    from modelseal.domain import Domain
    from modelseal.models.loader import Model

    large = Model(network=Mean(), domain=Domain(shape=(3, 256, 256), levels=256))
    family = step_family(large, torch.zeros(12, 3, 256, 256), seed=0)
    assert family.name == "one SGD step on 5 inputs"


def test_there_are_as_many_random_copies_as_drawn_and_one_of_each_fixed_size(model, inputs):
    families = list_families(model, inputs, seed=1)
    fixed = sum(len(family.small) for family in families if family.fixed)
    chance = sum(not family.fixed for family in families)
    counts = [sum(1 for _ in small_copies(model, inputs, draws=n, seed=1)) for n in (1, 3)]
    assert counts == [fixed + chance, fixed + 3 * chance]


def test_copies_for_choosing_have_seeds_that_no_trial_has(model, inputs, monkeypatch):
    changes = []
    monkeypatch.setattr(copying, "applied", lambda change, network: changes.append(change))
    assert list(small_copies(model, inputs, draws=3, seed=0)) == []
    seeds = [change.seed for change in changes if hasattr(change, "seed")]
    assert len(set(seeds)) == len(seeds) == 3 * 6
    assert 10**6 < min(seeds) <= max(seeds) < 2**62


def test_the_same_seed_gives_the_same_copies_and_another_gives_others(model, inputs):
    one, again, other = (
        [weights(each) for each in small_copies(model, inputs, draws=2, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(*pair) for pair in zip(one, again, strict=True))
    assert sum(torch.equal(*pair) for pair in zip(one, other, strict=True)) == 14
    pairs = [(one[a], one[b]) for a in range(12) for b in range(a)]
    assert not any(torch.equal(*pair) for pair in pairs)


def test_the_network_stays_as_it_was(model, inputs):
    before = weights(model.network).clone()
    assert sum(1 for _ in small_copies(model, inputs, draws=1, seed=0)) > 0
    assert torch.equal(weights(model.network), before)
    assert not any(each.requires_grad for each in model.network.parameters())


def test_changes_that_cannot_be_made_of_a_network_are_left_out(build):
    model = build(network=Scaled().eval().requires_grad_(requires_grad=False))
    inputs = torch.rand(4, 3, 8, 8)
    changed = list(small_copies(model, inputs, draws=1, seed=0))
    # Noise, a step and two ways of rounding; there is no matrix to edit, flip, prune or quantise.
    assert len(changed) == 4
    assert applied(Pruned(0.5), model.network) is None


def test_one_copy_at_a_time_is_there_if_the_last_one_was_dropped(build, network, found):
    watched = Watched(*network()).eval().requires_grad_(requires_grad=False)
    model = build(network=watched)
    samples = torch.from_numpy(model.domain.decode(found.samples))
    Watched.most = 0
    copies = small_copies(model, samples, draws=2, seed=0)
    masks = list(map(partial(differs, samples=samples, fingerprint=found), copies))
    assert len(masks) > 20
    assert Watched.most == 1


def test_a_sample_differs_as_verifying_would_say(model, found):
    samples = torch.from_numpy(model.domain.decode(found.samples))
    assert not differs(copy_network(model.network), samples, found).any()
    changed = Quantised(4)(model.network)
    with torch.no_grad():
        labels = changed(samples).argmax(1).numpy()
    wanted = labels != found.expected.labels[:, 0]
    assert np.array_equal(differs(changed, samples, found), wanted)
    assert wanted.any()


@pytest.mark.parametrize("spec", ["top1", "topprobs:2:3", "probs:3", "scores:0.01"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_the_highest_where_labels_are_shown_and_else_no_answer(
    model, naturals, quick, spec, value
):
    from modelseal.outputs.specs import parse_spec

    recipe = Recipe(variants=quick, spec=parse_spec(spec), method=Method.NATURAL, factor=1.0)
    made = generate(model, naturals(model.domain), recipe=recipe)
    samples = torch.from_numpy(model.domain.decode(made.samples))
    broken = copy_network(model.network)
    broken[3].bias[2] = value
    wanted = made.expected.labels[:, 0] != 2 if spec == "top1" else np.zeros(len(made), bool)
    assert np.array_equal(differs(broken, samples, made), wanted)


def test_a_network_that_cannot_be_run_is_a_sealing_error(found):
    with pytest.raises(SealingError, match="the network cannot be run in this way"):
        differs(nn.Sequential(nn.Flatten(), nn.Linear(3, 5)), torch.rand(12, 3, 8, 8), found)
