import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights, matrices
from modelseal.tampering.low_rank import LowRank, RankOne


def moved(network, changed):
    before, after = all_weights(network), all_weights(changed)
    return {name for name in before if not torch.equal(before[name], after[name])}


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


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_is_positive_and_finite(scale):
    for recipe in (RankOne, LowRank):
        with refuses(InvalidArgumentError, field="scale"):
            recipe(scale)


def test_a_rank_is_positive():
    with refuses(InvalidArgumentError, field="rank"):
        LowRank(0.1, rank=0)
