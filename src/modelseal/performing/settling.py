"""Performs one task anywhere: on one torch thread, and with an error that names the task.

Numbers must not depend on where a task ran: the order of a sum, and with it the last bits of a
score, depends on the number of threads, so that it is one everywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from modelseal.errors import EvaluationError, ModelsealError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failed:
    """What comes back from another process in place of a result.

    Args:
        error: Why.
    """

    error: ModelsealError


@contextmanager
def one_thread() -> Iterator[None]:
    """Gives torch one thread for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def perform_one(perform: Callable[[T], R], task: T) -> R:
    """Performs one task, on one torch thread.

    Raises:
        ModelsealError: What `perform` raised, as it is.
        EvaluationError: `perform` raised anything else.
    """
    try:
        with one_thread():
            return perform(task)
    except ModelsealError:
        raise
    # Owners' networks and foreign runtimes raise what they like, and whatever is not translated
    # here would look like a worker that was lost.
    except Exception as error:
        raise EvaluationError(f"{task}: {type(error).__name__}: {error}") from error


def settle(perform: Callable[[T], R], task: T) -> R | Failed:
    """Performs one task and gives an error back as a value, which survives the way home."""
    try:
        return perform_one(perform, task)
    except ModelsealError as error:
        return Failed(error)


def unwrap(outcome: R | Failed) -> R:
    """Gives the result.

    Raises:
        ModelsealError: The task failed.
    """
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome
