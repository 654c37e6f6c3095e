from itertools import count, repeat

import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.training import (
    Scope,
    check_data,
    check_numbers,
    descend,
    draw_batches,
    known_labels,
    last_linear,
    learn_until,
    ready,
    scores_of,
    share_taken_for,
)


def names_of(network, parameters):
    return {name for name, one in network.named_parameters() if any(one is p for p in parameters)}


@pytest.mark.parametrize(
    ("scope", "wanted", "moving"),
    [
        (Scope.ALL, {"0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"}, True),
        (Scope.LAST_LAYER, {"4.weight", "4.bias"}, False),
        (Scope.ALL_BUT_LAST, {"0.weight", "0.bias", "1.weight", "1.bias"}, True),
    ],
)
def test_a_scope_readies_its_layers_and_freezes_the_others(scope, wanted, moving, tiny):
    network = nn.Sequential(*copy_network(tiny), nn.Dropout(0.5)).eval()
    parameters = ready(network, scope)
    assert names_of(network, parameters) == wanted
    asking = {name for name, one in network.named_parameters() if one.requires_grad}
    assert asking == wanted
    assert [module.training for module in network] == [False, moving, *[False] * 4]


def test_the_last_layer_is_the_last_that_is_declared():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.ReLU())
    assert last_linear(network) is network[1]
    with pytest.raises(InvalidArgumentError):
        last_linear(nn.Conv2d(3, 3, 3))


def test_descending_leaves_no_gradient_and_moves_what_the_optimiser_holds(tiny, coloured):
    network = copy_network(tiny)
    parameters = ready(network, Scope.LAST_LAYER)
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    steps = descend(network, parameters, repeat(coloured, 3), optimiser=optimiser)
    assert torch.equal(network[4].weight, tiny[4].weight)  # nothing happens before it is asked
    assert list(steps) == [1, 2, 3]
    assert not torch.equal(network[4].weight, tiny[4].weight)
    assert all(parameter.grad is None for parameter in parameters)


def test_a_class_number_teaches_what_its_certain_probability_teaches(tiny, coloured):
    images, labels = coloured
    weights = []
    for wanted in (labels, nn.functional.one_hot(labels, 3).double()):
        network = copy_network(tiny)
        parameters = ready(network, Scope.ALL)
        optimiser = torch.optim.SGD(parameters, lr=0.1)
        assert list(descend(network, parameters, [(images, wanted)], optimiser=optimiser)) == [1]
        weights.append(all_weights(network))
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-4, atol=1e-6)


def test_learning_asks_after_every_ten_steps_and_after_the_last(tiny, coloured):
    asked, taken = [], count(1)

    def batches():
        while True:
            next(taken)
            yield coloured

    def works(network):
        assert not any(module.training for module in network.modules())
        assert not torch.is_grad_enabled()
        asked.append(next(taken) - 1)
        return False

    with pytest.raises(NotAppliedError):
        learn_until(tiny, batches=batches(), works=works, steps=25, learning_rate=1e-3)
    # Asking counts once itself.
    assert [number - place for place, number in enumerate(asked)] == [10, 20, 25]


def test_what_holds_before_training_is_no_reason_not_to_train(tiny, coloured):
    numbers = {"batches": repeat(coloured), "works": lambda network: True, "learning_rate": 1e-3}
    changed = learn_until(tiny, steps=500, **numbers)
    assert not torch.equal(changed[4].weight, tiny[4].weight)
    assert int(changed[1].num_batches_tracked) == 10  # it stopped at the first question
    again = learn_until(tiny, steps=10, **numbers)
    assert torch.equal(changed[4].weight, again[4].weight)
    once = learn_until(tiny, steps=1, **numbers)
    assert int(once[1].num_batches_tracked) == 1
    assert not any(parameter.requires_grad for parameter in changed.parameters())
    assert not any(module.training for module in changed.modules())


def test_learning_goes_on_in_training_mode_after_a_question(tiny, coloured):
    answers = iter([False, True])
    changed = learn_until(
        tiny,
        batches=repeat(coloured),
        works=lambda network: next(answers),
        steps=20,
        learning_rate=1e-3,
    )
    assert int(changed[1].num_batches_tracked) == 20


@pytest.mark.parametrize(("count", "size"), [(10, 4), (10, 10), (3, 8), (7, 1)])
def test_every_input_comes_once_before_one_comes_again(count, size):
    batches = draw_batches(count, size, seed=2)
    drawn = [next(batches) for _ in range(20)]
    assert {len(batch) for batch in drawn} == {min(size, count)}
    rows = torch.cat(drawn)
    for start in range(0, len(rows) - count + 1, count):
        assert rows[start : start + count].sort().values.tolist() == list(range(count))


def test_scores_are_those_of_the_network_however_many_inputs_there_are(tiny):
    images = torch.rand(600, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(scores_of(tiny, images.double()), tiny(images))
    shares = [share_taken_for(tiny, images, target) for target in range(3)]
    wanted = torch.bincount(tiny(images).argmax(1), minlength=3) / 600
    assert shares == pytest.approx(wanted.tolist())


def test_labels_are_known_if_there_is_a_score_for_each():
    labels = torch.tensor([0, 2, 1], dtype=torch.int16)
    assert known_labels(labels, torch.zeros(3, 3)).tolist() == [0, 2, 1]
    with pytest.raises(InvalidArgumentError):
        known_labels(labels, torch.zeros(3, 2))


@pytest.mark.parametrize("wrong", [(0.0, 1, 1), (torch.inf, 1, 1), (0.1, 0, 1), (0.1, 1, 0)])
def test_numbers_that_no_training_has_are_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        check_numbers(*wrong)


@pytest.mark.parametrize(("inputs", "labels"), [(0, 0), (2, 3)])
def test_each_input_has_a_label(inputs, labels):
    with pytest.raises(InvalidArgumentError):
        check_data(torch.zeros(inputs, 1), torch.zeros(labels))
