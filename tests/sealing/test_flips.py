import numpy as np
import pytest
import torch
from torch import nn

from modelseal.outputs.specs import parse_spec
from modelseal.runtime.inference import copy_network
from modelseal.sealing import bitflips as foretelling
from modelseal.sealing.bitflips import BITS, draw_flips, foretell_flips
from modelseal.tampering.base import matrices

TOP1 = parse_spec("top1")


@pytest.fixture
def samples(model, found):
    return torch.from_numpy(model.domain.decode(found.samples))


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
    foretold = foretell_flips(model.network, samples, spec=spec, seed=1, count=300)
    shown = measured(model.network, samples, spec, seed=1, count=300)
    assert foretold.shape == shown.shape == (len(samples), 300)
    assert 0.05 < shown.mean() < 0.95
    assert (foretold == shown).mean() > 0.99


def test_a_flip_is_one_bit_of_a_random_weight(model):
    weights = matrices(model.network)
    flips = draw_flips(weights, seed=0, count=2000)
    seen = set()
    for name, weight in weights.items():
        places, moves = flips.places[name], flips.moves[name]
        before = weight.flatten()[torch.from_numpy(places)].numpy()
        after = (before.astype(np.float64) + moves).astype(np.float32)
        different = before.view(np.uint32) ^ after.view(np.uint32)
        seen |= {int(each) for each in different}
        # A convolution has 216 of 2,776 weights.
        share = weight.numel() / sum(each.numel() for each in weights.values())
        assert abs(len(places) / 2000 - share) < 0.03
    assert seen == {1 << bit for bit in BITS}


def test_the_seed_decides_and_nothing_else(model, samples):
    one, again, other = (
        foretell_flips(model.network, samples, spec=TOP1, seed=seed, count=100)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_network_stays_as_it_was(model, samples):
    before = {name: each.clone() for name, each in model.network.state_dict().items()}
    foretell_flips(model.network, samples, spec=TOP1, seed=0, count=10)
    assert all(torch.equal(before[name], each) for name, each in model.network.state_dict().items())
    for parameter in model.network.parameters():
        assert (parameter.requires_grad, parameter.grad) == (False, None)


def test_however_many_are_judged_at_once_the_same_is_foretold(model, samples, monkeypatch):
    whole = foretell_flips(model.network, samples, spec=TOP1, seed=0, count=50)
    monkeypatch.setattr(foretelling, "AT_ONCE", 5 * 7)
    assert np.array_equal(
        whole, foretell_flips(model.network, samples, spec=TOP1, seed=0, count=50)
    )


def test_scores_that_are_far_from_leading_cost_no_pass(build, samples, monkeypatch):
    passes = []
    derive = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: passes.append(1) or derive(*a, **k))
    model = build()
    foretell_flips(model.network, samples[:3], spec=TOP1, seed=0, count=5)
    assert len(passes) == 3 * 5
    monkeypatch.setattr(foretelling, "CLASSES", 2)
    foretell_flips(model.network, samples[:3], spec=TOP1, seed=0, count=5)
    assert len(passes) == 3 * 5 + 3 * 2


class Flat(nn.Module):
    """A network without matrices."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, inputs):
        return inputs.flatten(1)[:, :5] * self.scale


class Blind(nn.Module):
    """A network whose scores do not follow its weights."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 5)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1)).detach()


@pytest.mark.parametrize(
    "network", [Flat(), Blind(), nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).half()]
)
def test_where_nothing_can_be_foretold_there_is_no_column(network, samples):
    foretold = foretell_flips(network.eval(), samples, spec=TOP1, seed=0)
    assert (foretold.shape, foretold.dtype) == ((len(samples), 0), bool)


def test_weights_that_a_score_does_not_need_move_nothing(build, samples):
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.spare = nn.Linear(192, 5), nn.Linear(192, 50)

        def forward(self, inputs):
            return self.layer(inputs.flatten(1))

    network = Spare().eval().requires_grad_(requires_grad=False)
    foretold = foretell_flips(network, samples, spec=TOP1, seed=0, count=200)
    used = len(draw_flips(matrices(network), seed=0, count=200).places["layer.weight"])
    assert 0 < used < 50
    assert not foretold[:, used:].any()
