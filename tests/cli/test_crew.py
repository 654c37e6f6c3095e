import pytest

from modelseal.cli.seal import hire
from modelseal.errors import InvalidArgumentError
from modelseal.parallel.workers import Processes, Sequential


def test_one_worker_needs_no_process_of_its_own():
    assert isinstance(hire(1, None), Sequential)
    assert hire(3, None) == Processes(3)


def test_an_address_asks_for_a_cluster(monkeypatch):
    from modelseal.parallel import ray

    monkeypatch.setattr(ray, "Cluster", lambda address, gpu: ("cluster", address, gpu))
    assert hire(1, "10.0.0.1:6379") == ("cluster", "10.0.0.1:6379", False)
    assert hire(1, "auto", gpu=True) == ("cluster", "auto", True)


def test_a_cluster_and_processes_are_refused_together():
    with pytest.raises(InvalidArgumentError, match="both came: 2 and auto"):
        hire(2, "auto")
