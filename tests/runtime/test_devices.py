import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime import devices
from modelseal.runtime.devices import device_of, find_device, is_on_gpu, settle_network


def test_a_device_is_found_by_its_name():
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta"])
def test_a_device_that_is_not_here_is_refused(name):
    with refuses(InvalidArgumentError, match=f"got '{name}'"):
        find_device(name)


def test_a_network_is_where_its_weights_are_and_one_without_any_on_the_cpu():
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")


@pytest.mark.parametrize(("device", "gpu"), [("cpu", False), ("cuda", True), ("cuda:1", True)])
def test_a_network_is_on_a_gpu_where_torch_calls_its_device_cuda(monkeypatch, device, gpu):
    monkeypatch.setattr(devices, "device_of", lambda _: torch.device(device))
    assert is_on_gpu(nn.ReLU()) is gpu


def test_a_network_that_is_settled_is_run_in_float32(monkeypatch):
    forbidden = []
    monkeypatch.setattr(devices, "forbid_tf32", lambda: forbidden.append(True))
    network = nn.Linear(2, 2)
    assert settle_network(network, None) is network
    assert device_of(network) == torch.device("cpu")
    assert forbidden == [True]


def test_statistics_alone_tell_where_a_network_is():
    assert device_of(nn.BatchNorm2d(2, affine=False, device="meta")) == torch.device("meta")


def test_a_device_without_float64_is_refused(monkeypatch):
    def refuse(*shape, dtype, device):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(torch, "zeros", refuse)
    with refuses(InvalidArgumentError, match="float64, got 'mps'"):
        find_device("mps")
