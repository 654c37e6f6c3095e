import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime import devices
from modelseal.runtime.devices import device_of, find_device, settle_network


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta"])
def test_a_device_that_is_not_here_is_refused(name):
    with refuses(InvalidArgumentError, match=f"got '{name}'"):
        find_device(name)


def test_a_network_is_where_its_weights_are_and_one_without_any_on_the_cpu():
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")


def test_a_network_that_is_settled_is_run_in_float32(monkeypatch):
    forbidden = []
    monkeypatch.setattr(devices, "forbid_tf32", lambda: forbidden.append(True))
    network = nn.Linear(2, 2)
    assert settle_network(network, None) is network
    assert device_of(network) == torch.device("cpu")
    assert forbidden == [True]


def test_a_device_without_float64_is_refused(monkeypatch):
    def refuse(*shape, dtype, device):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(torch, "zeros", refuse)
    with refuses(InvalidArgumentError, match="float64, got 'mps'"):
        find_device("mps")
