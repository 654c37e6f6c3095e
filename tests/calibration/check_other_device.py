"""Harmless ways of running a network that is not on the CPU."""

import numpy as np
import pytest
import torch
from other_device import add_device
from torch import nn

from modelseal.calibration.exports import Exported
from modelseal.calibration.variants import Compiled, OnDevice, fp32_variants, reference
from modelseal.errors import SealingError
from modelseal.runtime.inference import copy_network, to_cpu

DEVICE = add_device()

# Torch cannot compile or export for a device that is written in Python.
WAYS = [
    each
    for each in fp32_variants(torch.device("meta"))
    if not isinstance(each, Compiled | Exported) and each != OnDevice("cuda")
]


@pytest.fixture
def inputs(coloured):
    return coloured[0][:40]


@pytest.mark.parametrize("variant", WAYS, ids=lambda each: each.name)
def test_every_way_gives_the_same_scores_as_from_the_cpu(variant, tiny, inputs):
    there = copy_network(tiny).to(DEVICE)
    given = variant(there, inputs.to(DEVICE))
    assert np.array_equal(given, variant(tiny, inputs))
    assert {each.device.type for each in there.state_dict().values()} == {DEVICE}


def test_kernels_of_the_cpu_are_run_on_it(inputs):
    places = []

    class Spy(nn.Linear):
        def forward(self, numbers):
            places.append((numbers.device.type, self.weight.device.type))
            return super().forward(numbers.flatten(1))

    there = Spy(192, 3).to(DEVICE)
    for variant in WAYS:
        places.clear()
        if variant.name.startswith("onnxruntime"):
            continue
        variant(there, inputs.to(DEVICE))
        own = variant.name.startswith(("threads", "onednn", "nnpack", "on-cpu"))
        assert set(places) == {("cpu", "cpu") if own else (DEVICE, DEVICE)}
    assert reference(there, inputs.to(DEVICE)).shape == (40, 3)


def test_what_is_on_the_cpu_is_not_copied_for_it(tiny, inputs):
    network, same = to_cpu(tiny, inputs)
    assert network is tiny
    assert same is inputs


def test_a_network_that_cannot_be_moved_is_one_sentence():
    class Stuck(nn.Identity):
        def _apply(self, *args, **named):
            raise RuntimeError("this network stays here")

    with pytest.raises(SealingError, match=r"^the network cannot .*: this network stays here$"):
        to_cpu(Stuck(), torch.zeros(1, 3, device=DEVICE))
