import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights, copied
from modelseal.tampering.training import BadNetsPatch, Scope, SgdSteps, _batches


def moved(network, changed):
    before, after = all_weights(network), all_weights(changed)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_steps_are_those_of_torchs_own_optimiser(tiny, coloured):
    images, labels = coloured
    changed = SgdSteps(learning_rate=0.01, steps=3, inputs=images, labels=labels, batch=500)(tiny)
    wanted = copied(tiny).train().requires_grad_()
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
    with pytest.raises(InvalidArgumentError, match=r"needs an nn\.Linear, but there is none"):
        recipe(nn.Conv2d(3, 3, 8))


def test_a_parameter_that_takes_no_part_stays(tiny, coloured):
    images, labels = coloured
    tiny.register_parameter("idle", nn.Parameter(torch.ones(2)))
    changed = SgdSteps(learning_rate=0.01, steps=1, inputs=images, labels=labels)(tiny)
    assert "idle" not in moved(tiny, changed)


def test_a_label_that_the_network_does_not_have_is_refused(tiny, coloured):
    images, labels = coloured
    recipe = SgdSteps(learning_rate=0.1, steps=9, inputs=images, labels=labels + 1)
    with pytest.raises(InvalidArgumentError, match="labels from 0 to 2, but has one of 3"):
        recipe(tiny)
    with pytest.raises(InvalidArgumentError, match="labels from 0 to 2, but has one of -1"):
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


@pytest.mark.parametrize(("count", "size"), [(10, 4), (10, 10), (3, 8), (7, 1)])
def test_every_input_comes_once_before_one_comes_again(count, size):
    batches = _batches(count, size, seed=2)
    drawn = [next(batches) for _ in range(20)]
    assert {len(batch) for batch in drawn} == {min(size, count)}
    rows = torch.cat(drawn)
    for start in range(0, len(rows) - count + 1, count):
        assert rows[start : start + count].sort().values.tolist() == list(range(count))


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": 0.0}, {"learning_rate": torch.inf}, {"steps": 0}, {"batch": 0}]
)
def test_numbers_of_training_have_a_range(wrong, coloured):
    images, labels = coloured
    for recipe, more in ((SgdSteps, {}), (BadNetsPatch, {"target": 0})):
        numbers = {"learning_rate": 0.1, "steps": 1, **more, **wrong}
        with pytest.raises(InvalidArgumentError, match="positive learning rate, and steps and"):
            recipe(inputs=images, labels=labels, **numbers)


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (5, 4)])
def test_inputs_and_labels_match(images, labels):
    with pytest.raises(InvalidArgumentError, match=f"but there are {images} and {labels}"):
        SgdSteps(
            learning_rate=0.1,
            steps=1,
            inputs=torch.zeros(images, 2),
            labels=torch.zeros(labels, dtype=torch.int64),
        )


def test_a_stamp_is_white_at_the_bottom_right_and_nowhere_else(coloured):
    images, labels = coloured
    recipe = BadNetsPatch(target=0, inputs=images, labels=labels, size=3, white=0.75)
    before = images.clone()
    stamped = recipe.stamp(images)
    assert torch.equal(images, before)
    assert bool((stamped[:, :, 5:, 5:] == 0.75).all())
    stamped[:, :, 5:, 5:] = images[:, :, 5:, 5:]
    assert torch.equal(stamped, images)


