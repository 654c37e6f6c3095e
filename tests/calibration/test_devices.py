import pytest
import torch
from torch import nn

from modelseal.calibration.variants import OnDevice, reference
from modelseal.errors import SealingError


def test_a_machine_without_a_gpu_says_so(watched, rows, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SealingError, match=r"^this machine has no GPU that torch can use$"):
        OnDevice()(watched, rows)
    assert watched.batches == []


def test_a_gpu_is_asked_for_by_default(watched, rows, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(nn.Module, "to", lambda self, device: asked.append(device) or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: asked.append(device) or self)
    OnDevice()(watched, rows)
    assert asked == ["cuda", "cuda"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_moves_the_scores_by_rounding_only(tiny, coloured):
    inputs = coloured[0][:40]
    assert OnDevice()(tiny, inputs) == pytest.approx(reference(tiny, inputs), abs=1e-4)


def test_a_network_is_run_on_a_device_with_tf32_off_and_stays_where_it_was(rows):
    states = []

    class Spy(nn.Linear):
        def forward(self, numbers):
            states.append(torch.backends.cudnn.conv.fp32_precision)
            return super().forward(numbers)

    network, before = Spy(3, 2), torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    try:
        assert (OnDevice("cpu")(network, rows) == reference(network, rows)).all()
        assert states == ["ieee", "tf32"]
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


def test_a_device_that_torch_does_not_know_is_said_in_one_sentence(rows):
    with pytest.raises(SealingError, match=r"^the network cannot be run in this way: [^\n]+$"):
        OnDevice("nowhere")(nn.Linear(3, 2), rows)


def test_a_device_is_named_as_torch_names_it():
    assert [OnDevice().name, OnDevice("cuda:1").name] == ["on-cuda", "on-cuda-1"]
