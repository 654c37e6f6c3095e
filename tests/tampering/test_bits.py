import numpy as np
import pytest
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights
from modelseal.tampering.weight_changes import FlippedBit


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
    with pytest.raises(InvalidArgumentError, match=f"bit needs 0 to 31, but is {bit}"):
        FlippedBit(bit)


def test_other_types_are_refused(tiny):
    with pytest.raises(InvalidArgumentError, match=r"needs float32 weights, not torch\.float64"):
        FlippedBit(3)(tiny.double())


@pytest.mark.real
def test_one_mantissa_bit_leaves_the_accuracy(resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(FlippedBit(22)(resnet20.network), *photos) - plain) < 0.03
