"""Sensitivities of a network that is not on the CPU."""

import copy

import pytest
import torch
from other_device import add_device

from modelseal.generation.sensitivity import Output, last_layer_sensitivity
from modelseal.research.weight_sensitivity import weight_sensitivity

DEVICE = add_device()


@pytest.mark.parametrize("measure", [weight_sensitivity, last_layer_sensitivity])
def test_they_are_the_same_on_another_device(network, images, measure):
    there = copy.deepcopy(network).to(DEVICE)
    near = measure(network, images, output=Output.PROBABILITIES)
    far = measure(there, images.to(DEVICE), output=Output.PROBABILITIES)
    assert far.device.type == DEVICE
    torch.testing.assert_close(far.cpu(), near)
