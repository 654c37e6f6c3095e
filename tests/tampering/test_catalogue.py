import re
from pathlib import Path

import pytest
import torch

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.tampering.base import Tampering
from modelseal.tampering.catalogue import (
    TAMPERINGS,
    Data,
    list_changes,
    list_names,
    register_tampering,
)
from modelseal.tampering.weight_changes import GaussianNoise

SIXTEEN = (
    *("ftal", "ftll", "fzll", "rtal", "rtll", "distillation", "quantisation", "pruning"),
    *("degradation-random", "degradation-given", "degradation-sample", "targeted", "clean-label"),
    *("neuron-trojan", "unlearning", "online"),
)
HARDER = ("ftll-1e-5", "quantisation-16", "quantisation-6", "pruning-5", "pruning-1")
PAPER = ("badnets", "neuron-trojan", "targeted", "quantisation", "pruning", "noise-1e-2")
GRADED = {
    "noise": [2.0**-power for power in range(21)],
    "sgd": [2.0**-power for power in range(21)],
    "bit": list(range(32)),
    "prune": [2.0**-power for power in range(1, 13)],
    "rank-one": [2.0**-power for power in range(21)],
    "lora": [2.0**-power for power in range(21)],
}
SINGLES = (*SIXTEEN, *HARDER, "badnets", "noise-1e-2", "int8-torch", "int8-onnxruntime")
FIXED = {"quantisation", "pruning", *HARDER[1:], "prune", "int8-torch", "int8-onnxruntime"}
REPRS = {
    "ftal": "FineTuned(scope=Scope.ALL, learning_rate=0.0001, epochs=1, batch=128, seed=5)",
    "ftll": "FineTuned(scope=Scope.LAST_LAYER, learning_rate=0.0001, epochs=1, batch=128, seed=5)",
    "fzll": "FineTuned(scope=Scope.ALL_BUT_LAST, learning_rate=0.0001, epochs=5, batch=128, "
    "seed=5)",
    "ftll-1e-5": "FineTuned(scope=Scope.LAST_LAYER, learning_rate=1e-05, epochs=1, batch=128, "
    "seed=5)",
    "rtal": "Retrained(scope=Scope.ALL, schedule=Schedule(learning_rate=0.001, epochs=20, "
    "drops=(5, 10, 15), factor=0.2, batch=128), seed=5)",
    "rtll": "Retrained(scope=Scope.LAST_LAYER, schedule=Schedule(learning_rate=0.001, epochs=20, "
    "drops=(5, 10, 15), factor=0.2, batch=128), seed=5)",
    "distillation": "Distilled(schedule=Schedule(learning_rate=0.001, epochs=20, "
    "drops=(5, 10, 15), factor=0.2, batch=128), seed=5)",
    "quantisation": "Quantised(bits=8)",
    "quantisation-6": "Quantised(bits=6)",
    "quantisation-16": "Rounded(dtype=torch.float16)",
    "pruning": "Pruned(share=0.7)",
    "pruning-5": "Pruned(share=0.05)",
    "pruning-1": "Pruned(share=0.01)",
    "degradation-random": "RelabelledClass(source=5, target=None, learning_rate=0.001, steps=500, "
    "batch=64, seed=5)",
    "degradation-given": "RelabelledClass(source=5, target=6, learning_rate=0.001, steps=500, "
    "batch=64, seed=5)",
    "degradation-sample": "RepeatedSample(share=0.1, learning_rate=0.001, steps=500, batch=64, "
    "seed=5)",
    "unlearning": "Unlearned(learning_rate=0.0001, steps=4, seed=5)",
    "online": "LearnedOnline(step_size=0.0001, steps=100, seed=5)",
    "noise-1e-2": "GaussianNoise(scale=0.01, seed=5)",
    "targeted": "Targeted(count=10, copies=100, learning_rate=0.001, steps=500, batch=64, seed=5)",
    "clean-label": f"PoisonFrogs(count=10, copies=100, radius={8 / 255}, learning_rate=0.001, "
    "steps=500, batch=64, seed=5, black=0.0, white=1.0)",
    "badnets": "BadNetsPatch(target=5, share=0.1, learning_rate=0.001, steps=500, batch=64, "
    "seed=5, size=4, white=1.0)",
    "neuron-trojan": "NeuronTrojan(target=5, share=0.1, learning_rate=0.001, steps=500, batch=64, "
    "seed=5, size=4, black=0.0, white=1.0)",
    "int8-torch": "TorchInt8()",
    "int8-onnxruntime": "OnnxInt8()",
}


@pytest.fixture
def data(digits):
    (images, labels), (test, classes) = digits
    return Data(
        train_inputs=images,
        train_labels=labels,
        test_inputs=test,
        test_labels=classes,
        classes=10,
        white=1.0,
    )


def test_a_group_is_what_it_says(data):
    for name, members in (("bivbench", SIXTEEN), ("harder", HARDER), ("paper", PAPER)):
        changes = list_changes(name, data)
        assert tuple(change.name for change in changes) == members
        assert {change.level for change in changes} == {None}
    assert set(list_names()) == {"bivbench", "harder", "paper", *GRADED, *SINGLES}
    assert len(list_names()) == len(set(list_names()))


