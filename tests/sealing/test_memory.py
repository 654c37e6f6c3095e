"""How much memory there is, and how many processes are hired for it."""

from math import prod

import pytest
import torch
from crafted import recipe
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation import gaps
from modelseal.models.loader import Model
from modelseal.parallel.ray import Cluster
from modelseal.parallel.workers import Processes, Sequential
from modelseal.sealing import checkpoints, pipeline
from modelseal.sealing.checkpoints import available_memory, fit_processes, need_memory, weigh

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


@pytest.mark.parametrize(
    ("most", "used", "left"),
    [
        (None, "0", 2000 * 1024),
        ("1000000\n", "400000\n", 600000),
        ("max\n", "400000\n", 2000 * 1024),
        ("9000000\n", "400000\n", 2000 * 1024),
        ("1000\n", "4000\n", 0),
    ],
)
def test_there_is_what_the_machine_has_or_what_is_left_of_the_container_s_limit(
    machine, most, used, left
):
    assert available_memory(CPU, **machine(most=most, used=used)) == left


@pytest.mark.parametrize("account", ["", "MemFree: 10 kB\n", "MemAvailable: much kB\n"])
def test_where_nobody_tells_it_is_not_known(machine, account, tmp_path):
    assert available_memory(CPU, **machine(account)) is None
    assert available_memory(CPU, meminfo=tmp_path / "no", group=tmp_path / "no") is None


def test_a_gpu_has_what_it_tells_where_that_is_less(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7000 + 10**9 * device.index, 1))
    assert available_memory(torch.device("cuda:0"), **machine()) == 7000
    assert available_memory(torch.device("cuda:1"), **machine()) == 2000 * 1024


@pytest.mark.parametrize(
    ("wanted", "available", "fitting"),
    [(8, None, 8), (8, 100, 8), (8, 30, 3), (8, 29, 2), (8, 0, 1), (1, 5, 1)],
)
def test_as_many_processes_run_as_fit_and_at_least_one(wanted, available, fitting):
    assert fit_processes(wanted, need=10, available=available) == fitting


def test_the_need_is_that_of_weights_jacobians_and_activations(tiny, monkeypatch):
    model = Model(network=tiny, domain=Domain(shape=(3, 8, 8)))
    monkeypatch.setattr(gaps, "PIECE", 192 * 5)
    weights = sum(prod(each.shape) * 4 for each in tiny.parameters())
    weights += 2 * 8 * 4 + 8
    activations = 4 * (3 * 8 * 64 + 8 * 64 + 3)
    for settings, count in (({"tied": 4}, 3), ({"tied": 2, "spec": "topk:3"}, 3), ({"tied": 7}, 6)):
        jacobian = 32 * count * 192 * 4
        expected = checkpoints.BARE + weights + 4 * jacobian + 2 * 5 * activations
        assert need_memory(model, recipe(model, **settings)) == expected
    assert weigh(tiny) == weights
    assert not any(each._forward_hooks for each in tiny.modules())


class HiredError(Exception):
    """Ends the work where it would begin."""


@pytest.fixture
def hired(model, naturals, monkeypatch):
    """Who would make the candidates of a call, and what was told before."""

    def stop(*_, workers, **__):
        raise HiredError(workers)

    def look(**options):
        told = []
        with pytest.raises(HiredError) as caught:
            pipeline.generate(model, naturals(model.domain), notify=told.append, **options)
        return caught.value.args[0], told

    monkeypatch.setattr(pipeline, "make_candidates", stop)
    return look


def test_this_process_makes_all_unless_workers_or_a_cluster_are_wanted(hired):
    pytest.importorskip("ray")
    assert hired() == (None, [])
    assert isinstance(hired(workers=1)[0], Sequential)
    for count in (None, 1):
        assert hired(workers=count, ray="10.0.0.1:6379")[0] == Cluster("10.0.0.1:6379")


@pytest.mark.parametrize(("rooms", "fitting"), [(1e9, 5), (3.5, 3), (0.2, 1)])
def test_no_more_processes_are_hired_than_fit_which_is_told(
    hired, model, monkeypatch, rooms, fitting
):
    need = need_memory(model, recipe(model))
    monkeypatch.setattr(pipeline, "available_memory", lambda device: int(rooms * need))
    crew, told = hired(workers=5)
    assert crew == Processes(fitting) if fitting > 1 else isinstance(crew, Sequential)
    assert [sentence.split(" processes")[0] for sentence in told] == (
        [] if fitting == 5 else [f"{fitting} of 5"]
    )


def test_workers_elsewhere_need_a_file_to_load_the_network_from(model, naturals):
    with refuses(InvalidArgumentError, field="model"):
        pipeline.generate(model, naturals(model.domain), workers=2)
    with refuses(InvalidArgumentError, field="workers"):
        pipeline.generate(model, naturals(model.domain), workers=2, ray="auto")
