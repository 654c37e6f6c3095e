"""Where tasks are performed: in this process, or in several at once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Generic, Protocol, TypeVar, runtime_checkable

from modelseal.errors import EvaluationError, InvalidArgumentError
from modelseal.performing.settling import Failed, perform_one, unwrap
from modelseal.performing.spawning import Lost, Worker

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class Workers(Protocol):
    """Performs independent tasks somewhere."""

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs every task and gives the results as they finish, in any order.

        Nothing starts before the first result is asked for. Who leaves early closes the iterator
        (`contextlib.closing`), which stops what is under way.

        Args:
            perform: A function of a module, no lambda: other processes find it by its name. It
                may be begun twice for one task, if the first time's process died.
            tasks: Small values that can be pickled.

        Returns:
            Each task with its result.

        Raises:
            ModelsealError: What `perform` raised, as it is.
            EvaluationError: `perform` raised anything else, or a task lost all its workers.
            InvalidArgumentError: The function or a task cannot be sent to another process.
        """
        ...


class Sequential:
    """Performs one task after the other, in this process."""

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs the tasks in their order; see `Workers`."""
        for task in tasks:
            yield task, perform_one(perform, task)


@dataclass(frozen=True, slots=True)
class Processes:
    """Performs tasks in processes on this machine.

    A process has one task at a time, and the next is sent when it is done: a process that dies
    costs that task only, which a new one begins again.

    Args:
        count: How many processes.
        attempts: How often a task is begun, at the most, if its processes die.

    Raises:
        InvalidArgumentError: A number is below 1.
    """

    count: int
    attempts: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        if self.count < 1 or self.attempts < 1:
            raise InvalidArgumentError(
                f"{self.count} processes and {self.attempts} attempts; at least 1 of each is needed"
            )

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs the tasks; see `Workers`."""
        crew = _Crew(perform, tasks)
        try:
            crew.occupy(self.count)
            while crew.jobs:
                outcomes = list(crew.gather(self.attempts))
                # The processes work on while the caller looks at what they did.
                crew.occupy(self.count)
                yield from ((task, unwrap(outcome)) for task, outcome in outcomes)
        finally:
            crew.dismiss()


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    task: T
    attempt: int = 1


class _Crew(Generic[T, R]):
    """Processes, what each is doing, and what nobody has begun."""

    def __init__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> None:
        self.perform = perform
        self.waiting = deque(_Job(task) for task in tasks)
        self.jobs: dict[Worker[T, R], _Job[T]] = {}
        self.workers: list[Worker[T, R]] = []

    def occupy(self, count: int) -> None:
        """Gives every one of `count` processes something to do, as long as there is something."""
        while self.waiting and len(self.jobs) < count:
            worker, job = self.find_free(), self.waiting.popleft()
            self.jobs[worker] = job
            worker.begin(job.task)

    def find_free(self) -> Worker[T, R]:
        """Gives a process without a task: a new one if there is none."""
        free = [worker for worker in self.workers if worker not in self.jobs]
        if not free:
            free = [Worker(self.perform)]
            self.workers += free
        return free[0]

    def gather(self, attempts: int) -> Iterator[tuple[T, R | Failed]]:
        """Waits for outcomes and gives them; what was lost with its process waits again.

        Raises:
            EvaluationError: A task was lost for the last time.
        """
        ready = wait([worker.pipe for worker in self.jobs])
        for worker in [worker for worker in self.jobs if worker.pipe in ready]:
            outcome = worker.take()
            job = self.jobs.pop(worker)
            if not isinstance(outcome, Lost):
                yield job.task, outcome
                continue
            self.workers.remove(worker)
            if job.attempt == attempts:
                raise EvaluationError(
                    f"{job.task}: begun {attempts} times, but its process died ({outcome})"
                )
            self.waiting.appendleft(_Job(job.task, job.attempt + 1))

    def dismiss(self) -> None:
        """Ends all processes, at once where one has a task."""
        for worker in self.workers:
            worker.part()
        for worker in self.workers:
            worker.join()
