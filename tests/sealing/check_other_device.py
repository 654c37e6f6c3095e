"""On a device with the CPU's arithmetic sealing gives what it gives on the CPU, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from crafted import QUICK, make, recipe
from other_device import add_device

from modelseal.calibration.calibrate import calibrate
from modelseal.calibration.variants import Float64, Nnpack
from modelseal.enums import Precision, Rule
from modelseal.errors import SealingError
from modelseal.fingerprint.file_format import encode
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.devices import device_of, find_device
from modelseal.runtime.inference import copy_network
from modelseal.sealing import methods
from modelseal.sealing.candidates import to_tensor
from modelseal.sealing.methods import METHODS
from modelseal.sealing.neighbours import find_neighbours
from modelseal.sealing.pipeline import select
from modelseal.sealing.power import state_power

DEVICE = add_device()


@pytest.fixture
def moved():
    """Gives the same model on the other device."""

    def move(model):
        return replace(model, network=copy_network(model.network).to(find_device(DEVICE)))

    return move


# Ways of running that are of no device: all others are tried once off the CPU.
ANYWHERE = tuple(each for each in QUICK if not isinstance(each, methods.ON_CPU))


def craft(model, inputs, **settings):
    """The samples of a method, as it makes them by itself."""
    own = recipe(model, **settings)
    return METHODS.get(own.method)(model.network, inputs, recipe=own)


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.usefixtures("few_steps")
def test_every_method_makes_the_same_samples(build, naturals, moved, method, levels):
    here, settings = build(levels=levels), {"method": method, "variants": ANYWHERE}
    there, codes = moved(here), naturals(here.domain, 6)
    near, far = (craft(each, to_tensor(each, codes), **settings) for each in (here, there))
    assert far.device == device_of(there.network) != near.device
    assert torch.equal(far.cpu(), near)
    if method == "boundary":
        assert not torch.equal(near, to_tensor(here, codes))


@pytest.mark.parametrize("own", [False, True])
def test_while_samples_are_made_the_cpu_is_asked_once(build, naturals, moved, monkeypatch, own):
    asked = []

    class Counted(Nnpack):
        def __call__(self, network, inputs):
            asked.append(device_of(network))
            return super().__call__(network, inputs)

    monkeypatch.setattr(methods, "Nnpack", Counted)
    variants = (Counted(), Float64()) if own else None
    for model in (build(), moved(build())):
        asked.clear()
        starts = to_tensor(model, naturals(model.domain, 6))
        samples = craft(model, starts, tied=3, variants=variants)
        found = calibrate(model.network, samples, spec=TopLabels(), variants=(Nnpack(),))
        assert found.accepted(2.0).sum() >= 5
        assert set(asked) == {device_of(model.network)}
        assert (len(asked) == 1) is (asked[0].type != "cpu")


def test_a_fingerprint_is_the_same_with_lower_precisions_too(model, naturals, moved):
    settings = {"variants": ANYWHERE, "allowed": frozenset(Precision), "tied": 3, "seed": 2}
    near, far = (
        make(each, naturals(model.domain, 24), count=24, **settings)
        for each in (model, moved(model))
    )
    assert near.origin.variants[-4:] == ("tf32", "bf16", "fp16", "int8")
    assert replace(far.origin, created=near.origin.created) == near.origin
    assert far.expected.labels.tolist() == near.expected.labels.tolist()
    for name in ("samples", "margins", "moves", "psnr", "sources"):
        assert np.array_equal(getattr(far, name), getattr(near, name))


@pytest.mark.parametrize("rule", Rule)
def test_the_same_few_are_chosen_with_the_same_neighbours_and_power(
    model, moved, found, naturals, rule
):
    near, far = (
        state_power(
            each,
            find_neighbours(each, select(each, found, samples=3, rule=rule), count=2),
            naturals(model.domain),
        )
        for each in (model, moved(model))
    )
    assert near.neighbours is not None
    assert encode(far) == encode(near)


def test_what_was_left_behind_is_an_error_and_no_wrong_number(model, naturals, moved):
    there = moved(model)
    with pytest.raises(SealingError, match="all tensors were expected on one device"):
        make(
            replace(there, network=torch.nn.Sequential(there.network, Forgetful()).eval()),
            naturals(model.domain),
            variants=None,
        )


def test_whatever_is_sealed_by_hand_runs_without_tf32(build, naturals):
    states = set()

    class Spy(torch.nn.Identity):
        def forward(self, scores):
            states.add(torch.backends.cudnn.conv.fp32_precision)
            return scores

    model, before = build(), torch.backends.cudnn.conv.fp32_precision
    watched = replace(model, network=torch.nn.Sequential(model.network, Spy()).eval())
    codes = naturals(model.domain)
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    try:
        found = make(watched, codes, tied=3, count=8)
        few = select(watched, found, samples=2)
        state_power(watched, few, codes)
        find_neighbours(watched, few, count=1)
        assert states == {"ieee"}
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


class Forgetful(torch.nn.Module):
    """A layer whose weights stay where they were made."""

    def __init__(self):
        super().__init__()
        self.scales = [torch.ones(5)]

    def forward(self, scores):
        return scores * self.scales[0]
