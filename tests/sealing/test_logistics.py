import re
from math import inf, nan
from pathlib import Path

import pytest
import torch

from modelseal.errors import InvalidArgumentError
from modelseal.parallel.workers import Processes, Sequential, Workers
from modelseal.sealing.checkpoints import Logistics, perform_here

TOML = Path("model.toml")


def test_by_default_this_process_does_all_without_an_end_and_keeps_nothing():
    usual = Logistics()
    assert isinstance(usual.workers, Workers)
    assert (usual.workers, usual.is_here, usual.seconds, usual.folder) == (
        perform_here,
        True,
        inf,
        None,
    )


def test_here_a_task_has_all_threads_and_with_workers_one():
    torch.set_num_threads(2)
    try:
        assert list(perform_here(lambda task: (task, torch.get_num_threads()), [3, 4])) == [
            (3, (3, 2)),
            (4, (4, 2)),
        ]
        made = [Logistics(), Logistics(workers=Sequential())]
        made.append(Logistics(workers=Processes(2), source=TOML))
        assert [each.threads for each in made] == [2, 1, 1]
        assert [each.is_here for each in made] == [True, True, False]
    finally:
        torch.set_num_threads(1)


def test_nothing_is_begun_before_a_result_is_asked_for():
    begun = []
    results = perform_here(begun.append, [1, 2])
    assert begun == []
    next(results)
    assert begun == [1]


@pytest.mark.parametrize("seconds", [0.0, -1.0, nan])
def test_a_time_limit_that_is_none_is_refused(seconds):
    problem = f"a time limit needs to be above 0 seconds, but is {seconds}"
    with pytest.raises(InvalidArgumentError, match=f"^{re.escape(problem)}$"):
        Logistics(seconds=seconds)


def test_workers_elsewhere_need_a_file_to_load_the_network_from():
    with pytest.raises(InvalidArgumentError, match=r"^a model\.toml is needed for workers outside"):
        Logistics(workers=Processes(2))
