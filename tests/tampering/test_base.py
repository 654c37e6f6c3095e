import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.models.transforms import Normalised
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Tampering, all_weights, matrices, random_source
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.low_rank import LowRank, RankOne
from modelseal.tampering.training import Scope
from modelseal.tampering.weight_changes import FlippedBit, GaussianNoise, Pruned, Quantised, Rounded

IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(3))
CLASSES = torch.arange(12) % 3
TRAINED = {"inputs": IMAGES, "labels": CLASSES, "batch": 8}

# Every recipe by its name: a new one is one more line.
RECIPES = {
    "GaussianNoise(scale=0.001, seed=3)": GaussianNoise(1e-3, seed=3),
    "Quantised(bits=8)": Quantised(8),
    "Rounded(dtype=torch.float16)": Rounded(torch.float16),
    "Rounded(dtype=torch.bfloat16)": Rounded(torch.bfloat16),
    "Pruned(share=0.25)": Pruned(0.25),
    "FlippedBit(bit=22, seed=0)": FlippedBit(22),
    "SgdSteps(learning_rate=0.0001, steps=2, batch=8, seed=0, scope=Scope.ALL)": SgdSteps(
        learning_rate=1e-4, steps=2, **TRAINED
    ),
    "SgdSteps(learning_rate=0.1, steps=1, batch=8, seed=1, scope=Scope.LAST_LAYER)": SgdSteps(
        learning_rate=0.1, steps=1, seed=1, scope=Scope.LAST_LAYER, **TRAINED
    ),
    "RankOne(scale=0.001, seed=1)": RankOne(1e-3, seed=1),
    "LowRank(scale=0.001, rank=8, seed=0)": LowRank(1e-3),
}
every_recipe = pytest.mark.parametrize(("name", "recipe"), RECIPES.items(), ids=RECIPES)


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(first, second):
    # NaN would equal nothing, not even itself.
    return all(torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first)


@every_recipe
def test_the_repr_is_the_name(name, recipe):
    assert isinstance(recipe, Tampering)
    assert repr(recipe) == name


@every_recipe
def test_a_recipe_changes_a_copy_and_never_the_network(name, recipe, tiny):
    before, seed = state(tiny), torch.random.get_rng_state()
    changed = recipe(tiny)
    assert same(state(tiny), before)
    assert not any(parameter.requires_grad for parameter in tiny.parameters())
    assert not any(module.training for module in tiny.modules())
    assert not same(state(changed), before)
    assert torch.equal(torch.random.get_rng_state(), seed)


@every_recipe
def test_a_changed_network_is_ready_to_run(name, recipe, tiny):
    changed = recipe(tiny)
    assert type(changed) is type(tiny)
    assert not any(module.training for module in changed.modules())
    assert not any(parameter.requires_grad for parameter in changed.parameters())
    assert not any(parameter.grad is not None for parameter in changed.parameters())
    assert changed(IMAGES).shape == (12, 3)


@every_recipe
def test_the_same_recipe_gives_the_same_network(name, recipe, tiny):
    assert same(state(recipe(tiny)), state(recipe(tiny)))


@every_recipe
def test_a_recipe_works_in_a_context_that_forbids_gradients(name, recipe, tiny):
    with torch.no_grad():
        changed = recipe(tiny)
    assert same(state(changed), state(recipe(tiny)))


@every_recipe
def test_a_recipe_does_not_mind_the_memory_layout(name, recipe, tiny):
    wanted = state(recipe(tiny))
    shown = state(recipe(tiny.to(memory_format=torch.channels_last)))
    for key in wanted:
        torch.testing.assert_close(shown[key], wanted[key], rtol=1e-4, atol=1e-6)


@every_recipe
def test_the_normalisation_is_no_weight(name, recipe, tiny):
    network = Normalised(tiny, mean=[0.3, 0.1, 0.7], std=[0.3, 0.1, 0.7]).eval()
    changed = recipe(network)
    assert torch.equal(changed.mean, network.mean)
    assert torch.equal(changed.std, network.std)


@pytest.mark.parametrize(
    "recipe",
    [recipe for name, recipe in RECIPES.items() if not name.startswith("FlippedBit")],
    ids=repr,
)
def test_a_recipe_keeps_the_type_of_the_weights(recipe, tiny):
    changed = recipe(tiny.double())
    assert {tensor.dtype for tensor in all_weights(changed).values()} == {torch.float64}
    assert not same(state(changed), state(tiny))


@pytest.mark.parametrize("family", ["noise", "bits", "training"])
def test_another_seed_gives_another_network(family, tiny):
    def make(seed):
        match family:
            case "noise":
                return GaussianNoise(1e-3, seed=seed)
            case "bits":
                return FlippedBit(22, seed=seed)
        return SgdSteps(learning_rate=0.1, steps=1, seed=seed, **TRAINED)

    assert not same(state(make(0)(tiny)), state(make(1)(tiny)))


def test_statistics_count_as_weights_and_counters_do_not(tiny):
    tiny.register_buffer("other", torch.ones(3))
    names = ["0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"]
    assert set(all_weights(tiny)) == {*names, "1.running_mean", "1.running_var"}
    assert set(matrices(tiny)) == {"0.weight", "4.weight"}


def test_a_network_without_matrices_is_refused():
    with pytest.raises(InvalidArgumentError):
        matrices(nn.BatchNorm2d(3))


def test_a_copy_shares_no_weights(tiny):
    pairs = zip(tiny.parameters(), copy_network(tiny.train()).parameters(), strict=True)
    assert all(one.data_ptr() != other.data_ptr() for one, other in pairs)
    assert tiny.training


def test_the_same_seed_gives_the_same_numbers():
    first, second = (torch.rand(4, generator=random_source(5)) for _ in range(2))
    assert torch.equal(first, second)
