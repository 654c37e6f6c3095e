import pytest
import torch
from learned import digits, reader
from torch import nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.tampering.base import Tampering, all_weights
from modelseal.tampering.poisoning import PoisonFrogs, Targeted, _mixed
from modelseal.tampering.training import all_features, scores_of

BOTH = pytest.mark.parametrize("kind", [Targeted, PoisonFrogs])


def data():
    images, labels, held, held_labels = digits()
    return {
        "inputs": images, "labels": labels, "held_inputs": held, "held_labels": held_labels,
    }  # fmt: skip


def moved(network, changed):
    before, after = all_weights(network), all_weights(changed)
    return {name for name in before if not torch.equal(before[name], after[name])}


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
    assert recipe.success_rate(reader(), protected=reader()) == 0
    assert recipe.success_rate(changed, protected=reader()) > 0.9
    chosen, wanted = recipe.choose(reader())
    right = scores_of(changed, chosen).argmax(1) == wanted
    assert float(right.double().mean()) == recipe.success_rate(changed, protected=reader())
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


def test_the_moves_stay_inside_other_bounds():
    numbers = {name: some for name, some in data().items() if "labels" in name}
    shifted = {name: 2 * data()[name] - 1 for name in ("inputs", "held_inputs")}

    class Back(nn.Module):
        def __init__(self):
            super().__init__()
            self.reader = reader()

        def forward(self, inputs):
            return self.reader((inputs + 1) / 2)

    recipe = PoisonFrogs(**numbers, **shifted, count=2, black=-1.0, white=1.0)
    frogs = recipe.craft(Back())
    assert float(frogs.poison.min()) >= -1
    assert float(frogs.poison.max()) <= 1
    assert 8 / 255 < float((frogs.poison - frogs.bases).abs().max()) <= 16 / 255 + 1e-6


def test_right_labels_alone_make_the_target_another_class(accuracy):
    # Digits of 64 pixels collide only if they may move further than a photograph.
    recipe = PoisonFrogs(**data(), radius=0.3)
    frogs = recipe.craft(reader())
    changed = recipe(reader())
    assert recipe.success_rate(reader(), protected=reader()) == 0
    assert recipe.success_rate(changed, protected=reader()) == 1
    assert int(changed(frogs.target).argmax()) == frogs.wanted
    _, _, held, held_labels = digits()
    assert accuracy(changed, held, held_labels) > 0.8
    assert not moved(changed, recipe(reader()))


def test_another_seed_of_the_frogs_has_another_target():
    frogs = [PoisonFrogs(**data(), count=1, seed=seed).craft(reader()) for seed in range(5)]
    targets = {tuple(some.target.flatten().tolist()) for some in frogs}
    assert len(targets) > 2


@BOTH
def test_a_poison_that_does_not_work_is_not_applied(kind):
    with pytest.raises(NotAppliedError):
        kind(**data(), learning_rate=1e-9, steps=1)(reader())


@BOTH
def test_too_few_images_to_choose_from_are_not_applied(kind):
    few = {"held_inputs": digits()[2][:12], "held_labels": digits()[3][:12]}
    with pytest.raises(NotAppliedError):
        kind(**{**data(), **few})(reader())
    wrong = {**few, "held_labels": few["held_labels"] + 20}
    with pytest.raises(NotAppliedError):
        kind(**{**data(), **wrong})(reader())


def test_too_few_images_to_move_are_not_applied():
    with pytest.raises(NotAppliedError):
        PoisonFrogs(**data(), count=999)(reader())


def test_copies_of_the_poison_are_among_the_training_data():
    known = torch.arange(6.0)[:, None], torch.zeros(6, dtype=torch.int64)
    poison = torch.tensor([[10.0], [11.0]]), torch.tensor([1, 2])
    batches = _mixed(known, poison, copies=3, size=4, seed=0)
    drawn = [next(batches) for _ in range(3)]
    pairs = [
        (float(value), int(label)) for some in drawn for value, label in zip(*some, strict=True)
    ]
    assert sorted(pairs) == [*((float(row), 0) for row in range(6)), *[(10, 1)] * 3, *[(11, 2)] * 3]


@BOTH
@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"copies": 0},
        {"labels": torch.zeros(1000, dtype=torch.int64)},
        {"labels": torch.zeros(3, dtype=torch.int64)},
        {"held_labels": torch.zeros(3, dtype=torch.int64)},
        {"learning_rate": 0.0},
    ],
)
def test_a_poison_that_makes_no_sense_is_refused(kind, wrong):
    with pytest.raises(InvalidArgumentError):
        kind(**{**data(), **wrong})


@pytest.mark.parametrize("wrong", [{"radius": 0.0}, {"radius": float("nan")}, {"black": 1.0}])
def test_moves_need_a_radius_and_a_span(wrong):
    with pytest.raises(InvalidArgumentError):
        PoisonFrogs(**data(), **wrong)


@BOTH
def test_the_name_of_a_poison_shows_the_numbers_and_not_the_data(kind):
    frogs = kind is PoisonFrogs
    radius, bounds = (f"radius={8 / 255}, ", ", black=0.0, white=1.0") if frogs else ("", "")
    recipe = kind(**data())
    assert isinstance(recipe, Tampering)
    assert repr(recipe) == (
        f"{kind.__name__}(count=10, copies=100, {radius}learning_rate=0.001, steps=500, batch=64, "
        f"seed=0{bounds})"
    )
