"""What every method to compare with promises, and the numbers that it takes."""

from math import inf, nan

import pytest
import torch
from refusals import refuses
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines import uniform_noise
from modelseal.generation.baselines.ascent import ascend, ascend_whole, sensitivity_objective
from modelseal.generation.baselines.ibsf import PUBLISHED, TUNED, Gradients, IbsfSettings, ibsf
from modelseal.generation.baselines.legacy import LegacySettings, legacy
from modelseal.generation.baselines.two_class import two_class
from modelseal.generation.sensitivity import Output

SMALL = Domain(shape=(1, 3, 3), bounds=(-1.0, 1.0), levels=256)


def whole(network, start, *, domain, **numbers):
    source = torch.Generator().manual_seed(0)
    return ascend_whole(network, start, domain=domain, generator=source, **{"steps": 4} | numbers)


def entropy(network, start, *, domain):
    settings = IbsfSettings(iterations=8, learning_rate=0.05, radius=0.3)
    return ibsf(network, start, domain=domain, settings=settings)


def published(network, start, *, domain):
    settings = LegacySettings(
        iterations=5, learning_rate=2.0, radius=3.0, variation=1e-4, threshold=inf
    )
    return legacy(network, start, domain=domain, settings=settings)


METHODS = [whole, entropy, published, two_class]


class Wide(nn.Module):
    """A network of inputs from 0 to 1 for inputs from -1 to 3."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs):
        return self.network((inputs + 1) / 4)


@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_the_inputs_does_not_matter(method, smooth, images):
    unit = Domain(shape=(3, 8, 8), bounds=(0.0, 1.0), levels=0)
    wide = Domain(shape=(3, 8, 8), bounds=(-1.0, 3.0), levels=0)
    found = method(Wide(smooth).eval(), images * 4 - 1, domain=wide)
    wanted = method(smooth, images, domain=unit)
    torch.testing.assert_close((found + 1) / 4, wanted, rtol=0.0, atol=2e-4)
    assert not torch.equal(wanted, images)


@pytest.mark.parametrize("method", METHODS)
def test_inputs_and_the_owners_network_stay_as_they_were(method, tiny, images, domain):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    start = images.clone()
    found = method(tiny, start, domain=domain)
    assert torch.equal(start, images)
    assert found.shape == images.shape
    assert not found.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert not any(value.requires_grad or value.grad is not None for value in tiny.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_real_images_are_moved_by_a_few_grey_levels(method, resnet20, photos):
    start = photos[0][:2]
    found = method(resnet20.network, start, domain=resnet20.domain)
    assert found.equal(resnet20.domain.clamp(found))
    assert 0 < (found - start).square().mean().sqrt() * 255 < 6


def test_noise_fills_the_bounds_evenly_and_repeats_with_its_generator():
    def draw(seed):
        return uniform_noise(SMALL, count=900, generator=torch.Generator().manual_seed(seed))

    noise = draw(1)
    assert noise.shape == (900, 1, 3, 3)
    assert torch.equal(noise, draw(1))
    assert not torch.equal(noise, draw(2))
    # 8,100 values in ten bins: five standard deviations are 135.
    counts = torch.histc(noise, bins=10, min=-1.0, max=1.0)
    assert (counts - 810).abs().max() < 135


def climb(**numbers):
    ascend(lambda x: x.sum(1), torch.zeros(1, 2), project=lambda x: x, **numbers)


def cross(**numbers):
    line = Domain(shape=(5,), bounds=(-1.0, 1.0), levels=0)
    two_class(nn.Linear(5, 3).eval(), torch.zeros(1, 5), domain=line, **numbers)


def climb_whole(**numbers):
    whole(nn.Flatten(), torch.zeros(1, 1, 3, 3), domain=SMALL, **numbers)


def weigh(**numbers):
    sensitivity_objective(nn.Linear(4, 3), output=Output.LOGITS, **numbers)


def draw(**numbers):
    uniform_noise(SMALL, generator=torch.Generator(), **numbers)


BELOW_ONE, BELOW_ZERO, NOT_POSITIVE = (0, -3), (-0.1, nan, inf), (0.0, -0.1, nan, inf)


@pytest.mark.parametrize(
    ("make", "field", "values"),
    [
        (IbsfSettings, "iterations", BELOW_ONE),
        (IbsfSettings, "classes", (1,)),
        (IbsfSettings, "learning_rate", NOT_POSITIVE),
        (IbsfSettings, "radius", NOT_POSITIVE),
        (LegacySettings, "iterations", BELOW_ONE),
        (LegacySettings, "classes", BELOW_ONE),
        (LegacySettings, "learning_rate", NOT_POSITIVE),
        (LegacySettings, "radius", NOT_POSITIVE),
        (LegacySettings, "variation", BELOW_ZERO),
        (LegacySettings, "threshold", (-1.0, nan)),
        (climb, "steps", (-1,)),
        (climb, "learning_rate", NOT_POSITIVE),
        (weigh, "variation", BELOW_ZERO),
        (cross, "steps", BELOW_ONE),
        (cross, "rivals", BELOW_ONE),
        (cross, "halvings", (-1,)),
        (climb_whole, "directions", BELOW_ONE),
        (draw, "count", BELOW_ONE),
    ],
)
def test_numbers_out_of_range_are_refused(make, field, values):
    for value in values:
        with refuses(InvalidArgumentError, field=field, match=f"got {value}$"):
            make(**{field: value})


FLAT = nn.Sequential(nn.Flatten(), nn.Linear(9, 3)).eval()


@pytest.mark.parametrize(
    ("method", "network", "count", "field"),
    [
        (published, FLAT, 0, "inputs"),
        (whole, FLAT, 0, "inputs"),
        (whole, nn.Linear(9, 3).train(), 2, "network"),
        (whole, nn.Flatten().eval(), 2, "parameters"),
        (published, nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(9, 3))), 2, "parameters"),
        (two_class, nn.Sequential(nn.Flatten(), nn.Linear(9, 1)), 2, "classes"),
    ],
)
def test_networks_and_inputs_that_do_not_serve_are_refused(method, network, count, field):
    with refuses(InvalidArgumentError, field=field):
        method(network, torch.zeros(count, *SMALL.shape), domain=SMALL)


def test_the_published_numbers_are_the_default():
    assert IbsfSettings() == PUBLISHED
    assert (PUBLISHED.iterations, PUBLISHED.classes) == (5000, 10)
    assert (PUBLISHED.learning_rate, PUBLISHED.radius) == (1.0, 1.0)
    assert PUBLISHED.gradients is Gradients.SUMMED
    assert TUNED.iterations < PUBLISHED.iterations
    usual = LegacySettings()
    assert (usual.iterations, usual.learning_rate, usual.radius) == (1000, 1.0, 10.0)
    assert (usual.threshold, usual.classes) == (5e-4, 40)
