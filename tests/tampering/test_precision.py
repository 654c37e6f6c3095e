import numpy as np
import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights
from modelseal.tampering.weight_changes import Quantised, Rounded


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
    with pytest.raises(InvalidArgumentError, match=f"bits needs 1 to 16, but is {bits}"):
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
    with pytest.raises(InvalidArgumentError, match=r"float16 or bfloat16, but is torch\.int8"):
        Rounded(torch.int8)


@pytest.mark.real
@pytest.mark.parametrize("recipe", [Quantised(8), Rounded(torch.float16), Rounded(torch.bfloat16)])
def test_fewer_bits_leave_the_accuracy(recipe, resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(recipe(resnet20.network), *photos) - plain) < 0.03
