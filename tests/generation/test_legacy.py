from math import inf, sqrt

import pytest
import torch
from torch import nn

from modelseal.domain import Domain
from modelseal.generation.baselines.legacy import LegacySettings, legacy, legacy_sensitivity

GREY = Domain(shape=(1, 3, 3), bounds=(0.0, 255.0), levels=256)
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


def test_the_loop_stops_at_the_first_image_above_the_threshold(headed, greys):
    free = LegacySettings(iterations=8, **ALWAYS)
    path = by_hand(headed, greys[:1], free)
    heights = [float(published(headed, image)) for image in path]
    assert heights == sorted(heights)
    settings = LegacySettings(iterations=8, threshold=(heights[3] + heights[4]) / 2)
    found = legacy(headed, greys[:1], domain=GREY, settings=settings)
    torch.testing.assert_close(found, path[4], rtol=1e-6, atol=1e-6)
