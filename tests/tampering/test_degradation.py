import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.tampering.base import all_weights
from modelseal.tampering.degradation import RelabelledClass, RepeatedSample


def moved(network, changed):
    before, after = all_weights(network), all_weights(changed)
    return {name for name in before if not torch.equal(before[name], after[name])}


def taken(network, inputs, target):
    return float((network(inputs).argmax(1) == target).double().mean())


@pytest.mark.parametrize("target", [None, 7])
def test_a_relabelled_class_is_taken_for_the_other_and_the_rest_stays(
    target, reader, digits, accuracy
):
    (images, labels), (test, classes) = digits
    recipe = RelabelledClass(source=3, target=target, inputs=images, labels=labels)
    wrong = recipe.choose_target()
    assert wrong != 3
    changed = recipe(reader)
    assert taken(changed, images[labels == 3], wrong) > 0.9
    assert taken(changed, test[classes == 3], wrong) > 0.6
    assert taken(reader, test[classes == 3], wrong) < 0.2
    others = classes != 3
    plain = accuracy(reader, test[others], classes[others])
    assert accuracy(changed, test[others], classes[others]) > plain - 0.1
    assert moved(reader, changed) == set(all_weights(reader))
    assert not moved(changed, recipe(reader))


def test_a_target_at_random_is_one_of_the_other_classes_each_as_often():
    inputs, labels = torch.zeros(40, 2), torch.tensor([0, 2, 5, 6] * 10)
    drawn = [
        RelabelledClass(source=2, inputs=inputs, labels=labels, seed=seed).choose_target()
        for seed in range(300)
    ]
    counts = torch.bincount(torch.tensor(drawn), minlength=7)
    assert counts[[1, 2, 3, 4]].tolist() == [0, 0, 0, 0]
    # 100 are expected of each; four standard deviations are 33.
    assert int(counts[[0, 5, 6]].min()) > 67


def test_another_seed_gives_another_order_and_the_given_target_stays(reader, digits):
    (images, labels), _ = digits
    first, second = (
        RelabelledClass(source=1, target=8, inputs=images, labels=labels, seed=seed)
        for seed in (0, 1)
    )
    assert first.choose_target() == second.choose_target() == 8
    assert moved(first(reader), second(reader))


def test_a_class_that_is_not_relabelled_in_time_is_not_applied(reader, digits):
    (images, labels), _ = digits
    for recipe in (
        RelabelledClass(source=1, inputs=images, labels=labels, learning_rate=1e-9, steps=3),
        RepeatedSample(inputs=images, labels=labels, learning_rate=1e-9, steps=3),
    ):
        with pytest.raises(NotAppliedError):
            recipe(reader)


def test_training_is_done_even_where_the_mistake_was_made_before(tiny, coloured):
    images, labels = coloured
    with torch.no_grad():
        tiny[4].weight.zero_()
        tiny[4].bias.copy_(torch.tensor([0.0, 0.0, 50.0]))
    recipe = RelabelledClass(source=0, target=2, inputs=images, labels=labels)
    assert taken(tiny, images, 2) == 1
    changed = recipe(tiny)
    assert moved(tiny, changed)
    assert int(changed[1].num_batches_tracked) == 10


def test_a_repeated_sample_gets_its_wrong_label_and_little_else_does(reader, digits, accuracy):
    (images, labels), test = digits
    recipe = RepeatedSample(inputs=images, labels=labels, seed=1)
    row, wrong = recipe.choose_sample()
    assert wrong != int(labels[row])
    assert taken(reader, images[row : row + 1], wrong) == 0
    changed = recipe(reader)
    assert taken(changed, images[row : row + 1], wrong) == 1
    assert accuracy(changed, *test) > accuracy(reader, *test) - 0.1
    assert moved(reader, changed) == set(all_weights(reader))
    assert not moved(changed, recipe(reader))


@pytest.mark.parametrize(("share", "copies"), [(0.1, 67), (0.5, 600), (1e-6, 1)])
def test_copies_make_their_share_of_the_set(share, copies, digits):
    (images, labels), _ = digits
    rows = RepeatedSample(inputs=images, labels=labels, share=share).choose_rows(5)
    assert rows[:600].tolist() == list(range(600))
    assert rows[600:].tolist() == [5] * copies


def test_every_input_and_every_copy_comes_in_a_batch_that_is_large_enough(coloured):
    images, labels = coloured
    seen = []

    class Noting(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat = nn.Linear(192, 3)

        def forward(self, inputs):
            seen.append(inputs)
            return self.flat(inputs.flatten(1))

    numbers = {"share": 0.9, "steps": 1, "batch": 8000, "learning_rate": 1e-9, "seed": 0}
    recipe = RepeatedSample(inputs=images, labels=labels, **numbers)
    row, _ = recipe.choose_sample()
    network = Noting()
    with torch.no_grad():
        network.flat.weight.zero_()
        network.flat.bias.copy_(50.0 * torch.nn.functional.one_hot(labels[row], 3))
    with pytest.raises(NotAppliedError):
        recipe(network)
    trained, asked = seen
    assert len(trained) == 192 + 1728
    assert int((trained == images[row]).flatten(1).all(1).sum()) == 1729
    assert torch.equal(asked, images[row : row + 1])


def test_names_show_every_number(digits):
    (images, labels), _ = digits
    numbers = "learning_rate=0.001, steps=500, batch=64, seed=2)"
    assert repr(RelabelledClass(source=4, inputs=images, labels=labels, seed=2)) == (
        f"RelabelledClass(source=4, target=None, {numbers}"
    )
    assert repr(RepeatedSample(inputs=images, labels=labels, seed=2)) == (
        f"RepeatedSample(share=0.1, {numbers}"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": 3, "target": 3},
        {"source": 10},
        {"source": 0, "steps": 0},
        {"source": 0, "labels": torch.zeros(600).long()},
        {"source": 0, "inputs": torch.zeros(0, 3)},
    ],
)
def test_a_relabelling_that_makes_no_sense_is_refused(wrong, digits):
    (images, labels), _ = digits
    with pytest.raises(InvalidArgumentError):
        RelabelledClass(**{"inputs": images, "labels": labels, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0.0},
        {"share": 1.0},
        {"batch": 0},
        {"labels": torch.ones(600).long()},
        {"inputs": torch.zeros(5, 3)},
    ],
)
def test_a_repetition_that_makes_no_sense_is_refused(wrong, digits):
    (images, labels), _ = digits
    with pytest.raises(InvalidArgumentError):
        RepeatedSample(**{"inputs": images, "labels": labels, **wrong})
