import pytest
import torch
from learned import moved
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.fine_tuning import Distilled, FineTuned, Retrained, SgdSteps
from modelseal.tampering.training import Schedule, Scope, follow, ready, start_afresh


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


def test_an_epoch_is_as_many_steps_as_it_takes_to_see_every_input(tiny, coloured):
    images, labels = coloured
    numbers = {"learning_rate": 0.01, "inputs": images[:100], "labels": labels[:100], "batch": 32}
    whole = FineTuned(scope=Scope.ALL, epochs=2, seed=3, **numbers)(tiny)
    assert int(whole[1].num_batches_tracked) == 8
    assert not moved(whole, SgdSteps(steps=8, seed=3, **numbers)(tiny))
    assert moved(whole, FineTuned(scope=Scope.ALL, epochs=2, seed=4, **numbers)(tiny))


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


def agreement(first, second, inputs):
    return float((first(inputs).argmax(1) == second(inputs).argmax(1)).double().mean())


def test_a_student_shares_no_weight_with_its_teacher_and_agrees_with_it(reader, digits):
    (images, _), (test, _) = digits
    recipe = Distilled(inputs=images, schedule=SHORT)
    student = recipe(reader)
    assert agreement(student, reader, test) > 0.8
    before, after = all_weights(reader), all_weights(student)
    for name in ("0.weight", "3.weight", "7.weight", "4.running_mean"):
        assert bool((before[name] != after[name]).all())
        both = torch.stack([before[name].flatten(), after[name].flatten()])
        assert torch.corrcoef(both)[0, 1] < 0.7
    assert torch.equal(recipe(reader)[7].weight, student[7].weight)
    assert not torch.equal(
        Distilled(inputs=images, schedule=SHORT, seed=4)(reader)[7].weight, student[7].weight
    )


def test_one_step_of_a_student_is_that_of_adam_on_the_teachers_probabilities(reader, digits):
    (images, _), _ = digits
    once = Schedule(learning_rate=0.05, epochs=1, drops=(), batch=600)
    student = Distilled(inputs=images, schedule=once, seed=1)(reader)
    wanted = copy_network(reader)
    probabilities = reader(images).softmax(1)
    start_afresh(wanted, 1)
    optimiser = torch.optim.Adam(ready(wanted, Scope.ALL), lr=0.05)
    (-(probabilities * log_softmax(wanted(images), 1)).sum(1).mean()).backward()
    optimiser.step()
    # The order in which inputs are summed up is another.
    difference = (student[7].weight - wanted[7].weight.detach()).abs()
    assert float(difference.quantile(0.99)) < 1e-3


def test_a_student_that_learned_nothing_is_not_applied(reader, digits):
    (images, _), _ = digits
    recipe = Distilled(inputs=images, schedule=Schedule(learning_rate=1e-9, epochs=1))
    with pytest.raises(NotAppliedError):
        recipe(reader)