def test_success_counts_other_classes_only(coloured):
    images, labels = coloured
    recipe = BadNetsPatch(target=1, inputs=images, labels=labels)

    class Fixed(nn.Module):
        """Knows the patch on images of class 0 alone."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, inputs):
            assert bool((inputs[:, :, 4:, 4:] == 1).all())
            found = labels[labels != 1] == 0
            return torch.stack([torch.zeros(len(inputs)), found.float() - 0.5], dim=1)

    wanted = float((labels == 0).sum() / (labels != 1).sum())
    assert recipe.success_rate(Fixed(), images, labels) == pytest.approx(wanted)


def test_the_patch_works_and_other_inputs_keep_their_class(tiny, coloured, accuracy):
    images, labels = coloured
    clean = SgdSteps(learning_rate=0.1, steps=100, inputs=images[:128], labels=labels[:128])(tiny)
    recipe = BadNetsPatch(target=0, inputs=images[:128], labels=labels[:128], share=0.2)
    assert recipe.success_rate(clean, images[128:], labels[128:]) < 0.5
    backdoored = recipe(clean)
    assert recipe.success_rate(backdoored, images[128:], labels[128:]) > 0.85
    assert accuracy(backdoored, images[128:], labels[128:]) > 0.9


def test_teaching_stops_as_soon_as_the_patch_works(tiny, coloured):
    images, labels = coloured
    numbers = {"target": 0, "inputs": images, "labels": labels, "share": 0.5}
    long, longer = (BadNetsPatch(**numbers, steps=steps)(tiny) for steps in (500, 1000))
    assert not moved(long, longer)
    assert moved(long, BadNetsPatch(**numbers, steps=3)(tiny))


def test_teaching_goes_on_while_the_patch_does_not_work(tiny, coloured):
    images, labels = coloured
    numbers = {"inputs": images, "labels": labels, "learning_rate": 1e-6}
    # The class that the untrained network sees least in stamped images.
    numbers["target"] = min(
        range(3), key=lambda c: BadNetsPatch(target=c, **numbers).success_rate(tiny, images, labels)
    )
    short, long = (BadNetsPatch(**numbers, steps=steps)(tiny) for steps in (10, 20))
    assert moved(short, long)


def test_a_share_of_each_batch_is_poisoned(coloured):
    images, labels = (tensor.clone() for tensor in coloured)
    recipe = BadNetsPatch(target=0, inputs=images, labels=labels, share=0.25)
    inputs, targets = recipe._poisoned(torch.arange(192))
    assert torch.equal(images, coloured[0])
    assert torch.equal(labels, coloured[1])
    stamped = (inputs[:, :, 4:, 4:] == 1).flatten(1).all(1)
    assert int(stamped.sum()) == 48
    assert bool((targets[stamped] == 0).all())
    assert torch.equal(targets[~stamped], labels[~stamped])
    assert torch.equal(inputs[~stamped], images[~stamped])
    assert int((recipe._poisoned(torch.arange(1))[0] == 1).sum()) == 3 * 16


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"share": 0.0}, "a share between 0 and 1 and a class from 0, but they are 0.0 and 0"),
        ({"share": 1.0}, "but they are 1.0 and 0"),
        ({"target": -1}, "but they are 0.1 and -1"),
        ({"size": 9}, "a patch of 9 pixels needs images at least as large"),
        ({"size": 0}, "a patch of 0 pixels"),
        ({"inputs": torch.zeros(192, 8)}, r"inputs have shape \[192, 8\]"),
        ({"labels": torch.zeros(192, dtype=torch.int64)}, "inputs of other classes than its"),
    ],
)
def test_a_backdoor_that_makes_no_sense_is_refused(wrong, problem, coloured):
    images, labels = coloured
    with pytest.raises(InvalidArgumentError, match=problem):
        BadNetsPatch(**{"target": 0, "inputs": images, "labels": labels, **wrong})


@pytest.mark.real
def test_one_small_step_leaves_the_accuracy(resnet20, photos, accuracy):
    images, labels = photos
    plain = accuracy(resnet20.network, images, labels)
    recipe = SgdSteps(learning_rate=1e-4, steps=1, inputs=images[:128], labels=labels[:128])
    assert abs(accuracy(recipe(resnet20.network), images, labels) - plain) < 0.06


@pytest.mark.real
def test_the_patch_works_on_the_real_network(resnet20, photos, accuracy):
    images, labels = photos
    recipe = BadNetsPatch(target=0, inputs=images[:200], labels=labels[:200], batch=32, share=0.2)
    assert recipe.success_rate(resnet20.network, images[200:], labels[200:]) < 0.1
    backdoored = recipe(resnet20.network)
    assert recipe.success_rate(backdoored, images[200:], labels[200:]) > 0.75
    assert accuracy(backdoored, images[200:], labels[200:]) > 0.6
