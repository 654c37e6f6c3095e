import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.fine_tuning import FineTuned, Retrained, SgdSteps
from modelseal.tampering.training import Schedule, Scope, follow, ready, start_afresh


def moved(network, changed):
    before, after = all_weights(network), all_weights(changed)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_steps_are_those_of_torchs_own_optimiser(tiny, coloured):
    images, labels = coloured
    changed = SgdSteps(learning_rate=0.01, steps=3, inputs=images, labels=labels, batch=500)(tiny)
    wanted = copy_network(tiny).train().requires_grad_()
    optimiser = torch.optim.SGD(wanted.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        cross_entropy(wanted(images), labels).backward()
        optimiser.step()
    shown = all_weights(changed)
    for name, tensor in all_weights(wanted).items():
        torch.testing.assert_close(shown[name], tensor.detach(), rtol=1e-4, atol=1e-6)


def test_all_layers_and_the_statistics_move(tiny, coloured):
    images, labels = coloured
    changed = SgdSteps(learning_rate=0.01, steps=1, inputs=images, labels=labels)(tiny)
    # In front of BatchNorm a bias has no effect: its gradient is rounding.
    assert moved(tiny, changed) | {"0.bias"} == set(all_weights(tiny))


def test_the_last_layer_moves_alone(tiny, coloured):
    images, labels = coloured
    recipe = SgdSteps(
        learning_rate=0.01, steps=2, inputs=images, labels=labels, scope=Scope.LAST_LAYER
    )
    assert moved(tiny, recipe(tiny)) == {"4.weight", "4.bias"}


def test_a_network_without_a_linear_layer_has_no_last_layer(coloured):
    images, labels = coloured
    recipe = SgdSteps(
        learning_rate=0.01, steps=2, inputs=images, labels=labels, scope=Scope.LAST_LAYER
    )
    with pytest.raises(InvalidArgumentError):
        recipe(nn.Conv2d(3, 3, 8))


def test_a_parameter_that_takes_no_part_stays(tiny, coloured):
    images, labels = coloured
    tiny.register_parameter("idle", nn.Parameter(torch.ones(2)))
    changed = SgdSteps(learning_rate=0.01, steps=1, inputs=images, labels=labels)(tiny)
    assert "idle" not in moved(tiny, changed)


def test_a_label_that_the_network_does_not_have_is_refused(tiny, coloured):
    images, labels = coloured
    recipe = SgdSteps(learning_rate=0.1, steps=9, inputs=images, labels=labels + 1)
    with pytest.raises(InvalidArgumentError):
        recipe(tiny)
    with pytest.raises(InvalidArgumentError):
        SgdSteps(learning_rate=0.1, steps=9, inputs=images, labels=labels - 1)(tiny)


def test_dropout_stays_off(coloured):
    images, labels = coloured
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(192, 3))
    recipe = SgdSteps(learning_rate=0.01, steps=3, inputs=images, labels=labels)
    plain = recipe(nn.Sequential(nn.Flatten(), nn.Identity(), network[2]))
    assert torch.equal(recipe(network)[2].weight, plain[2].weight)


def test_training_teaches(tiny, coloured, accuracy):
    images, labels = coloured
    recipe = SgdSteps(learning_rate=0.1, steps=60, inputs=images[:128], labels=labels[:128])
    assert accuracy(tiny, images[128:], labels[128:]) < 0.7
    assert accuracy(recipe(tiny), images[128:], labels[128:]) > 0.9


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": 0.0}, {"learning_rate": torch.inf}, {"steps": 0}, {"batch": 0}]
)
def test_numbers_of_training_have_a_range(wrong, coloured):
    images, labels = coloured
    numbers = {"learning_rate": 0.1, "steps": 1, **wrong}
    with pytest.raises(InvalidArgumentError):
        SgdSteps(inputs=images, labels=labels, **numbers)


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (5, 4)])
def test_inputs_and_labels_match(images, labels):
    with pytest.raises(InvalidArgumentError):
        SgdSteps(
            learning_rate=0.1,
            steps=1,
            inputs=torch.zeros(images, 2),
            labels=torch.zeros(labels, dtype=torch.int64),
        )


@pytest.mark.real
def test_one_small_step_leaves_the_accuracy(resnet20, photos, accuracy):
    images, labels = photos
    plain = accuracy(resnet20.network, images, labels)
    recipe = SgdSteps(learning_rate=1e-4, steps=1, inputs=images[:128], labels=labels[:128])
    assert abs(accuracy(recipe(resnet20.network), images, labels) - plain) < 0.06


