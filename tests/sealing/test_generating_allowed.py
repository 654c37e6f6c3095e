"""What an owner allows raises no alarm, and what is not allowed does."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from modelseal.calibration.variants import reference
from modelseal.enums import Precision
from modelseal.errors import SealingError
from modelseal.runtime.inference import run_network
from modelseal.sealing.candidates import generate, to_tensor
from modelseal.sealing.recipe import Method, Recipe
from modelseal.tampering.weight_changes import Quantised, Rounded


def wrong(model, found, network):
    """The share of samples that a changed network answers otherwise."""
    inputs = to_tensor(model, found.samples).to(next(network.parameters()).dtype)
    answers = found.spec.reveal(run_network(network, inputs))
    return float((~found.spec.agree(found.expected, answers)).mean())


@pytest.fixture
def sealed(model, naturals, quick):
    """Sixteen candidates of the tiny model, with some precisions allowed."""

    def make(*allowed, method=Method.BOUNDARY):
        recipe = Recipe(variants=quick, tied=5, allowed=allowed, method=method)
        return generate(model, naturals(model.domain, 24), recipe=recipe, candidates=24)

    return make


def test_a_model_in_allowed_half_precision_is_silent_and_one_not_allowed_is_noticed(model, sealed):
    rounded = Rounded(torch.float16)(model.network)
    half = copy.deepcopy(model.network).half()
    without, allowed = sealed(), sealed(Precision.FP16)
    assert wrong(model, without, rounded) > 0.3
    assert wrong(model, without, half) > 0.3
    assert wrong(model, allowed, rounded) == wrong(model, allowed, half) == 0
    assert len(allowed) >= 8
    assert np.median(allowed.margins) > 10 * np.median(without.margins)


def test_a_model_with_allowed_8_bit_weights_is_silent_and_one_not_allowed_is_noticed(model, sealed):
    quantised = Quantised(8)(model.network)
    assert wrong(model, sealed(), quantised) > 0.5
    allowed = sealed(Precision.INT8)
    assert wrong(model, allowed, quantised) == 0
    assert len(allowed) >= 4


def test_what_was_allowed_is_in_the_fingerprint_and_its_answers_count(model, sealed, quick):
    found = sealed(Precision.FP16, Precision.TF32, method=Method.NATURAL)
    assert found.origin.parameters["allowed"] == "tf32, fp16"
    names = tuple(variant.name for variant in quick)
    assert found.origin.variants == (*names, "tf32", "fp16")
    assert found.origin.harmless_answers == len(found) * (len(quick) + 2)


def test_a_precision_that_is_allowed_but_cannot_be_tried_is_an_error(build, naturals, quick):
    class Choosy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
            self.marker = nn.Parameter(torch.tensor(0.1))

        def forward(self, inputs):
            if self.marker.item() != np.float32(0.1):
                raise RuntimeError("not in this precision")
            return self.inner(inputs)

    model = build(network=Choosy().eval())
    inputs = naturals(model.domain)
    assert reference(model.network, to_tensor(model, inputs)).shape == (16, 5)
    recipe = Recipe(variants=quick[:3], method=Method.NATURAL, allowed=(Precision.FP16,))
    wanted = "^fp16 was allowed, but cannot be tried: .* in this way: not in this precision$"
    with pytest.raises(SealingError, match=wanted):
        generate(model, inputs, recipe=recipe)
