"""What holds for every recipe, and what none of them takes."""

import pytest
import torch
from learned import moved
from refusals import refuses
from torch import nn

import modelseal.tampering as recipes
from modelseal.errors import InvalidArgumentError
from modelseal.models.transforms import Normalised
from modelseal.tampering import Schedule, Scope
from modelseal.tampering.base import Tampering, all_weights, matrices

IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(3))
CLASSES = torch.arange(12) % 3
TRAINED = {"inputs": IMAGES, "labels": CLASSES}
HELD = {**TRAINED, "held_inputs": IMAGES, "held_labels": CLASSES}

# Every quick recipe by its name: a new one is one more line.
RECIPES = {
    "GaussianNoise(scale=0.001, seed=3)": recipes.GaussianNoise(1e-3, seed=3),
    "Quantised(bits=8)": recipes.Quantised(8),
    "Rounded(dtype=torch.float16)": recipes.Rounded(torch.float16),
    "Rounded(dtype=torch.bfloat16)": recipes.Rounded(torch.bfloat16),
    "Pruned(share=0.25)": recipes.Pruned(0.25),
    "FlippedBit(bit=22, seed=0)": recipes.FlippedBit(22),
    "SgdSteps(learning_rate=0.0001, steps=2, batch=8, seed=0, scope=Scope.ALL)": recipes.SgdSteps(
        learning_rate=1e-4, steps=2, batch=8, **TRAINED
    ),
    "SgdSteps(learning_rate=0.1, steps=1, batch=8, seed=1, scope=Scope.LAST_LAYER)": (
        recipes.SgdSteps(
            learning_rate=0.1, steps=1, seed=1, scope=Scope.LAST_LAYER, batch=8, **TRAINED
        )
    ),
    "RankOne(scale=0.001, seed=1)": recipes.RankOne(1e-3, seed=1),
    "LowRank(scale=0.001, rank=8, seed=0)": recipes.LowRank(1e-3),
}
every_recipe = pytest.mark.parametrize(("name", "recipe"), RECIPES.items(), ids=RECIPES)


def state(network):
    # NaN would equal nothing, not even itself.
    return {name: tensor.clone().nan_to_num() for name, tensor in network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@every_recipe
def test_a_recipe_gives_a_changed_copy_ready_to_run_and_leaves_the_network(name, recipe, tiny):
    assert isinstance(recipe, Tampering)
    assert repr(recipe) == name
    before, seed = state(tiny), torch.random.get_rng_state()
    changed = recipe(tiny)
    assert same(state(tiny), before)
    assert torch.equal(torch.random.get_rng_state(), seed)
    assert not same(state(changed), before)
    assert changed(IMAGES).shape == (12, 3)
    for network in (tiny, changed):
        assert not any(each.requires_grad or each.grad is not None for each in network.parameters())
        assert not any(module.training for module in network.modules())


@every_recipe
def test_the_same_recipe_gives_the_same_network_even_where_gradients_are_forbidden(
    name, recipe, tiny
):
    wanted = state(recipe(tiny))
    with torch.no_grad():
        assert same(state(recipe(tiny)), wanted)
    other = state(recipe(tiny.to(memory_format=torch.channels_last)))
    for key in wanted:
        torch.testing.assert_close(other[key], wanted[key], rtol=1e-4, atol=1e-6)


@every_recipe
def test_the_normalisation_is_no_weight_and_weights_keep_their_type(name, recipe, tiny):
    network = Normalised(tiny, mean=[0.3, 0.1, 0.7], std=[0.3, 0.1, 0.7]).eval()
    changed = recipe(network)
    assert torch.equal(changed.mean, network.mean)
    assert torch.equal(changed.std, network.std)
    if not isinstance(recipe, recipes.FlippedBit):
        changed = recipe(tiny.double())
        assert {tensor.dtype for tensor in all_weights(changed).values()} == {torch.float64}


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        (recipes.GaussianNoise, {"scale": 1e-3}),
        (recipes.FlippedBit, {"bit": 22}),
        (recipes.SgdSteps, {"learning_rate": 0.1, "steps": 1, "batch": 8, **TRAINED}),
    ],
)
def test_another_seed_gives_another_network(recipe, settings, tiny):
    assert moved(*(recipe(seed=seed, **settings)(tiny) for seed in (0, 1)))


