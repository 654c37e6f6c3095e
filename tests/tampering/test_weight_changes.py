"""Weights changed by a rule: noise, pruning, flipped bits, quantisation, rounding, low rank."""

import numpy as np
import pytest
import torch
from learned import moved
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights, matrices
from modelseal.tampering.weight_changes import (
    FlippedBit,
    GaussianNoise,
    LowRank,
    Pruned,
    Quantised,
    RankOne,
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


def test_the_count_is_exact_where_magnitudes_are_equal():
    network = nn.Linear(10, 10)
    nn.init.ones_(network.weight)
    assert torch.count_nonzero(Pruned(0.25)(network).weight) == 75


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


def test_other_types_are_refused(tiny):
    with pytest.raises(InvalidArgumentError, match="float64"):
        FlippedBit(3)(tiny.double())


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


def test_a_tensor_of_equal_entries_stays():
    network = nn.Linear(3, 2)
    nn.init.constant_(network.weight, 0.3)
    assert torch.equal(Quantised(8)(network).weight, network.weight)


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


@pytest.mark.real
@pytest.mark.parametrize(
    "recipe",
    [
        *(GaussianNoise(1e-3), Pruned(0.05), FlippedBit(22)),
        *(Quantised(8), Rounded(torch.float16), Rounded(torch.bfloat16)),
    ],
    ids=repr,
)
def test_a_small_change_leaves_the_accuracy(recipe, resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(recipe(resnet20.network), *photos) - plain) < 0.03


@pytest.mark.real
@pytest.mark.parametrize("recipe", [GaussianNoise(1.0), Pruned(0.9)], ids=repr)
def test_a_large_change_does_not(recipe, resnet20, photos, accuracy):
    assert accuracy(recipe(resnet20.network), *photos) < 0.4


def edit(network, changed, name):
    """What was added to a weight, and the size of it relative to the weight."""
    before, after = (matrices(one)[name].double().flatten(1) for one in (network, changed))
    return after - before, float((after - before).norm() / before.norm())


def rank(matrix):
    """Singular values above what rounding the weights to float32 adds."""
    values = torch.linalg.svdvals(matrix)
    return int((values > 1e-4 * values[0]).sum())


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_one_weight_gets_a_matrix_of_rank_one_and_of_the_wanted_size(scale, tiny):
    seen = set()
    for seed in range(6):
        changed = RankOne(scale, seed=seed)(tiny)
        (name,) = moved(tiny, changed)
        added, size = edit(tiny, changed, name)
        assert rank(added) == 1
        assert size == pytest.approx(scale, rel=1e-3)
        seen.add(name)
    assert seen == {"0.weight", "4.weight"}


@pytest.mark.parametrize(("wanted", "came"), [(2, (2, 2)), (8, (8, 3))])
def test_every_weight_gets_a_matrix_of_the_wanted_rank_and_size(wanted, came, tiny):
    changed = LowRank(0.01, rank=wanted)(tiny)
    assert moved(tiny, changed) == {"0.weight", "4.weight"}
    for name, least in zip(("0.weight", "4.weight"), came, strict=True):
        added, size = edit(tiny, changed, name)
        assert rank(added) == least
        assert size == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("recipe", [RankOne, LowRank])
def test_the_scale_changes_the_size_only_and_the_seed_the_direction(recipe, tiny):
    large, small, other = (
        recipe(scale, seed=seed)(tiny) for scale, seed in ((1.0, 0), (0.5, 0), (1.0, 3))
    )
    assert moved(tiny, large) == moved(tiny, small)
    for name in moved(tiny, large):
        added, half = edit(tiny, large, name)[0], edit(tiny, small, name)[0]
        torch.testing.assert_close(added, 2 * half, rtol=1e-3, atol=1e-6)
    assert moved(large, other)


@pytest.mark.parametrize("recipe", [RankOne(0.1), LowRank(0.1)])
def test_a_weight_of_zeros_stays(recipe):
    network = nn.Linear(3, 2)
    nn.init.zeros_(network.weight)
    assert not moved(network, recipe(network))
