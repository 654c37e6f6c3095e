"""Sensitivities of a network that is not on the CPU."""

import copy

import pytest
import torch

from modelseal.generation.ghost_norms import ghost_sensitivity
from modelseal.generation.sensitivity import Output, exact_sensitivity, last_layer_sensitivity


@pytest.mark.parametrize("measure", [ghost_sensitivity, exact_sensitivity, last_layer_sensitivity])
def test_they_are_the_same_on_another_device(network, images, other_device, measure):
    there = copy.deepcopy(network).to(other_device)
    near = measure(network, images, output=Output.PROBABILITIES)
    far = measure(there, images.to(other_device), output=Output.PROBABILITIES)
    assert far.device.type == other_device
    torch.testing.assert_close(far.cpu(), near)
