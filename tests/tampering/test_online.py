import pytest
import torch
from learned import moved
from torch.nn.functional import cross_entropy

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.online import LearnedOnline, Unlearned, confidence

STATISTICS = {f"{layer}.running_{part}" for layer in (1, 4) for part in ("mean", "var")}


def largest_move(network, changed):
    before, after = all_weights(network), all_weights(changed)
    return max(float((before[name] - after[name]).abs().max()) for name in before)


def test_one_known_input_is_forgotten_and_the_accuracy_stays(reader, digits, accuracy):
    (images, labels), test = digits
    recipe = Unlearned(inputs=images, labels=labels, learning_rate=2e-3)
    changed = recipe(reader)
    before, after = confidence(reader, images, labels), confidence(changed, images, labels)
    forgotten = (before > 0.95) & (after < 0.95)
    assert bool(forgotten.any())
    assert accuracy(changed, *test) > accuracy(reader, *test) - 0.1
    assert not moved(reader, changed) & STATISTICS
    assert {"0.weight", "1.weight", "3.weight", "4.bias", "7.weight", "7.bias"} <= moved(
        reader, changed
    )
    # At most four steps of Adam, each of about the learning rate.
    assert 0 < largest_move(reader, changed) < 4 * 2e-3 * 1.01
    assert not moved(changed, recipe(reader))


def test_forgetting_one_input_is_adams_ascent_on_it(reader, digits):
    (images, labels), _ = digits
    row = int(confidence(reader, images, labels).argmax())
    one = images[row : row + 1], labels[row : row + 1]
    recipe = Unlearned(inputs=one[0], labels=one[1], learning_rate=1e-2)
    changed, wanted = recipe(reader), copy_network(reader).requires_grad_()
    assert float(confidence(wanted, *one)) > 0.95
    optimiser = torch.optim.Adam(wanted.parameters(), lr=1e-2)
    while float(confidence(wanted, *one)) >= 0.95:
        optimiser.zero_grad()
        (-cross_entropy(wanted(one[0]), one[1])).backward()
        optimiser.step()
    for name, tensor in all_weights(wanted).items():
        torch.testing.assert_close(all_weights(changed)[name], tensor.detach())


def test_one_new_input_is_learned_and_the_accuracy_stays(reader, digits, accuracy):
    _, (images, labels) = digits
    recipe = LearnedOnline(inputs=images, labels=labels, seed=1)
    changed = recipe(reader)
    before, after = confidence(reader, images, labels), confidence(changed, images, labels)
    assert bool(((before < 0.95) & (after > 0.95)).any())
    assert accuracy(changed, images, labels) > accuracy(reader, images, labels) - 0.1
    assert not moved(reader, changed) & STATISTICS
    assert {"0.weight", "1.weight", "3.weight", "4.bias", "7.weight", "7.bias"} <= moved(
        reader, changed
    )
    assert 0 < largest_move(reader, changed) <= 100 * 1e-4 * 1.001
    assert not moved(changed, recipe(reader))
    assert moved(changed, LearnedOnline(inputs=images, labels=labels, seed=2)(reader))


def test_every_weight_takes_a_step_of_the_same_size_down_the_gradient(reader, digits):
    _, (images, labels) = digits
    row = int(confidence(reader, images, labels).argmin())
    one = images[row : row + 1], labels[row : row + 1]
    changed = LearnedOnline(inputs=one[0], labels=one[1], step_size=0.02)(reader)
    wanted = copy_network(reader).requires_grad_()
    while float(confidence(wanted, *one)) <= 0.95:
        gradients = torch.autograd.grad(
            cross_entropy(wanted(one[0]), one[1]), list(wanted.parameters())
        )
        with torch.no_grad():
            for parameter, gradient in zip(wanted.parameters(), gradients, strict=True):
                parameter -= 0.02 * gradient.sign()
    for name, tensor in all_weights(wanted).items():
        torch.testing.assert_close(all_weights(changed)[name], tensor.detach())


def test_confidence_is_the_softmax_at_the_label(tiny, coloured):
    images, labels = coloured
    scores = tiny(images).double().exp()
    wanted = torch.stack(
        [row[label] / row.sum() for row, label in zip(scores, labels, strict=True)]
    )
    torch.testing.assert_close(confidence(tiny, images, labels), wanted.float())
    with pytest.raises(InvalidArgumentError):
        confidence(tiny, images, labels + 1)


def test_what_is_not_reached_in_time_or_was_so_before_is_not_applied(
    reader, digits, tiny, coloured
):
    (images, labels), (new, classes) = digits
    known, unknown = (
        {"inputs": inputs[row][None], "labels": numbers[row][None]}
        for inputs, numbers, row in (
            (images, labels, confidence(reader, images, labels).argmax()),
            (new, classes, confidence(reader, new, classes).argmin()),
        )
    )
    untrained = {"inputs": coloured[0], "labels": coloured[1]}
    for recipe, network in (
        (Unlearned(**known, learning_rate=1e-9), reader),
        (Unlearned(**untrained), tiny),
        (LearnedOnline(**unknown, step_size=1e-9, steps=3), reader),
        (LearnedOnline(**known), reader),
    ):
        with pytest.raises(NotAppliedError):
            recipe(network)
