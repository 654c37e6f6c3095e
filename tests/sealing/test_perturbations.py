"""Changed copies of a network, and flipped bits whose effect is foretold."""

import weakref

import numpy as np
import pytest
import torch
from crafted import make
from torch import nn

from modelseal.outputs.specs import parse_spec
from modelseal.runtime.inference import copy_network
from modelseal.sealing import perturbations
from modelseal.sealing.perturbations import (
    FLIPPED_BITS,
    differs,
    draw_flips,
    foretell_flips,
    list_families,
    small_copies,
)
from modelseal.tampering.base import all_weights, matrices
from modelseal.tampering.weight_changes import Quantised

TOP1 = parse_spec("top1")


class Scaled(nn.Module):
    """A network whose only weights have one axis."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.arange(1.0, 6.0))

    def forward(self, inputs):
        return inputs.flatten(1)[:, :5] * self.scale


@pytest.fixture
def inputs(model, starts):
    return starts(model.domain, 16)


@pytest.fixture
def samples(model, found):
    return torch.from_numpy(model.domain.decode(found.samples))


def weights(network):
    return torch.cat([each.flatten() for each in all_weights(network).values()])


def test_graded_families_go_from_the_smallest_change_to_the_largest(model, inputs):
    whole, families = weights(model.network), list_families(model, inputs, seed=0)
    assert len({family.name for family in families}) == len(families) == 10
    assert families[0].levels == tuple(2.0**-number for number in range(20, -1, -1))
    for family in families:
        assert list(family.levels) == sorted(set(family.levels))
        assert set(family.small) <= set(family.levels)
        assert (family.unit is None) == (len(family.levels) == 1)
        if family.unit is not None:
            sizes = [
                (weights(family.make(level, 3)(model.network)) - whole).norm()
                for level in family.levels[1::7]
            ]
            assert sizes[-1] > 0
            assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("count", "batch", "pool"), [(1, 1, 1), (3, 1, 3), (16, 8, 16), (600, 128, 512)]
)
def test_a_step_takes_half_of_the_inputs_or_128_with_the_network_s_own_labels(
    model, inputs, count, batch, pool
):
    many = inputs.repeat(40, 1, 1, 1)[:count] + torch.rand(count, 1, 1, 1) * 0.01
    family = list_families(model, many, seed=0)[1]
    step = family.make(0.5, 0)
    assert family.name == f"one SGD step on {batch} inputs"
    assert (step.batch, len(step.inputs)) == (batch, pool)
    with torch.no_grad():
        assert torch.equal(step.labels, model.network(step.inputs).argmax(1))


def test_the_same_seed_gives_the_same_copies_and_another_gives_others(model, inputs):
    before = weights(model.network).clone()
    one, again, other = (
        [weights(each) for each in small_copies(model, inputs, draws=2, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(*pair) for pair in zip(one, again, strict=True))
    assert sum(torch.equal(*pair) for pair in zip(one, other, strict=True)) == 14
    pairs = [(one[a], one[b]) for a in range(12) for b in range(a)]
    assert not any(torch.equal(*pair) for pair in pairs)
    assert torch.equal(weights(model.network), before)
    assert not any(each.requires_grad for each in model.network.parameters())


def test_changes_that_cannot_be_made_of_a_network_are_left_out(build):
    model = build(network=Scaled().eval().requires_grad_(requires_grad=False))
    changed = list(small_copies(model, torch.rand(4, 3, 8, 8), draws=1, seed=0))
    # Noise, a step and two ways of rounding; there is no matrix to edit, flip, prune or quantise.
    assert len(changed) == 4


def test_one_copy_at_a_time_is_there_if_the_last_one_was_dropped(model, inputs):
    alive, counts = weakref.WeakSet(), []

    def note(network):
        alive.add(network)
        counts.append(len(alive))

    list(map(note, small_copies(model, inputs, draws=2, seed=0)))
    # 14 random copies, and one of each size of what has no chance.
    assert len(counts) == 14 + 12
    assert set(counts) == {1}


def test_a_sample_differs_as_verifying_would_say(model, found, samples):
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
    model, naturals, spec, value
):
    made = make(model, naturals(model.domain), spec=spec, method="natural", factor=1.0)
    samples = torch.from_numpy(model.domain.decode(made.samples))
    broken = copy_network(model.network)
    broken[3].bias[2] = value
    wanted = made.expected.labels[:, 0] != 2 if spec == "top1" else np.zeros(len(made), bool)
    assert np.array_equal(differs(broken, samples, made), wanted)


def measured(network, samples, spec, *, seed, count):
    """Which flips samples notice, on a changed copy for each flip."""
    flips = draw_flips(matrices(network), seed=seed, count=count)
    before = spec.reveal(network(samples).double().numpy())
    columns = []
    for name, places in flips.places.items():
        for place, move in zip(places, flips.moves[name], strict=True):
            changed = copy_network(network)
            with torch.no_grad():
                dict(changed.named_parameters())[name].view(-1)[int(place)] += float(move)
            columns.append(~spec.agree(before, spec.reveal(changed(samples).double().numpy())))
    return np.array(columns).T


@pytest.mark.parametrize("spec", ["top1", "topk:2", "probs:4", "scores:0.0001"])
def test_what_is_foretold_is_what_changed_copies_show(model, samples, spec):
    spec = parse_spec(spec)
    foretold = foretell_flips(model.network, samples, spec=spec, seed=1, count=200)
    shown = measured(model.network, samples, spec, seed=1, count=200)
    assert foretold.shape == shown.shape == (len(samples), 200)
    assert 0.05 < shown.mean() < 0.95
    assert (foretold == shown).mean() > 0.99


def test_a_flip_is_one_bit_of_a_random_weight(model):
    tensors = matrices(model.network)
    flips = draw_flips(tensors, seed=0, count=2000)
    seen = set()
    for name, weight in tensors.items():
        places, moves = flips.places[name], flips.moves[name]
        before = weight.flatten()[torch.from_numpy(places)].numpy()
        after = (before.astype(np.float64) + moves).astype(np.float32)
        seen |= {int(each) for each in before.view(np.uint32) ^ after.view(np.uint32)}
        # A convolution has 216 of 2,776 weights.
        share = weight.numel() / sum(each.numel() for each in tensors.values())
        assert abs(len(places) / 2000 - share) < 0.03
    assert seen == {1 << bit for bit in FLIPPED_BITS}


def test_the_seed_decides_what_is_foretold_and_the_network_stays_as_it_was(
    model, samples, monkeypatch
):
    before = {name: each.clone() for name, each in model.network.state_dict().items()}

    def foretell(seed):
        return foretell_flips(model.network, samples, spec=TOP1, seed=seed, count=100)

    one, again, other = (foretell(seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    # However many are judged at once.
    monkeypatch.setattr(perturbations, "AT_ONCE", 5 * 7)
    assert np.array_equal(one, foretell(1))
    assert all(torch.equal(before[name], each) for name, each in model.network.state_dict().items())
    for parameter in model.network.parameters():
        assert (parameter.requires_grad, parameter.grad) == (False, None)


class Blind(nn.Module):
    """A network whose scores do not follow its weights."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 5)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1)).detach()


@pytest.mark.parametrize(
    "network", [Scaled(), Blind(), nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).half()]
)
def test_where_nothing_can_be_foretold_there_is_no_column(network, samples):
    foretold = foretell_flips(network.eval(), samples, spec=TOP1, seed=0)
    assert (foretold.shape, foretold.dtype) == ((len(samples), 0), bool)