def test_statistics_count_as_weights_and_counters_do_not(tiny):
    tiny.register_buffer("other", torch.ones(3))
    names = ["0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"]
    assert set(all_weights(tiny)) == {*names, "1.running_mean", "1.running_var"}
    assert set(matrices(tiny)) == {"0.weight", "4.weight"}
    with pytest.raises(InvalidArgumentError):
        matrices(nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    ("recipe", "field", "values"),
    [
        (recipes.GaussianNoise, "scale", (0.0, -1.0, torch.inf, torch.nan)),
        (recipes.RankOne, "scale", (0.0, -1.0, torch.inf, torch.nan)),
        (recipes.LowRank, "scale", (0.0, -1.0, torch.inf, torch.nan)),
        (recipes.LowRank, "rank", (0,)),
        (recipes.Pruned, "share", (0.0, -0.1, 1.1, torch.nan)),
        (recipes.FlippedBit, "bit", (-1, 32)),
        (recipes.Quantised, "bits", (0, 17)),
        (recipes.Rounded, "dtype", (torch.int8,)),
        (recipes.TorchInt8, "inputs", (IMAGES[:0],)),
        (recipes.OnnxInt8, "inputs", (IMAGES[:0],)),
        (recipes.Distilled, "inputs", (IMAGES[:0],)),
    ],
)
def test_a_value_out_of_its_range_is_refused(recipe, field, values):
    needed = {"scale": 0.1} if field == "rank" else {}
    for value in values:
        with refuses(InvalidArgumentError, field=field):
            recipe(**needed, **{field: value})


LEARNING = {
    recipes.SgdSteps: {"learning_rate": 0.1, "steps": 1, **TRAINED},
    recipes.FineTuned: {"scope": Scope.ALL, "learning_rate": 0.1, "epochs": 1, **TRAINED},
    recipes.Retrained: {"scope": Scope.ALL, **TRAINED},
    recipes.RelabelledClass: {"source": 0, **TRAINED},
    recipes.RepeatedSample: TRAINED,
    recipes.Unlearned: TRAINED,
    recipes.LearnedOnline: TRAINED,
    recipes.Targeted: HELD,
    recipes.PoisonFrogs: HELD,
    recipes.BadNetsPatch: {"target": 0, **TRAINED},
    recipes.NeuronTrojan: {"target": 0, **TRAINED},
    Schedule: {},
}
ONE_CLASS = {"labels": torch.zeros(12, dtype=torch.int64)}
WRONG = {
    recipes.FineTuned: [{"epochs": 0}],
    recipes.Retrained: [{"scope": Scope.ALL_BUT_LAST}],
    recipes.RelabelledClass: [{"target": 0}, {"source": 10}, ONE_CLASS],
    recipes.RepeatedSample: [{"share": 0.0}, {"share": 1.0}, ONE_CLASS],
    recipes.LearnedOnline: [{"step_size": -1.0}],
    recipes.Targeted: [{"count": 0}, {"copies": 0}, {"held_labels": CLASSES[1:]}, ONE_CLASS],
    recipes.PoisonFrogs: [
        *({"count": 0}, {"copies": 0}, {"held_labels": CLASSES[1:]}, ONE_CLASS),
        *({"radius": 0.0}, {"radius": torch.nan}, {"black": 1.0}),
    ],
    recipes.BadNetsPatch: [
        *({"share": 0.0}, {"share": 1.0}, {"target": -1}, {"size": 0}, {"size": 9}),
        *({"inputs": IMAGES.flatten(1)}, ONE_CLASS),
    ],
    recipes.NeuronTrojan: [
        *({"share": 0.0}, {"share": 1.0}, {"target": -1}, {"size": 0}, {"black": 1.0}),
        *({"inputs": IMAGES.flatten(1)}, {"inputs": IMAGES[..., :1]}, ONE_CLASS),
    ],
    Schedule: [{"epochs": 0}, {"factor": 0.0}, {"factor": 1.5}, {"drops": (0, 3)}],
}
SHARED = [
    *({"learning_rate": 0.0}, {"learning_rate": torch.inf}, {"steps": 0}, {"batch": 0}),
    *({"labels": CLASSES[1:]}, {"inputs": IMAGES[:0], "labels": CLASSES[:0]}),
]


@pytest.mark.parametrize("recipe", LEARNING)
def test_training_that_makes_no_sense_is_refused(recipe):
    recipe(**LEARNING[recipe])
    fitting = [wrong for wrong in SHARED if set(wrong) <= set(recipe.__dataclass_fields__)]
    for wrong in [*fitting, *WRONG.get(recipe, [])]:
        with pytest.raises(InvalidArgumentError):
            recipe(**{**LEARNING[recipe], **wrong})
