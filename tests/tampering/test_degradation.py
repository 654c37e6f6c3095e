import pytest
import torch
from learned import moved

from modelseal.errors import NotAppliedError
from modelseal.tampering.base import all_weights
from modelseal.tampering.degradation import RelabelledClass, RepeatedSample


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


def test_a_class_that_is_not_relabelled_in_time_is_not_applied(reader, digits):
    (images, labels), _ = digits
    for recipe in (
        RelabelledClass(source=1, inputs=images, labels=labels, learning_rate=1e-9, steps=3),
        RepeatedSample(inputs=images, labels=labels, learning_rate=1e-9, steps=3),
    ):
        with pytest.raises(NotAppliedError):
            recipe(reader)


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
