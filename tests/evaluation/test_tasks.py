from pathlib import Path

import pytest

from modelseal.errors import SealingError
from modelseal.evaluation import runner
from modelseal.evaluation.false_alarms import HarmlessTask
from modelseal.evaluation.inputs import NetworkFiles
from modelseal.evaluation.results import Failure, Subject
from modelseal.evaluation.runner import perform
from modelseal.evaluation.sample_sets import SampleTask
from modelseal.evaluation.trials import Spot, TrialTask

SUBJECT = Subject(network="small", method="natural", spec="top1")
HERE = Path()
FILES = NetworkFiles(name="small", model=HERE, train=HERE, test=HERE, images=1)
SAMPLES = SampleTask(
    subject=SUBJECT,
    files=FILES,
    candidates=1,
    bags=1,
    bag=1,
    count=1,
    tie=10,
    rules=(),
    seed=0,
    variants=None,
)
HARMLESS = HarmlessTask(subject=SUBJECT, files=FILES, folder=HERE, variants=None)
SPOT = Spot(source="paper", name="noise", level=0.5, seed=3)
TRIAL = TrialTask(spot=SPOT, files=FILES, subjects=(SUBJECT,), folder=HERE)


@pytest.mark.parametrize(
    ("task", "does", "name"),
    [
        (SAMPLES, "make_set", "samples of natural for small, top1"),
        (HARMLESS, "count_alarms", "harmless variants of natural for small, top1"),
        (TRIAL, "try_change", "trial of small under noise 0.5, seed 3"),
    ],
)
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SealingError("none was accepted"), "none was accepted"),
        (RuntimeError("too large\nat line 3"), "RuntimeError: too large"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_a_problem_with_a_task_is_a_result_that_names_it(
    monkeypatch, task, does, name, error, problem
):
    def fail(given):
        assert given is task
        raise error

    monkeypatch.setattr(runner, does, fail)
    assert perform(task) == Failure(task=name, problem=problem)


def test_an_interruption_is_no_result(monkeypatch):
    def leave(given):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "try_change", leave)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        perform(TRIAL)
