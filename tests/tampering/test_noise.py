import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights
from modelseal.tampering.weight_changes import GaussianNoise


@pytest.mark.parametrize("scale", [1e-1, 1e-3])
def test_the_noise_is_in_proportion_to_each_tensors_spread(scale):
    network = nn.Sequential(nn.Linear(60, 50), nn.Linear(50, 60))
    with torch.no_grad():
        network[1].weight.mul_(100)
    changed = GaussianNoise(scale, seed=1)(network)
    for layer in (0, 1):
        before, after = network[layer].weight.detach(), changed[layer].weight
        noise = (after - before).double()
        # 3,000 draws: their spread is known to 1.3 %, their mean to 0.02 spreads.
        assert noise.std() / before.double().std() == pytest.approx(scale, rel=0.06)
        assert abs(noise.mean() / noise.std()) < 0.1
    first, second = (changed[i].weight - network[i].weight for i in (0, 1))
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.1


def test_every_weight_moves_and_only_equal_entries_stay(tiny):
    with torch.no_grad():
        tiny[1].running_var.copy_(torch.linspace(0.1, 1, 8))
        tiny[1].running_mean.copy_(torch.linspace(-1, 1, 8))
    before, after = all_weights(tiny), all_weights(GaussianNoise(1e-2)(tiny))
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {"1.weight", "1.bias"}  # all ones, all zeros
    assert all(bool((before[name] != after[name]).all()) for name in set(before) - still)


def test_a_variance_stays_positive():
    network = nn.BatchNorm2d(1000)
    network.running_var.copy_(torch.rand(1000, generator=torch.Generator().manual_seed(0)) * 1e-3)
    changed = GaussianNoise(10.0)(network)
    assert bool((changed.running_var > 0).all())
    assert not torch.equal(changed.running_var, network.running_var)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_is_positive(scale):
    with pytest.raises(InvalidArgumentError, match="scale needs a positive number, but is"):
        GaussianNoise(scale)


@pytest.mark.real
def test_a_thousandth_of_the_spread_leaves_the_accuracy(resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(GaussianNoise(1e-3)(resnet20.network), *photos) - plain) < 0.02
    assert accuracy(GaussianNoise(1.0)(resnet20.network), *photos) < 0.4
