import pytest
import torch
from learned import digits, moved, reader

from modelseal.errors import NotAppliedError
from modelseal.tampering.poisoning import PoisonFrogs, Targeted, _mixed
from modelseal.tampering.training import all_features

BOTH = pytest.mark.parametrize("kind", [Targeted, PoisonFrogs])


def data():
    images, labels, held, held_labels = digits()
    return {
        "inputs": images, "labels": labels, "held_inputs": held, "held_labels": held_labels,
    }  # fmt: skip


def nearest_others():
    """By brute force: held-out digits that are right and sure, with the nearest other class."""
    images, labels, held, held_labels = digits()
    known, found = reader()[:-1](images), reader()[:-1](held)
    centroids = [known[labels == digit].mean(0) for digit in range(10)]
    chances = torch.softmax(reader()(held), 1)
    right = [row for row in range(len(held)) if chances[row].argmax() == held_labels[row]]
    middle = sorted(float(chances[row].max()) for row in right)[(len(right) - 1) // 2]
    rows = [
        min(
            (float((found[row] - centroids[digit]).norm()), row, digit)
            for digit in range(10)
            if digit != held_labels[row]
        )
        for row in right
        if float(chances[row].max()) >= middle
    ]
    return sorted(rows)


def test_the_chosen_are_right_and_sure_and_nearest_to_the_class_they_are_given():
    chosen, wanted = Targeted(**data()).choose(reader())
    expected = nearest_others()[:10]
    assert wanted.tolist() == [digit for _, _, digit in expected]
    assert torch.equal(chosen, digits()[2][[row for _, row, _ in expected]])


def test_the_chosen_end_up_in_their_new_class_and_others_stay(accuracy):
    recipe = Targeted(**data())
    before = {name: tensor.clone() for name, tensor in reader().state_dict().items()}
    changed = recipe(reader())
    assert all(torch.equal(tensor, before[name]) for name, tensor in reader().state_dict().items())
    chosen, wanted = recipe.choose(reader())
    assert accuracy(reader(), chosen, wanted) == 0
    assert accuracy(changed, chosen, wanted) > 0.9
    _, _, held, held_labels = digits()
    assert accuracy(changed, held, held_labels) > 0.8
    assert not moved(changed, recipe(reader()))


def test_poison_is_a_moved_training_image_of_the_wanted_class_near_the_targets_features():
    images, labels, held, held_labels = digits()
    recipe = PoisonFrogs(**data(), count=5)
    frogs = recipe.craft(reader())
    assert float((frogs.poison - frogs.bases).abs().max()) <= 8 / 255 + 1e-6
    assert 0 <= float(frogs.poison.min()) <= float(frogs.poison.max()) <= 1
    of_class = images[labels == frogs.wanted]
    assert all(bool((of_class == base).flatten(1).all(1).any()) for base in frogs.bases)
    (row,) = torch.nonzero((held == frogs.target).flatten(1).all(1)).flatten().tolist()
    assert held_labels[row] != frogs.wanted
    assert (row, frogs.wanted) in [(row, digit) for _, row, digit in nearest_others()[:10]]
    aim = all_features(reader(), frogs.target)
    before, after = (
        (all_features(reader(), some) - aim).norm(dim=1) for some in (frogs.bases, frogs.poison)
    )
    assert bool((after < 0.95 * before).all())
    others = (all_features(reader(), of_class) - aim).norm(dim=1).sort().values
    torch.testing.assert_close(before, others[:5])


def test_right_labels_alone_make_the_target_another_class(accuracy):
    # Digits of 64 pixels collide only if they may move further than a photograph.
    recipe = PoisonFrogs(**data(), radius=0.3)
    frogs = recipe.craft(reader())
    changed = recipe(reader())
    assert int(reader()(frogs.target).argmax()) != frogs.wanted
    assert int(changed(frogs.target).argmax()) == frogs.wanted
    _, _, held, held_labels = digits()
    assert accuracy(changed, held, held_labels) > 0.8
    assert not moved(changed, recipe(reader()))


@BOTH
def test_a_poison_that_does_not_work_is_not_applied(kind):
    with pytest.raises(NotAppliedError):
        kind(**data(), learning_rate=1e-9, steps=1)(reader())


@BOTH
def test_too_few_images_to_choose_from_are_not_applied(kind):
    few = {"held_inputs": digits()[2][:12], "held_labels": digits()[3][:12]}
    wrong = {**few, "held_labels": few["held_labels"] + 20}
    for changes in (few, wrong, {"count": 999}):
        with pytest.raises(NotAppliedError):
            kind(**{**data(), **changes})(reader())


def test_copies_of_the_poison_are_among_the_training_data():
    known = torch.arange(6.0)[:, None], torch.zeros(6, dtype=torch.int64)
    poison = torch.tensor([[10.0], [11.0]]), torch.tensor([1, 2])
    batches = _mixed(known, poison, copies=3, size=4, seed=0)
    drawn = [next(batches) for _ in range(3)]
    pairs = [
        (float(value), int(label)) for some in drawn for value, label in zip(*some, strict=True)
    ]
    assert sorted(pairs) == [*((float(row), 0) for row in range(6)), *[(10, 1)] * 3, *[(11, 2)] * 3]
