import pytest
import torch
from other_device import add_device

import scale_gpu
from modelseal.domain import Domain
from modelseal.models.loader import Model
from modelseal.runtime.devices import device_of
from modelseal.sealing.recipe import Recipe
from scale_cost import Subject

DEVICE = add_device()


@pytest.fixture
def subject(tiny, coloured):
    """A network of three classes and eight images."""
    model = Model(network=tiny, domain=Domain(shape=(3, 8, 8)))
    recipe = Recipe(domain=model.domain, tied=3)
    return Subject(model=model, starts=coloured[0][:8], recipe=recipe)


def test_what_is_measured_on_a_gpu(subject, monkeypatch):
    monkeypatch.setattr(scale_gpu, "open_subject", lambda name: subject)
    found = scale_gpu.measure_gpu("tiny", DEVICE)
    assert 0 < found["scale.tiny.gpu.accepted_share"] <= 1
    assert found["scale.tiny.gpu.seconds_ratio"] > 0
    # Its arithmetic is the CPU's.
    assert found["scale.tiny.gpu.largest_move_of_margin"] == 0
    assert device_of(subject.model.network) == torch.device("cpu")
