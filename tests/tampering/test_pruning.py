import numpy as np
import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights
from modelseal.tampering.weight_changes import Pruned


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
    with pytest.raises(InvalidArgumentError, match="share needs 0 to 1, and not 0, but is"):
        Pruned(share)


@pytest.mark.real
def test_a_twentieth_can_go_unnoticed_and_most_cannot(resnet20, photos, accuracy):
    plain = accuracy(resnet20.network, *photos)
    assert abs(accuracy(Pruned(0.05)(resnet20.network), *photos) - plain) < 0.02
    assert accuracy(Pruned(0.9)(resnet20.network), *photos) < 0.4
