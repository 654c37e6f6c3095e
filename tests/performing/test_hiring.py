from dataclasses import dataclass

import pytest

from modelseal.errors import InvalidArgumentError
from modelseal.parallel import ray
from modelseal.parallel.workers import Processes, Sequential, hire


@dataclass(frozen=True)
class Cluster:
    address: str
    gpu: bool

    def __call__(self, perform, tasks):
        yield from ()


def test_one_worker_needs_no_process_of_its_own():
    assert isinstance(hire(1), Sequential)
    assert hire(3) == Processes(3)


def test_an_address_asks_for_a_cluster(monkeypatch):
    monkeypatch.setattr(ray, "Cluster", Cluster)
    assert hire(1, "10.0.0.1:6379") == Cluster("10.0.0.1:6379", gpu=False)
    assert hire(1, "auto", gpu=True) == Cluster("auto", gpu=True)


def test_a_cluster_and_processes_are_refused_together():
    with pytest.raises(InvalidArgumentError, match="2 and auto"):
        hire(2, "auto")
