"""Networks and programs that are moved to another device."""

import copy

import pytest
import torch
from other_device import add_device
from torch import nn

from modelseal.models.builder import read_program
from modelseal.runtime.devices import device_of, find_device, settle_network

DEVICE = add_device()


@pytest.fixture
def exported(tmp_path):
    """A program that makes tensors anew and has constants."""
    network = nn.Sequential(nn.Linear(3, 4), Numbering(), nn.BatchNorm1d(4)).eval()
    program = torch.export.export(network, (torch.rand(2, 3),))
    torch.export.save(program, tmp_path / "p.pt2")
    return tmp_path / "p.pt2"


class Numbering(nn.Module):
    def __init__(self):
        super().__init__()
        self.shares = torch.tensor([0.1, 0.2, 0.3, 0.4])

    def forward(self, numbers):
        more = torch.tensor([1.0, 2.0, 3.0, 4.0]).to(numbers.device)
        return numbers * self.shares + torch.arange(4, device=numbers.device) + more


def test_a_program_runs_where_it_is_moved(exported):
    inputs = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    program = read_program(exported)
    expected = program(inputs)
    there = nn.Sequential(copy.deepcopy(program)).to(DEVICE)
    assert torch.equal(there(inputs.to(DEVICE)).cpu(), expected)
    assert torch.equal(copy.deepcopy(there).to("cpu")(inputs), expected)
    assert torch.equal(program(inputs), expected)


def test_a_network_is_moved_where_it_is_wanted():
    network = nn.Linear(2, 2)
    assert settle_network(network, find_device(DEVICE)) is network
    assert device_of(network).type == DEVICE
