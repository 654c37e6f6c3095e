from math import nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from refusals import refuses
from torch import nn

from modelseal.calibration import transport
from modelseal.calibration.transport import SENDS, Form, Sent
from modelseal.calibration.variants import reference
from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.runtime.inference import run_network

SHAPES = [(4, 5), (1, 4, 5), (3, 4, 5), (4, 4, 5)]


def flat(shape):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 3))


def draw(domain, count=6):
    values = np.random.default_rng(0).uniform(*domain.bounds, (count, *domain.shape))
    return torch.from_numpy(domain.decode(domain.encode(values)))


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_what_arrives_has_the_same_scores_to_the_bit(form, shape, bounds):
    domain, network = Domain(shape=shape, bounds=bounds), flat(shape)
    inputs = draw(domain)
    assert (Sent(form, domain)(network, inputs) == reference(network, inputs)).all()


@pytest.mark.parametrize("form", [Form.JSON, Form.BYTES])
@pytest.mark.parametrize("levels", [0, 2, 16])
def test_numbers_of_any_domain_can_be_sent(form, levels):
    domain, network = Domain(shape=(7,), levels=levels), flat((7,))
    inputs = draw(domain)
    assert (Sent(form, domain)(network, inputs) == reference(network, inputs)).all()


def codes(kind):
    finite = arrays.from_dtype(np.dtype(kind), allow_nan=False, allow_infinity=False)
    return st.sampled_from(SHAPES).flatmap(lambda one: arrays.arrays(kind, one, elements=finite))


@given(codes(np.uint8) | codes(np.float32), st.sampled_from([SENDS[Form.JSON], SENDS[Form.BYTES]]))
def test_every_number_arrives_to_the_bit(code, send):
    arrived = send(code)
    assert (arrived.dtype, arrived.shape) == (code.dtype, code.shape)
    assert arrived.tobytes() == code.tobytes()


@pytest.mark.parametrize("form", Form)
def test_what_arrives_is_what_is_run_though_it_is_changed(form, monkeypatch):
    domain, network = Domain(shape=(1, 4, 5)), flat((1, 4, 5))
    inputs = draw(domain)
    changed = torch.from_numpy(domain.decode(domain.encode(inputs.numpy()) ^ 1))
    monkeypatch.setitem(transport.SENDS, form, lambda code: code ^ 1)
    shown = Sent(form, domain)(network, inputs)
    assert np.array_equal(shown, run_network(network, changed))
    assert not np.array_equal(shown, run_network(network, inputs))


@pytest.mark.parametrize("form", Form)
def test_what_arrives_in_another_form_is_an_error(form, monkeypatch):
    domain, network = Domain(shape=(1, 4, 5)), flat((1, 4, 5))
    monkeypatch.setitem(transport.SENDS, form, lambda code: code[..., :2])
    with refuses(SealingError, match=f" {form.value} "):
        Sent(form, domain)(network, draw(domain))


def test_inputs_between_the_levels_cannot_be_sent():
    domain, network = Domain(shape=(1, 4, 5)), flat((1, 4, 5))
    inputs = draw(domain)
    level = inputs[2, 0, 1, 1]
    for moved in (level + 0.5 / 255, torch.nextafter(level, torch.tensor(2.0)), torch.tensor(nan)):
        changed = inputs.clone()
        changed[2, 0, 1, 1] = moved
        with refuses(InvalidArgumentError):
            Sent(Form.JSON, domain)(network, changed)


@pytest.mark.parametrize(
    ("shape", "levels"), [((5,), 256), ((2, 4, 5), 256), ((3, 4, 5), 16), ((3, 4, 5), 0)]
)
def test_only_8_bit_images_can_be_sent_as_png(shape, levels):
    domain = Domain(shape=shape, levels=levels)
    with refuses(InvalidArgumentError, match=f"PNG .* {levels} levels"):
        Sent(Form.PNG, domain)(flat(shape), draw(domain))
