import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_sensitivity import exact_sensitivity, weight_jacobian
from torch import nn

from modelseal.generation.baselines import ascent
from modelseal.generation.baselines.ascent import (
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


def test_each_input_ascends_by_itself(smooth, images, domain, monkeypatch):
    settings = {"steps": 4}

    def run(inputs):
        return ascend_whole(smooth, inputs, domain=domain, generator=seeded(3), **settings)

    together = run(images)
    for number in range(len(images)):
        torch.testing.assert_close(run(images[number : number + 1])[0], together[number])
    monkeypatch.setattr(ascent, "ENTRIES", 1)
    torch.testing.assert_close(run(images), together)


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
