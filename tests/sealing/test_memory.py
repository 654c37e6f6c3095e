from math import prod

import pytest
import torch
from torch import nn

from modelseal.domain import Domain
from modelseal.errors import SealingError
from modelseal.generation import gaps
from modelseal.models.loader import Model
from modelseal.outputs.specs import parse_spec
from modelseal.sealing import memory
from modelseal.sealing.memory import (
    available_memory,
    fit_processes,
    measure_activations,
    need_memory,
    weigh,
)
from modelseal.sealing.recipe import Recipe

CPU = torch.device("cpu")
ACCOUNT = "MemTotal:  9000000 kB\nMemFree:  10 kB\nMemAvailable:    2000 kB\nCached: 5 kB\n"


@pytest.fixture
def machine(tmp_path):
    """A machine's account of its memory, and that of a container."""

    def build(account=ACCOUNT, most=None, used="0"):
        (tmp_path / "meminfo").write_text(account)
        if most is not None:
            (tmp_path / "memory.max").write_text(most)
            (tmp_path / "memory.current").write_text(used)
        return {"meminfo": tmp_path / "meminfo", "group": tmp_path}

    return build


def test_the_machine_tells_what_is_available_not_what_is_free(machine):
    assert available_memory(CPU, **machine()) == 2000 * 1024


@pytest.mark.parametrize(
    ("most", "used", "left"),
    [
        ("1000000\n", "400000\n", 600000),
        ("max\n", "400000\n", 2000 * 1024),
        ("9000000\n", "400000\n", 2000 * 1024),
        ("1000\n", "4000\n", 0),
    ],
)
def test_a_container_has_what_is_left_of_its_limit(machine, most, used, left):
    assert available_memory(CPU, **machine(most=most, used=used)) == left


@pytest.mark.parametrize("account", ["", "MemFree: 10 kB\n", "MemAvailable: much kB\n"])
def test_where_nobody_tells_it_is_not_known(machine, account):
    assert available_memory(CPU, **machine(account)) is None


def test_a_machine_without_such_files_does_not_tell(tmp_path):
    assert available_memory(CPU, meminfo=tmp_path / "no", group=tmp_path / "no") is None


def test_a_gpu_has_what_it_tells_where_that_is_less(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7000 + 10**9 * device.index, 1))
    assert available_memory(torch.device("cuda:0"), **machine()) == 7000
    assert available_memory(torch.device("cuda:1"), **machine()) == 2000 * 1024


def test_this_machine_tells_a_sensible_amount_if_any():
    amount = available_memory(CPU)
    assert amount is None or 2**20 < amount < 2**50


@pytest.mark.parametrize(
    ("wanted", "available", "fitting"),
    [(8, None, 8), (8, 100, 8), (8, 35, 3), (8, 30, 3), (8, 29, 2), (8, 0, 1), (1, 5, 1)],
)
def test_as_many_processes_run_as_fit_and_at_least_one(wanted, available, fitting):
    assert fit_processes(wanted, need=10, available=available) == fitting


def test_the_need_is_that_of_weights_jacobians_and_activations(tiny, monkeypatch):
    model = Model(network=tiny, domain=Domain(shape=(3, 8, 8)))
    monkeypatch.setattr(gaps, "PIECE", 192 * 5)
    weights = sum(prod(each.shape) * 4 for each in tiny.parameters())
    weights += 2 * 8 * 4 + 8
    activations = 4 * (3 * 8 * 64 + 8 * 64 + 3)
    for recipe, count in [
        (Recipe(tied=4), 3),
        (Recipe(tied=2, spec=parse_spec("topk:3")), 3),
        (Recipe(tied=7), 6),
    ]:
        jacobian = 32 * count * 192 * 4
        expected = memory.BARE + weights + 4 * jacobian + 2 * 5 * activations
        assert need_memory(model, recipe) == expected
    assert weigh(tiny) == weights
    assert not any(each._forward_hooks for each in tiny.modules())


def test_larger_inputs_need_more_in_spite_of_smaller_pieces():
    def need(size):
        network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
        model = Model(network=network.eval(), domain=Domain(shape=(3, size, size)))
        return need_memory(model, Recipe()) - memory.BARE

    assert need(32) < need(128) < 160 * 2**20
    assert need(224) < 160 * 2**20


def test_a_network_that_gives_other_things_on_the_way_is_measured_by_its_tensors():
    class Pair(nn.Module):
        """Gives two tensors at once."""

        def forward(self, inputs):
            return inputs, inputs

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = Pair()
            self.last = nn.Linear(2, 3)

        def forward(self, inputs):
            return self.last(self.pair(inputs)[0])

    model = Model(network=Whole(), domain=Domain(shape=(2,)))
    assert measure_activations(model) == 12


def test_a_network_that_cannot_be_run_is_one_sentence_and_keeps_no_hook():
    network = nn.Sequential(nn.Linear(7, 3))
    model = Model(network=network, domain=Domain(shape=(2,)))
    with pytest.raises(SealingError, match="cannot be run in this way"):
        need_memory(model, Recipe())
    assert not any(each._forward_hooks for each in network.modules())
    assert torch.is_grad_enabled()
