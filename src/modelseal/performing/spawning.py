"""One process of our own that performs one task after the other, and may die."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pickle import PickleError
from threading import Thread
from typing import Generic, TypeVar

from modelseal.errors import EvaluationError, InvalidArgumentError
from modelseal.performing.settling import Failed, settle

T = TypeVar("T")
R = TypeVar("R")

GRACE = 5.0
"""Seconds that a process without a task gets to leave by itself before it is killed."""

UNSENDABLE = (PickleError, AttributeError, TypeError)
"""What pickling raises for a value that cannot be pickled."""

SPAWN = get_context("spawn")
"""New processes, not copies of this one: torch's threads do not survive a fork."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What comes back in place of a result when the process died with its task.

    Args:
        code: Its exit code; of a process ended by signal n, it is -n.
    """

    code: int | None

    def __str__(self) -> str:
        """How it died, to be put in brackets."""
        if self.code == -signal.SIGKILL:
            return "killed by SIGKILL, as when memory runs out"
        return f"exit code {self.code}"


class Worker(Generic[T, R]):
    """A process of our own that performs one task at a time.

    It starts at once, and never outlives this process, however that ends.

    Args:
        perform: A function of a module.
    """

    def __init__(self, perform: Callable[[T], R]) -> None:
        self.perform = perform
        self.busy = False
        self.pipe, theirs = SPAWN.Pipe()
        with theirs:
            self.process = SPAWN.Process(target=serve, args=(theirs,), daemon=True)
            start(self.process)

    def begin(self, task: T) -> None:
        """Gives the process a task.

        Raises:
            InvalidArgumentError: The function or the task cannot be sent to another process.
        """
        self.busy = True
        try:
            # A process that died since its last task is found when the outcome is taken.
            with suppress(BrokenPipeError):
                self.pipe.send((self.perform, task))
        except UNSENDABLE as error:
            raise InvalidArgumentError(
                f"{task}: it and its function cannot be sent to another process: {error}"
            ) from error

    def take(self) -> R | Failed | Lost:
        """Waits for the outcome of the task; after a loss, the process is over."""
        try:
            outcome: R | Failed = self.pipe.recv()
        except (EOFError, OSError):
            self.pipe.close()
            return Lost(self.join())
        self.busy = False
        return outcome

    def part(self) -> None:
        """Tells the process to leave, or kills it if it has a task."""
        self.pipe.close()
        if self.busy:
            self.process.kill()

    def join(self) -> int | None:
        """Waits until the process is gone, and gives its exit code."""
        self.process.join(GRACE)
        self.process.kill()
        self.process.join()
        return self.process.exitcode


def start(process: BaseProcess) -> None:
    """Starts a process that a terminal's Ctrl-C does not reach.

    A terminal sends it to all processes. Ours are stopped by their parent, and would but print
    how they were interrupted. They inherit that it is blocked from the thread that starts them;
    and as it is not the main thread, Ctrl-C cannot cut the starting short either.
    """
    # Spawning starts the tracker the first time, and that would end the blocking early.
    resource_tracker.ensure_running()
    with ThreadPoolExecutor(1, initializer=block_interrupts) as thread:
        thread.submit(process.start).result()


def block_interrupts() -> None:
    """Keeps Ctrl-C from this thread and from the processes that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def serve(pipe: Connection) -> None:
    """Performs what comes through the pipe until nobody is at its other end."""
    Thread(target=leave_with, args=(parent_process(),), daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            perform, task = pipe.recv()
            send(pipe, task, settle(perform, task))


def leave_with(parent: BaseProcess) -> None:
    """Ends this process with the one that started it, in the middle of a task, too."""
    parent.join()
    os._exit(1)


def send(pipe: Connection, task: object, outcome: object) -> None:
    """Sends an outcome home, or why it cannot be sent."""
    try:
        pipe.send(outcome)
    except UNSENDABLE as error:
        pipe.send(Failed(EvaluationError(f"{task}: its result cannot be sent back: {error}")))
