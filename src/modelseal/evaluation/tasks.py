"""Performs one task of an evaluation, wherever it was sent to."""

from dataclasses import dataclass
from typing import TypeAlias

from modelseal.errors import FOREIGN_ERRORS, ModelsealError
from modelseal.evaluation.asking import TrialTask, try_change
from modelseal.evaluation.rehosting import HarmlessTask, Rehosted, count_alarms
from modelseal.evaluation.subjects import SampleResult, SampleTask, make_set
from modelseal.evaluation.suspecting import SpottingTask, suspect_samples
from modelseal.evaluation.trial import Suspicion, Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A task that could not be performed.

    Args:
        task: What it was.
        problem: Why it failed, in one sentence.
    """

    task: str
    problem: str


Task: TypeAlias = SampleTask | HarmlessTask | SpottingTask | TrialTask
"""A frozen value of names, numbers and paths: all that a worker needs."""

Result: TypeAlias = SampleResult | Rehosted | Suspicion | tuple[Trial, ...] | Failure
"""What a task gives: a set of samples, alarms by variant, how well samples are told from natural
inputs, or trials, or why it gives nothing."""


def perform(task: Task) -> Result:
    """Performs a task; a problem with it is a result, so that the other tasks go on."""
    try:
        match task:
            case SampleTask():
                return make_set(task)
            case HarmlessTask():
                return count_alarms(task)
            case SpottingTask():
                return suspect_samples(task)
        return try_change(task)
    except ModelsealError as error:
        return Failure(task=str(task), problem=str(error))
    # What networks, recipes and runtimes that are not ours raise.
    except (*FOREIGN_ERRORS, MemoryError) as error:
        return Failure(task=str(task), problem=f"{type(error).__name__}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).splitlines()), "")