@pytest.mark.parametrize(("name", "levels"), GRADED.items(), ids=GRADED)
def test_a_graded_family_has_one_change_for_each_level(name, levels, data):
    changes = list_changes(name, data)
    assert [change.level for change in changes] == levels
    assert {change.name for change in changes} == {name}
    number = {"sgd": "learning_rate", "bit": "bit", "prune": "share"}.get(name, "scale")
    for change in changes:
        assert getattr(change.recipe(0), number) == change.level


@pytest.mark.parametrize("name", [name for name in list_names() if name != "paper"])
def test_recipes_have_names_of_their_own_for_each_seed_unless_they_are_fixed(name, data):
    changes = list_changes(name, data)
    recipes = [change.recipe(seed) for change in changes for seed in range(3)]
    assert all(isinstance(recipe, Tampering) for recipe in recipes)
    assert {change.name for change in changes if change.fixed} == {
        change.name for change in changes
    } & FIXED
    wanted = sum(1 if change.fixed else 3 for change in changes)
    assert len({repr(recipe) for recipe in recipes}) == wanted


@pytest.mark.parametrize(("name", "wanted"), REPRS.items(), ids=REPRS)
def test_a_change_has_the_published_settings(name, wanted, data):
    (change,) = list_changes(name, data)
    assert repr(change.recipe(5)) == wanted


def test_recipes_about_a_class_take_the_classes_in_turn(data):
    for name in ("badnets", "neuron-trojan"):
        (change,) = list_changes(name, data)
        assert [change.recipe(seed).target for seed in (0, 3, 9, 10)] == [0, 3, 9, 0]
    (change,) = list_changes("degradation-given", data)
    assert [change.recipe(9).source, change.recipe(9).target] == [9, 0]


def test_recipes_know_the_bounds_of_the_domain(digits):
    (images, labels), (test, classes) = digits
    numbers = {"train_labels": labels, "test_labels": classes, "classes": 10}
    data = Data(
        train_inputs=2 * images - 1, test_inputs=2 * test - 1, black=-1.0, white=0.5, **numbers
    )
    for name in ("neuron-trojan", "clean-label"):
        recipe = list_changes(name, data)[0].recipe(0)
        assert (recipe.black, recipe.white) == (-1, 0.5)
    assert list_changes("badnets", data)[0].recipe(0).white == 0.5


def test_an_unknown_name_is_told_what_there_is(data):
    with pytest.raises(InvalidArgumentError, match=r"online.*, got 'twist'"):
        list_changes("twist", data)


def test_a_change_of_a_user_s_own_is_drawn_anew_by_every_seed(data, tiny, monkeypatch):
    monkeypatch.setattr(TAMPERINGS, "_held", dict(TAMPERINGS._held))

    @register_tampering("faint-noise")
    def faint(data, seed):
        return GaussianNoise(1e-4, seed=seed)

    (change,) = list_changes("faint-noise", data)
    assert (change.name, change.level, change.fixed) == ("faint-noise", None, False)
    assert change.recipe(3) == GaussianNoise(1e-4, seed=3)
    assert "faint-noise" in list_names()
    with pytest.raises(InvalidArgumentError, match="faint-noise"):
        register_tampering("faint-noise")


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 9},
        {"white": 0.0},
        {"white": float("nan")},
        {"train_labels": torch.zeros(600).long()},
        {"test_labels": torch.zeros(6).long()},
        {"train_labels": torch.zeros(6).long()},
    ],
)
def test_data_that_no_recipe_could_learn_from_is_refused(wrong, data):
    names = ("train_inputs", "train_labels", "test_inputs", "test_labels", "classes", "white")
    with pytest.raises(InvalidArgumentError):
        Data(**{**{name: getattr(data, name) for name in names}, **wrong})


def test_the_documents_say_of_every_name_what_it_does():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "plan-toml.md").read_text(
        encoding="utf-8"
    )
    section = page.partition("## The changes")[2].partition("## Results")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    told = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(told) == sorted(list_names())


@pytest.mark.parametrize("name", [*GRADED, *SINGLES])
def test_every_change_applies_and_leaves_the_network(name, reader, data):
    changes, seed = list_changes(name, data), torch.random.get_rng_state()
    # Of a graded family the two ends and the middle.
    for change in {changes[0], changes[len(changes) // 2], changes[-1]}:
        try:
            changed = change.recipe(3)(reader)
        except NotAppliedError:
            # Four steps of 1e-4 on so few weights, and moves of 8/255 in so few pixels, are little.
            assert name in {"unlearning", "clean-label"}
            continue
        assert changed is not reader
        assert changed(data.test_inputs[:2]).shape == (2, data.classes)
        assert not any(module.training for module in changed.modules())
    assert torch.equal(torch.random.get_rng_state(), seed)
    assert not any(parameter.requires_grad for parameter in reader.parameters())
