import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses
from slow_sensitivity import exact_sensitivity, weight_jacobian
from torch import nn

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines import ascent
from modelseal.generation.baselines.ascent import (
    ascend,
    ascend_whole,
    draw_directions,
    whole_network_objective,
)
from modelseal.generation.sensitivity import Output


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def show(scores):
    return scores.softmax(1)


def measure(network, inputs):
    return exact_sensitivity(network, inputs, output=Output.PROBABILITIES)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 10**6))
def test_directions_are_orthogonal_and_have_the_mean_of_all_classes(classes, count, seed):
    directions = draw_directions(classes, count=count, generator=seeded(seed))
    assert directions.shape == (min(classes, count), classes)
    length = max(classes / count, 1.0)
    wanted = length * torch.eye(len(directions))
    torch.testing.assert_close(directions @ directions.T, wanted, rtol=0.0, atol=1e-4)


def test_in_every_direction_the_objective_is_the_squared_weight_jacobian(network, images):
    network = network.double()
    images = images.double()
    classes = network(images).shape[1]
    random = draw_directions(classes, count=2, generator=seeded()).double()
    for directions in (torch.eye(classes).double(), random):
        found = whole_network_objective(network, directions)(images)
        for one, value in zip(images, found, strict=True):
            jacobian = directions @ weight_jacobian(network, one, show)
            torch.testing.assert_close(value, jacobian.square().sum())


@pytest.mark.parametrize("directions", [2, 6])
def test_the_sensitivity_to_all_weights_is_raised(smooth, images, domain, directions):
    settings = {"steps": 12, "directions": directions}
    found = ascend_whole(smooth, images, domain=domain, generator=seeded(), **settings)
    assert (measure(smooth, found) > measure(smooth, images)).all()
    assert found.equal(domain.clamp(found))
    # Twelve steps of a tenth of a grey level each.
    assert 0 < (found - images).abs().max() * 255 < 1.3


def test_it_is_the_ascent_on_the_exact_sensitivity(smooth, images, domain):
    def objective(inputs):
        return whole_network_objective(smooth, torch.eye(6))(inputs)

    wanted = ascend(objective, images, project=domain.clamp, steps=5)
    settings = {"steps": 5, "directions": 6}
    found = ascend_whole(smooth, images, domain=domain, generator=seeded(), **settings)
    torch.testing.assert_close(found, wanted)


def test_each_input_ascends_by_itself(smooth, images, domain, monkeypatch):
    settings = {"steps": 4}

    def run(inputs):
        return ascend_whole(smooth, inputs, domain=domain, generator=seeded(3), **settings)

    together = run(images)
    for number in range(len(images)):
        torch.testing.assert_close(run(images[number : number + 1])[0], together[number])
    monkeypatch.setattr(ascent, "ENTRIES", 1)
    torch.testing.assert_close(run(images), together)


def test_other_directions_lead_elsewhere(smooth, images, domain):
    settings = {"steps": 3, "directions": 1}
    one, again, other = (
        ascend_whole(smooth, images, domain=domain, generator=seeded(seed), **settings)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_learning_rate_is_a_share_of_the_span(smooth, images):
    class Wide(nn.Module):
        """The same network for inputs from -1 to 3."""

        def __init__(self):
            super().__init__()
            self.inner = smooth

        def forward(self, inputs):
            return self.inner((inputs + 1) / 4)

    unit = Domain(shape=(3, 8, 8), bounds=(0.0, 1.0), levels=0)
    wide = Domain(shape=(3, 8, 8), bounds=(-1.0, 3.0), levels=0)
    settings = {"steps": 4}
    wanted = ascend_whole(smooth, images, domain=unit, generator=seeded(), **settings)
    found = ascend_whole(Wide().eval(), images * 4 - 1, domain=wide, generator=seeded(), **settings)
    torch.testing.assert_close((found + 1) / 4, wanted, rtol=0.0, atol=1e-4)


def test_a_layer_without_influence_counts_nothing(images, domain):
    class Idle(nn.Module):
        """Has a layer that it does not use."""

        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(192, 3), nn.Linear(2, 2)

        def forward(self, inputs):
            return self.used(inputs.flatten(1))

    network = Idle().eval()
    found = whole_network_objective(network, torch.eye(3))(images)
    wanted = exact_sensitivity(
        network,
        images,
        output=Output.PROBABILITIES,
        parameters=["used.weight", "used.bias"],
    )
    torch.testing.assert_close(found, wanted)


def test_the_owners_network_stays_as_it_was(tiny, images, domain):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    start = images.clone()
    found = ascend_whole(tiny, start, domain=domain, generator=seeded(), steps=2)
    assert torch.equal(start, images)
    assert not found.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert not any(value.requires_grad or value.grad is not None for value in tiny.parameters())


def test_no_inputs_are_refused(tiny, images, domain):
    with refuses(InvalidArgumentError, field="inputs"):
        ascend_whole(tiny, images[:0], domain=domain, generator=seeded())


def test_a_training_network_is_refused(tiny, images, domain):
    with refuses(InvalidArgumentError, field="network"):
        ascend_whole(tiny.train(), images, domain=domain, generator=seeded())


def test_a_network_without_weights_is_refused(images, domain):
    with refuses(InvalidArgumentError, field="parameters"):
        ascend_whole(nn.Flatten().eval(), images, domain=domain, generator=seeded())


def test_the_ascent_raises_the_sensitivity_of_a_real_network(resnet20, photos):
    start = photos[0][:2]
    settings = {"steps": 5}
    found = ascend_whole(
        resnet20.network, start, domain=resnet20.domain, generator=seeded(), **settings
    )
    assert (measure(resnet20.network, found) > measure(resnet20.network, start)).all()


@pytest.mark.parametrize(("field", "value"), [("steps", -1), ("directions", 0)])
def test_numbers_out_of_range_are_refused(smooth, images, domain, field, value):
    with refuses(InvalidArgumentError, field=field):
        ascend_whole(smooth, images, domain=domain, generator=seeded(), **{field: value})
