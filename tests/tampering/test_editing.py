import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights, matrices
from modelseal.tampering.low_rank import LoraTuned, LowRank, RankOne


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
        with pytest.raises(InvalidArgumentError, match="scale needs a positive number, but is"):
            recipe(scale)


def test_a_rank_is_positive(coloured):
    images, labels = coloured
    with pytest.raises(InvalidArgumentError, match="rank needs a positive number, but is 0"):
        LowRank(0.1, rank=0)
    with pytest.raises(InvalidArgumentError, match="rank needs a positive number, but is -1"):
        LoraTuned(inputs=images, labels=labels, rank=-1)


def test_tuning_by_lora_moves_weights_by_low_rank_and_nothing_else(tiny, coloured):
    images, labels = coloured
    changed = LoraTuned(inputs=images, labels=labels, rank=2, steps=5)(tiny)
    assert moved(tiny, changed) == {"0.weight", "4.weight"}
    for name in ("0.weight", "4.weight"):
        added, size = edit(tiny, changed, name)
        assert rank(added) <= 2
        assert 1e-4 < size < 0.5
    assert set(dict(changed.named_parameters())) == set(dict(tiny.named_parameters()))


def test_the_first_step_of_lora_is_that_of_adam_on_b_alone(coloured):
    images, labels = coloured
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    numbers = {"inputs": images, "labels": labels, "rank": 2, "learning_rate": 0.01, "batch": 192}
    changed = LoraTuned(**numbers, steps=1, seed=4)(network)
    source = torch.Generator().manual_seed(4)
    torch.randn(3, 2, generator=source, dtype=torch.float64)
    right = torch.randn(2, 192, generator=source, dtype=torch.float64) / 192**0.5
    (slope,) = torch.autograd.grad(cross_entropy(network(images), labels), network[1].weight)
    # Adam's first step is the sign; A has no gradient while B is zero.
    wanted = -0.01 * (slope.double() @ right.T).sign() @ right
    added = changed[1].weight.detach().double() - network[1].weight.detach().double()
    torch.testing.assert_close(added, wanted, rtol=1e-2, atol=1e-6)


def test_tuning_by_lora_teaches(tiny, coloured, accuracy):
    images, labels = coloured
    recipe = LoraTuned(inputs=images[:128], labels=labels[:128], learning_rate=0.01, steps=60)
    assert accuracy(tiny, images[128:], labels[128:]) < 0.7
    assert accuracy(recipe(tiny), images[128:], labels[128:]) > 0.9


def test_another_seed_of_lora_gives_another_network(tiny, coloured):
    images, labels = coloured
    one, same, other = (
        LoraTuned(inputs=images, labels=labels, steps=2, seed=seed)(tiny) for seed in (1, 1, 2)
    )
    assert not moved(one, same)
    assert moved(one, other)


def test_the_repr_shows_the_numbers_and_not_the_data(coloured):
    images, labels = coloured
    assert repr(LoraTuned(inputs=images, labels=labels)) == (
        "LoraTuned(rank=8, learning_rate=0.001, steps=100, batch=64, seed=0)"
    )
