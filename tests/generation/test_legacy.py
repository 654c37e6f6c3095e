from math import inf, sqrt

import pytest
import torch
from refusals import refuses
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines.legacy import LegacySettings, legacy, legacy_sensitivity

GREY = Domain(shape=(1, 3, 3), bounds=(0.0, 255.0), levels=256)
SMALL = Domain(shape=(1, 3, 3), bounds=(-1.0, 1.0), levels=256)
ALWAYS = {"threshold": inf}


@pytest.fixture(params=[4, 50])
def headed(request):
    """A network of grey levels with few or many classes, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(8)
        network = nn.Sequential(
            nn.Flatten(), nn.Linear(9, 7), nn.Softplus(), nn.Linear(7, request.param)
        )
    network[1].weight.data.mul_(0.01)
    return network.double().eval().requires_grad_(requires_grad=False)


@pytest.fixture
def greys():
    return 255 * torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(9)).double()


def published(network, image):
    """The mean squared derivative by the last weights, in closed form and without their graph.

    With f = Σ log(p + e) over the first 40 classes, df/dz_i = Σ_j p_j / (p_j + e) (δ_ij - p_i).
    """
    features = network[:-1](image)[0]
    p = network[-1](features).softmax(0)
    first = p[:40] / (p[:40] + 1e-8)
    slopes = -p * first.sum()
    slopes = slopes + nn.functional.pad(first, (0, len(p) - len(first)))
    return slopes.square().sum() * features.square().sum() / (len(p) * len(features))


def roughness(image):
    """The total variation of one image, one pair of neighbours at a time."""
    down = [(image[0, 0, r + 1, c] - image[0, 0, r, c]) ** 2 for r in range(2) for c in range(3)]
    right = [(image[0, 0, r, c + 1] - image[0, 0, r, c]) ** 2 for r in range(3) for c in range(2)]
    return sum(down) / 6 + sum(right) / 6


def by_hand(network, start, settings):
    """The published loop in plain formulas: what it would return after every iteration."""
    x, total, mean, square, seen = start.clone(), 0.0, 0.0, 0.0, []
    for step in range(1, settings.iterations + 1):
        variable = x.clone().requires_grad_()
        loss = settings.variation * roughness(variable) - published(network, variable)
        total = total + torch.autograd.grad(loss, variable)[0]
        mean, square = 0.9 * mean + 0.1 * total, 0.999 * square + 0.001 * total**2
        step_size = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        x = x - settings.learning_rate * step_size
        change = x - start
        limit = settings.radius * sqrt(change.numel())
        x = start + change * min(1.0, limit / float(change.norm()))
        x = x.clamp(0, 255)
        seen.append(x)
    return seen


def test_the_objective_is_the_published_one(headed, greys):
    found = legacy_sensitivity(headed, greys, domain=GREY)
    for image, value in zip(greys, found, strict=True):
        torch.testing.assert_close(value, published(headed, image[None]))


@pytest.mark.parametrize("variation", [0.0, 1e-4])
@pytest.mark.parametrize("rate", [0.01, 3.0])
def test_the_loop_is_the_published_one(headed, greys, variation, rate):
    settings = LegacySettings(
        iterations=6, learning_rate=rate, radius=4.0, variation=variation, **ALWAYS
    )
    found = legacy(headed, greys, domain=GREY, settings=settings)
    for start, image in zip(greys, found, strict=True):
        wanted = by_hand(headed, start[None], settings)[-1][0]
        torch.testing.assert_close(image, wanted, rtol=1e-6, atol=1e-6)
        assert not torch.equal(image, start)


def test_gradients_add_up_from_one_iteration_to_the_next(headed, greys):
    # The second step by hand, once with the gradient of the second image alone.
    settings = LegacySettings(iterations=2, **ALWAYS)
    one, two = by_hand(headed, greys[:1], settings)
    found = legacy(headed, greys[:1], domain=GREY, settings=settings)
    variable = one.clone().requires_grad_()
    fresh = -torch.autograd.grad(published(headed, variable), variable)[0]
    first = greys[:1].clone().requires_grad_()
    old = -torch.autograd.grad(published(headed, first), first)[0]
    mean, square = 0.09 * old + 0.1 * fresh, 0.000999 * old**2 + 0.001 * fresh**2
    zeroed = one - mean / 0.19 / ((square / (1 - 0.999**2)).sqrt() + 1e-8)
    torch.testing.assert_close(found, two, rtol=1e-6, atol=1e-6)
    assert (found - zeroed).abs().max() > 1e-3


def test_settings_mean_grey_levels_in_every_domain(headed, greys):
    class FromSmall(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = headed

        def forward(self, inputs):
            return self.network((inputs + 1) * 127.5)

    settings = LegacySettings(iterations=5, learning_rate=2.0, radius=3.0, variation=1e-4, **ALWAYS)
    wanted = legacy(headed, greys, domain=GREY, settings=settings)
    small = legacy(FromSmall(), greys / 127.5 - 1, domain=SMALL, settings=settings)
    torch.testing.assert_close((small + 1) * 127.5, wanted, rtol=1e-6, atol=1e-6)


def test_the_ball_and_the_bounds_hold_and_are_used(headed, greys):
    start = greys.clone()
    start[0] = 0.0
    settings = LegacySettings(iterations=20, learning_rate=5.0, radius=6.0, **ALWAYS)
    found = legacy(headed, start, domain=GREY, settings=settings)
    spread = (found - start).square().flatten(1).mean(1).sqrt()
    assert (spread <= 6.0 + 1e-9).all()
    assert spread[1:].max() > 5.9
    assert found.min() == 0.0
    # A value at its bound turns back at once: it has not gone on beyond.
    wanted = torch.cat([by_hand(headed, image[None], settings)[-1] for image in start])
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    assert found.max() <= 255.0


def test_the_loop_stops_at_the_first_image_above_the_threshold(headed, greys):
    free = LegacySettings(iterations=8, **ALWAYS)
    path = by_hand(headed, greys[:1], free)
    heights = [float(published(headed, image)) for image in path]
    assert heights == sorted(heights)
    settings = LegacySettings(iterations=8, threshold=(heights[3] + heights[4]) / 2)
    found = legacy(headed, greys[:1], domain=GREY, settings=settings)
    torch.testing.assert_close(found, path[4], rtol=1e-6, atol=1e-6)


def test_the_last_image_is_returned_even_if_it_is_worse(headed, greys):
    variable = greys[:1].requires_grad_()
    slope = torch.autograd.grad(published(headed, variable), variable)[0]
    # All that helps is white already: a heavy penalty smooths it at the sensitivity's cost.
    start = torch.where(slope > 0, 200.0, 50.0).double()
    settings = LegacySettings(iterations=15, variation=10.0, **ALWAYS)
    found = legacy(headed, start, domain=GREY, settings=settings)
    torch.testing.assert_close(found, by_hand(headed, start, settings)[-1], rtol=1e-6, atol=1e-6)
    assert published(headed, found) < published(headed, start)


def test_the_owners_network_stays_as_it_was(tiny, images, domain):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    start = images.clone()
    found = legacy(tiny, start, domain=domain, settings=LegacySettings(iterations=2, **ALWAYS))
    assert torch.equal(start, images)
    assert found.shape == images.shape
    assert not found.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert not any(value.requires_grad or value.grad is not None for value in tiny.parameters())


def test_a_penalty_on_roughness_needs_images():
    line = Domain(shape=(4,), bounds=(0.0, 1.0), levels=0)
    settings = LegacySettings(iterations=3, variation=0.1)
    with refuses(InvalidArgumentError):
        legacy(nn.Linear(4, 3), torch.zeros(1, 4), domain=line, settings=settings)


def test_a_last_layer_without_weights_of_its_own_is_refused(images, domain):
    network = nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(192, 3)))
    with refuses(InvalidArgumentError, field="parameters"):
        legacy(network, images, domain=domain)


def test_no_inputs_are_refused(tiny, images, domain):
    with refuses(InvalidArgumentError, field="inputs"):
        legacy(tiny, images[:0], domain=domain)


def test_the_published_loop_runs_on_a_real_network(resnet20, photos):
    start = photos[0][:1]
    settings = LegacySettings(iterations=5, **ALWAYS)
    found = legacy(resnet20.network, start, domain=resnet20.domain, settings=settings)
    spread = (found - start).square().mean().sqrt() * 255
    # Five steps of one grey level and less each.
    assert 0.5 < spread < 5.5
    assert found.min() >= 0.0
    assert found.max() <= 1.0
