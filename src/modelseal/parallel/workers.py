"""Performs independent tasks in this process or in several, with errors that name their task.

Numbers must not depend on where a task ran: the order of a sum, and with it the last bits of a
score, depends on the number of torch's threads, so that it is one everywhere.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pickle import PickleError
from threading import Thread
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch

from modelseal.errors import EvaluationError, InvalidArgumentError, ModelsealError

T = TypeVar("T")
R = TypeVar("R")

# Seconds that a process without a task gets to leave by itself before it is killed.
_GRACE = 5.0
# What pickling raises for a value that cannot be pickled.
_UNSENDABLE = (PickleError, AttributeError, TypeError)
# New processes, not copies of this one: torch's threads do not survive a fork.
_SPAWN = get_context("spawn")


@runtime_checkable
class Workers(Protocol):
    """Performs independent tasks somewhere."""

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs every task and gives each with its result as they finish, in any order.

        Nothing starts before the first result is asked for. Who leaves early closes the iterator
        (`contextlib.closing`), which stops what is under way.
        """
        ...


def hire(count: int = 1, address: str | None = None, *, gpu: bool = False) -> Workers:
    """This process, `count` on this machine, or a Ray cluster at an address, perhaps with GPUs."""
    if address is None:
        return Sequential() if count == 1 else Processes(count)
    if count > 1:
        raise InvalidArgumentError(
            f"expected either workers or a Ray cluster, got both: {count} and {address}",
            field="workers",
        )
    from modelseal.parallel.ray import Cluster

    return Cluster(address, gpu=gpu)


class Sequential:
    """Performs one task after the other, in this process."""

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs the tasks in their order; see `Workers`."""
        for task in tasks:
            yield task, _perform(perform, task)


@dataclass(frozen=True, slots=True)
class Processes:
    """Performs tasks in `count` processes on this machine.

    A process has one task at a time, and the next is sent when it is done: a process that dies
    costs that task only, which a new one begins again, `attempts` times at the most.
    """

    count: int
    attempts: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("count", "attempts"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(
                    f"expected 1 or more, got {getattr(self, name)}", field=name
                )

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs the tasks; see `Workers`."""
        pool = _Pool(perform, tasks)
        try:
            pool.occupy(self.count)
            while pool.jobs:
                outcomes = list(pool.collect(self.attempts))
                # The processes work on while the caller looks at what they did.
                pool.occupy(self.count)
                yield from ((task, unwrap(outcome)) for task, outcome in outcomes)
        finally:
            pool.end()


@dataclass(frozen=True, slots=True)
class _Failed:
    """What comes back from another process in place of a result."""

    error: ModelsealError


def attempt(perform: Callable[[T], R], task: T) -> R | _Failed:
    """Performs one task and gives an error back as a value, which can be sent and unwrapped."""
    try:
        return _perform(perform, task)
    except ModelsealError as error:
        return _Failed(error)


def unwrap(outcome: R | _Failed) -> R:
    """Gives the result, or raises the error of a task that failed."""
    if isinstance(outcome, _Failed):
        raise outcome.error
    return outcome


def _perform(perform: Callable[[T], R], task: T) -> R:
    try:
        with _one_thread():
            return perform(task)
    except ModelsealError:
        raise
    # Owners' networks and foreign runtimes raise what they like, and whatever is not translated
    # here would look like a worker that was lost.
    except Exception as error:
        raise EvaluationError(f"{task}: {type(error).__name__}: {error}") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class _Lost:
    """What comes back when the process died with its task; signal n gives the exit code -n."""

    code: int | None

    def __str__(self) -> str:
        if self.code == -signal.SIGKILL:
            return "killed by SIGKILL, as when memory runs out"
        return f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    task: T
    attempt: int = 1


class _Pool(Generic[T, R]):
    """Processes, what each is doing, and what nobody has begun."""

    def __init__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> None:
        self.perform = perform
        self.waiting = deque(_Job(task) for task in tasks)
        self.jobs: dict[_Worker[T, R], _Job[T]] = {}
        self.workers: list[_Worker[T, R]] = []

    def occupy(self, count: int) -> None:
        """Gives every one of `count` processes something to do, as long as there is something."""
        while self.waiting and len(self.jobs) < count:
            worker, job = self._find_free(), self.waiting.popleft()
            self.jobs[worker] = job
            worker.begin(job.task)

    def _find_free(self) -> "_Worker[T, R]":
        free = [worker for worker in self.workers if worker not in self.jobs]
        if not free:
            free = [_Worker(self.perform)]
            self.workers += free
        return free[0]

    def collect(self, attempts: int) -> Iterator[tuple[T, R | _Failed]]:
        """Waits for outcomes and gives them; what was lost with its process waits again."""
        ready = wait([worker.pipe for worker in self.jobs])
        for worker in [worker for worker in self.jobs if worker.pipe in ready]:
            outcome = worker.take()
            job = self.jobs.pop(worker)
            if not isinstance(outcome, _Lost):
                yield job.task, outcome
                continue
            self.workers.remove(worker)
            if job.attempt == attempts:
                raise EvaluationError(
                    f"{job.task}: begun {attempts} times, but its process died ({outcome})"
                )
            self.waiting.appendleft(_Job(job.task, job.attempt + 1))

    def end(self) -> None:
        """Ends all processes, at once where one has a task."""
        for worker in self.workers:
            worker.part()
        for worker in self.workers:
            worker.join()


class _Worker(Generic[T, R]):
    """A process that performs one task at a time, and never outlives this one."""

    def __init__(self, perform: Callable[[T], R]) -> None:
        self.perform = perform
        self.busy = False
        self.pipe, theirs = _SPAWN.Pipe()
        with theirs:
            self.process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
            _start(self.process)

    def begin(self, task: T) -> None:
        """Gives the process a task, if it can be sent."""
        self.busy = True
        try:
            # A process that died since its last task is found when the outcome is taken.
            with suppress(BrokenPipeError):
                self.pipe.send((self.perform, task))
        except _UNSENDABLE as error:
            raise InvalidArgumentError(
                f"{task}: it and its function cannot be sent to another process: {error}"
            ) from error

    def take(self) -> R | _Failed | _Lost:
        """Waits for the outcome of the task; after a loss, the process is over."""
        try:
            outcome: R | _Failed = self.pipe.recv()
        except (EOFError, OSError):
            self.pipe.close()
            return _Lost(self.join())
        self.busy = False
        return outcome

    def part(self) -> None:
        """Tells the process to leave, or kills it if it has a task."""
        self.pipe.close()
        if self.busy:
            self.process.kill()

    def join(self) -> int | None:
        """Waits until the process is gone, and gives its exit code."""
        self.process.join(_GRACE)
        self.process.kill()
        self.process.join()
        return self.process.exitcode


def _start(process: BaseProcess) -> None:
    """Starts a process that a terminal's Ctrl-C does not reach.

    A terminal sends it to all processes. Ours are stopped by their parent, and would but print
    how they were interrupted. They inherit that it is blocked from the thread that starts them;
    and as it is not the main thread, Ctrl-C cannot cut the starting short either.
    """
    # Spawning starts the tracker the first time, and that would end the blocking early.
    resource_tracker.ensure_running()
    with ThreadPoolExecutor(1, initializer=_block_interrupts) as thread:
        thread.submit(process.start).result()


def _block_interrupts() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _serve(pipe: Connection) -> None:
    """Performs what comes through the pipe until nobody is at its other end."""
    Thread(target=_leave_with, args=(parent_process(),), daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            perform, task = pipe.recv()
            outcome = attempt(perform, task)
            try:
                pipe.send(outcome)
            except _UNSENDABLE as error:
                problem = f"{task}: its result cannot be sent back: {error}"
                pipe.send(_Failed(EvaluationError(problem)))


def _leave_with(parent: BaseProcess) -> None:
    """Ends this process with the one that started it, in the middle of a task, too."""
    parent.join()
    os._exit(1)
