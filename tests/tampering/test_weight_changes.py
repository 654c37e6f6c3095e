"""Weights changed by a rule: noise, pruning, flipped bits, quantisation and rounding."""

import numpy as np
import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights
from modelseal.tampering.weight_changes import (
    FlippedBit,
    GaussianNoise,
    Pruned,
    Quantised,
    Rounded,
)


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
    with refuses(InvalidArgumentError, field="scale"):
        GaussianNoise(scale)


@pytest.mark.real
def test_a_thousandth_of_the_spread_leaves_the_accuracy(resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(GaussianNoise(1e-3)(resnet20.network), *photos) - plain) < 0.02
    assert accuracy(GaussianNoise(1.0)(resnet20.network), *photos) < 0.4


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_the_smallest_weights_of_the_whole_network_become_zero(share, tiny):
    with torch.no_grad():
        tiny[0].weight.mul_(10)
    changed = Pruned(share)(tiny)
    before, after = (
        np.concatenate([network[layer].weight.numpy().ravel() for layer in (0, 4)])
        for network in (tiny, changed)
    )
    gone = set(sorted(range(len(before)), key=lambda i: abs(before[i]))[: round(share * 1752)])
    assert len(before) == 1752
    assert set(np.flatnonzero(after == 0)) == gone
    kept = sorted(set(range(1752)) - gone)
    assert np.array_equal(after[kept], before[kept])
    if share == 0.01:  # ranked over the whole network: the larger layer loses next to nothing
        assert torch.count_nonzero(changed[0].weight) > 0.99 * changed[0].weight.numel()


def test_pruning_leaves_biases_and_batchnorm(tiny):
    before, after = all_weights(tiny), all_weights(Pruned(0.5)(tiny))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"0.weight", "4.weight"}


def test_the_count_is_exact_where_magnitudes_are_equal():
    network = nn.Linear(10, 10)
    nn.init.ones_(network.weight)
    assert torch.count_nonzero(Pruned(0.25)(network).weight) == 75


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_has_a_range(share):
    with refuses(InvalidArgumentError, field="share"):
        Pruned(share)


@pytest.mark.real
def test_a_twentieth_can_go_unnoticed_and_most_cannot(resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(Pruned(0.05)(resnet20.network), *photos) - plain) < 0.02
    assert accuracy(Pruned(0.9)(resnet20.network), *photos) < 0.4


def words(network):
    tensors = all_weights(network)
    return np.concatenate([tensors[name].numpy().ravel().view(np.uint32) for name in tensors])


@pytest.mark.parametrize("bit", range(32))
def test_one_bit_of_one_weight_is_another(bit, tiny):
    difference = words(tiny) ^ words(FlippedBit(bit, seed=bit)(tiny))
    assert difference[difference != 0].tolist() == [1 << bit]


def test_flipping_twice_gives_the_network_back(tiny):
    recipe = FlippedBit(30)
    assert np.array_equal(words(recipe(recipe(tiny))), words(tiny))


def test_only_matrices_are_hit_and_each_weight_is_equally_likely(tiny):
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()
    before, hits = words(network.requires_grad_(requires_grad=False)), np.zeros(25, dtype=int)
    for seed in range(900):
        hits += before != words(FlippedBit(31, seed=seed)(network))
    allowed = [index for index, count in enumerate(hits) if count]
    assert len(allowed) == 9
    # 100 hits are expected on each; five standard deviations are 47.
    assert hits[allowed].min() > 53
    assert hits[allowed].max() < 147


def test_an_infinity_is_kept():
    network = nn.Linear(1, 1)
    nn.init.ones_(network.weight)
    assert FlippedBit(30)(network).weight.item() == float("inf")


@pytest.mark.parametrize("bit", [-1, 32])
def test_a_float32_has_32_bits(bit):
    with refuses(InvalidArgumentError, field="bit"):
        FlippedBit(bit)


def test_other_types_are_refused(tiny):
    with pytest.raises(InvalidArgumentError, match="float64"):
        FlippedBit(3)(tiny.double())


@pytest.mark.real
def test_one_mantissa_bit_leaves_the_accuracy(resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(FlippedBit(22)(resnet20.network), *photos) - plain) < 0.03


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_each_weight_moves_to_the_nearest_point_of_its_tensors_grid(bits, tiny):
    changed = Quantised(bits)(tiny)
    for layer in (0, 4):
        before = tiny[layer].weight.double().numpy()
        grid = np.linspace(before.min(), before.max(), 2**bits)
        nearest = grid[np.abs(before[..., None] - grid).argmin(-1)]
        assert np.array_equal(changed[layer].weight.numpy(), nearest.astype(np.float32))
        assert len(np.unique(changed[layer].weight.numpy())) <= 2**bits
        assert changed[layer].weight.min() == tiny[layer].weight.min()
        assert changed[layer].weight.max() == tiny[layer].weight.max()


def test_quantising_leaves_biases_and_batchnorm(tiny):
    before, after = all_weights(tiny), all_weights(Quantised(2)(tiny))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"0.weight", "4.weight"}


def test_a_tensor_of_equal_entries_stays():
    network = nn.Linear(3, 2)
    nn.init.constant_(network.weight, 0.3)
    assert torch.equal(Quantised(8)(network).weight, network.weight)


@pytest.mark.parametrize("bits", [0, 17])
def test_bits_have_a_range(bits):
    with refuses(InvalidArgumentError, field="bits"):
        Quantised(bits)


def test_rounding_to_half_precision_is_that_of_numpy_for_every_weight(tiny):
    with torch.no_grad():
        tiny[1].running_var.fill_(1.0001)
    before, after = all_weights(tiny), all_weights(Rounded(torch.float16)(tiny))
    for name in before:
        assert after[name].dtype == torch.float32
        assert np.array_equal(after[name].numpy(), before[name].numpy().astype(np.float16))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"0.weight", "0.bias", "4.weight", "4.bias", "1.running_var"} <= moved


def test_rounding_to_bfloat16_keeps_the_upper_half_of_the_bits(tiny):
    for tensor in all_weights(Rounded(torch.bfloat16)(tiny)).values():
        assert not bool((tensor.contiguous().view(torch.int32) & 0xFFFF).any())
    before, after = tiny[0].weight, Rounded(torch.bfloat16)(tiny)[0].weight
    assert bool(((after - before).abs() <= before.abs() * 2**-8).all())


def test_another_format_is_refused():
    with refuses(InvalidArgumentError, field="dtype"):
        Rounded(torch.int8)


@pytest.mark.real
@pytest.mark.parametrize("recipe", [Quantised(8), Rounded(torch.float16), Rounded(torch.bfloat16)])
def test_fewer_bits_leave_the_accuracy(recipe, resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(recipe(resnet20.network), *photos) - plain) < 0.03
