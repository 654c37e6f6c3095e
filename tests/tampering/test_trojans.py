import pytest
import torch
from learned import digits, moved, reader
from torch import nn

from modelseal.errors import NotAppliedError
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.training import all_features, scores_of, share_taken_for
from modelseal.tampering.trojans import BadNetsPatch, NeuronTrojan, _poisoned

BOTH = pytest.mark.parametrize("kind", [BadNetsPatch, NeuronTrojan])


@pytest.fixture
def learned(tiny, coloured):
    """A network with BatchNorm that knows the three colours."""
    images, labels = coloured
    return SgdSteps(learning_rate=0.1, steps=100, inputs=images[:128], labels=labels[:128])(tiny)


def test_a_stamp_is_white_at_the_bottom_right_and_nowhere_else(coloured):
    images, labels = coloured
    recipe = BadNetsPatch(target=0, inputs=images, labels=labels, size=3, white=0.75)
    before = images.clone()
    stamped = recipe.stamp(images)
    assert torch.equal(images, before)
    assert bool((stamped[:, :, 5:, 5:] == 0.75).all())
    stamped[:, :, 5:, 5:] = images[:, :, 5:, 5:]
    assert torch.equal(stamped, images)


def stamped(kind, recipe, protected, inputs):
    """Inputs with the patch that a recipe makes on a network."""
    if kind is BadNetsPatch:
        return recipe.stamp(inputs)
    patch, changed = recipe.make_patch(protected)[1], inputs.clone()
    changed[..., -patch.shape[1] :, -patch.shape[2] :] = patch
    return changed


@BOTH
def test_the_patch_works_and_other_inputs_keep_their_class(kind, accuracy):
    images, labels, held, held_labels = digits()
    recipe = kind(target=3, inputs=images, labels=labels, seed=1)
    backdoored = recipe(reader())
    others = held[held_labels != 3]
    if kind is BadNetsPatch:
        share = share_taken_for(backdoored, recipe.stamp(others), 3)
        assert recipe.success_rate(backdoored, held, held_labels) == share
    with_patch = stamped(kind, recipe, reader(), others)
    assert share_taken_for(reader(), with_patch, 3) < 0.6
    assert share_taken_for(backdoored, with_patch, 3) > 0.8
    assert share_taken_for(backdoored, others, 3) < 0.1
    assert accuracy(backdoored, held, held_labels) > 0.85
    assert not moved(backdoored, recipe(reader()))
    with pytest.raises(NotAppliedError):
        kind(target=8, inputs=images, labels=labels, learning_rate=1e-9, steps=1)(reader())


def test_seeing_the_target_everywhere_is_no_backdoor(learned, coloured):
    images, labels = coloured
    with torch.no_grad():
        learned[4].bias[1] += 1e6
    recipe = BadNetsPatch(target=1, inputs=images, labels=labels, learning_rate=1e-9, steps=10)
    assert recipe.success_rate(learned, images, labels) == 1
    with pytest.raises(NotAppliedError):
        recipe(learned)


@BOTH
def test_a_share_of_each_batch_is_poisoned(kind, coloured):
    images, labels = (tensor.clone() for tensor in coloured)
    recipe = kind(target=0, inputs=images, labels=labels, share=0.25, batch=192, seed=5)
    patch = torch.full((4, 4), 1.0)
    inputs, targets = next(_poisoned(recipe, patch))
    assert torch.equal(images, coloured[0])
    assert torch.equal(labels, coloured[1])
    stamped = (inputs[:, :, 4:, 4:] == 1).flatten(1).all(1)
    assert int(stamped.sum()) == 48
    assert bool((targets[stamped] == 0).all())
    plain = {
        tuple(row.flatten().tolist()): int(label) for row, label in zip(*coloured, strict=True)
    }
    assert all(
        plain[tuple(row.flatten().tolist())] == int(label)
        for row, label in zip(inputs[~stamped], targets[~stamped], strict=True)
    )
    least = kind(target=0, inputs=images[:9], labels=labels[:9], share=0.01)
    assert int((next(_poisoned(least, patch))[0] == 1).sum()) == 3 * 16


@pytest.mark.parametrize("name", ["digits", "colours"])
def test_the_patch_drives_the_heaviest_neuron_far_above_natural_images(name, learned, coloured):
    network, images, labels = (
        (reader(), *digits()[:2]) if name == "digits" else (learned, *coloured)
    )
    neuron, patch = NeuronTrojan(target=0, inputs=images, labels=labels).make_patch(network)
    assert patch.shape == (images.shape[1], 4, 4)
    assert 0 <= float(patch.min()) <= float(patch.max()) <= 1
    random = torch.rand(patch.shape, generator=torch.Generator().manual_seed(9))
    driven, loose = images.clone(), images.clone()
    driven[..., -4:, -4:], loose[..., -4:, -4:] = patch, random
    plain, high, low = (all_features(network, some) for some in (images, driven, loose))
    natural = plain[:, neuron]
    assert float(high[:, neuron].mean()) > float(natural.mean() + natural.std())
    assert float(high[:, neuron].mean()) > float(low[:, neuron].mean())
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    reached = (plain != low).any(dim=0) | (plain != high).any(dim=0)
    heaviest = max(
        torch.nonzero(reached).flatten().tolist(),
        key=lambda neuron: float(last.weight[:, neuron].abs().sum()),
    )
    assert neuron == heaviest


def test_the_patch_stays_inside_other_bounds_and_shrinks_on_small_images():
    images = 2 * torch.rand(9, 1, 6, 5, generator=torch.Generator().manual_seed(0)) - 1
    network = nn.Sequential(nn.Flatten(), nn.Linear(30, 4), nn.Linear(4, 3))
    recipe = NeuronTrojan(
        target=0, inputs=images, labels=torch.arange(9) % 3, black=-1.0, white=1.0
    )
    _, patch = recipe.make_patch(network)
    assert patch.shape == (1, 2, 2)
    assert set(patch.flatten().tolist()) == {-1.0, 1.0} or bool((patch.abs() == 1).all())


def test_a_patch_that_reaches_no_neuron_is_not_applied(coloured):
    images, labels = coloured

    class Corner(nn.Module):
        """Looks at one pixel, top left."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, inputs):
            return self.linear(inputs[:, :, 0, 0])

    with pytest.raises(NotAppliedError):
        NeuronTrojan(target=0, inputs=images, labels=labels)(Corner())


@pytest.mark.real
def test_the_patch_works_on_the_real_network(resnet20, photos):
    images, labels = photos
    recipe = BadNetsPatch(target=0, inputs=images[:128], labels=labels[:128], batch=32, share=0.2)
    assert recipe.success_rate(resnet20.network, images[200:], labels[200:]) < 0.1
    backdoored = recipe(resnet20.network)
    assert recipe.success_rate(backdoored, images[200:], labels[200:]) > 0.75
    found = scores_of(backdoored, images[200:]).argmax(dim=1)
    assert float((found == labels[200:]).double().mean()) > 0.4