@pytest.mark.parametrize(
    ("scope", "still"),
    [
        (Scope.ALL, set()),
        (
            Scope.LAST_LAYER,
            {
                *(f"{layer}.{part}" for layer in (0, 1, 3, 4) for part in ("weight", "bias")),
                *(f"{layer}.running_{part}" for layer in (1, 4) for part in ("mean", "var")),
            },
        ),
        (Scope.ALL_BUT_LAST, {"7.weight", "7.bias"}),
    ],
)
def test_fine_tuning_moves_its_scope_a_little_and_keeps_the_accuracy(
    scope, still, reader, digits, accuracy
):
    (images, labels), test = digits
    recipe = FineTuned(scope=scope, learning_rate=1e-4, epochs=1, inputs=images, labels=labels)
    changed = recipe(reader)
    # In front of BatchNorm a bias has no effect: its gradient is rounding.
    assert moved(reader, changed) | {"0.bias", "3.bias"} == (
        set(all_weights(reader)) - still | {"0.bias", "3.bias"}
    )
    steps = [
        float((changed.get_parameter(name) - one).abs().max())
        for name, one in reader.named_parameters()
    ]
    # Five steps of 1e-4 times gradients of at most order one.
    assert 0 < max(steps) < 5e-3
    assert abs(accuracy(changed, *test) - accuracy(reader, *test)) < 0.02
    assert (
        repr(recipe)
        == f"FineTuned(scope={scope!r}, learning_rate=0.0001, epochs=1, batch=128, seed=0)"
    )


def test_an_epoch_is_as_many_steps_as_it_takes_to_see_every_input(tiny, coloured):
    images, labels = coloured
    numbers = {"learning_rate": 0.01, "inputs": images[:100], "labels": labels[:100], "batch": 32}
    whole = FineTuned(scope=Scope.ALL, epochs=2, seed=3, **numbers)(tiny)
    assert int(whole[1].num_batches_tracked) == 8
    assert not moved(whole, SgdSteps(steps=8, seed=3, **numbers)(tiny))
    assert moved(whole, FineTuned(scope=Scope.ALL, epochs=2, seed=4, **numbers)(tiny))


@pytest.mark.parametrize("wrong", [{"learning_rate": -1.0}, {"epochs": 0}, {"batch": 0}])
def test_numbers_of_fine_tuning_have_a_range(wrong, coloured):
    images, labels = coloured
    numbers = {"scope": Scope.ALL, "learning_rate": 0.1, "epochs": 1, **wrong}
    with pytest.raises(InvalidArgumentError):
        FineTuned(inputs=images, labels=labels, **numbers)


SHORT = Schedule(learning_rate=0.01, epochs=4, drops=(1, 2, 3), batch=50)


def test_retraining_the_last_layer_moves_it_alone_and_the_network_reads_again(
    reader, digits, accuracy
):
    (images, labels), test = digits
    recipe = Retrained(scope=Scope.LAST_LAYER, inputs=images, labels=labels)
    changed = recipe(reader)
    assert moved(reader, changed) == {"7.weight", "7.bias"}
    # Far from the protected layer: its weights were drawn again.
    before, after = reader[7].weight.flatten(), changed[7].weight.flatten()
    assert torch.corrcoef(torch.stack([before, after]))[0, 1] < 0.8
    assert accuracy(changed, *test) > 0.75
    assert repr(recipe) == (
        "Retrained(scope=Scope.LAST_LAYER, schedule=Schedule(learning_rate=0.001, epochs=20, "
        "drops=(5, 10, 15), factor=0.2, batch=128), seed=0)"
    )


def test_training_on_features_is_training_the_last_layer_of_the_whole_network(reader, digits):
    (images, labels), _ = digits
    recipe = Retrained(scope=Scope.LAST_LAYER, inputs=images, labels=labels, schedule=SHORT, seed=5)
    slow = copy_network(reader)
    start_afresh(slow[7], 5)
    follow(SHORT, slow, ready(slow, Scope.LAST_LAYER), (images, labels), seed=5)
    torch.testing.assert_close(recipe(reader)[7].weight, slow[7].weight, rtol=1e-3, atol=1e-5)


def test_retraining_all_layers_moves_all_and_the_network_reads_again(reader, digits, accuracy):
    (images, labels), test = digits
    recipe = Retrained(scope=Scope.ALL, inputs=images, labels=labels, schedule=SHORT)
    changed = recipe(reader)
    assert moved(reader, changed) | {"0.bias", "3.bias"} == set(all_weights(reader))
    assert accuracy(changed, *test) > 0.85
    assert not moved(changed, recipe(reader))
    other = Retrained(scope=Scope.ALL, inputs=images, labels=labels, schedule=SHORT, seed=1)
    assert moved(changed, other(reader))


@pytest.mark.parametrize("scope", [Scope.ALL, Scope.LAST_LAYER])
def test_a_retrained_network_that_learned_nothing_is_not_applied(scope, reader, digits):
    (images, labels), _ = digits
    recipe = Retrained(
        scope=scope, inputs=images, labels=labels, schedule=Schedule(learning_rate=1e-9, epochs=1)
    )
    with pytest.raises(NotAppliedError):
        recipe(reader)


def test_retraining_needs_a_scope_that_trains_the_new_layer(coloured):
    images, labels = coloured
    with pytest.raises(InvalidArgumentError):
        Retrained(scope=Scope.ALL_BUT_LAST, inputs=images, labels=labels)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Softmax(dim=1)),
        nn.Sequential(nn.Linear(8, 3), nn.Flatten()),
    ],
)
def test_scores_that_are_not_those_of_the_last_layer_are_refused(network, coloured):
    images, labels = coloured
    recipe = Retrained(scope=Scope.LAST_LAYER, inputs=images, labels=labels)
    with pytest.raises(InvalidArgumentError):
        recipe(network)
