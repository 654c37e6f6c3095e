"""Runs a plan: makes all samples, then asks them in harmless ways and of changed networks.

Every result is a file of its own, written as soon as it is there, and what is there is never done
again: a run that was stopped goes on where it was.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation.freezing import FrozenPlan, check_grown, freeze
from modelseal.evaluation.listing import (
    list_harmless,
    list_samples,
    list_spotting,
    list_trials,
    list_wanted,
)
from modelseal.evaluation.opening import Opened, every_variant, list_networks, open_network
from modelseal.evaluation.places import (
    alarms_file,
    arrays_file,
    costs_file,
    plan_file,
    set_file,
    spotting_file,
    trial_file,
)
from modelseal.evaluation.plan import Plan, read_plan, spotted_subjects
from modelseal.evaluation.rehosting import HarmlessTask, Rehosted
from modelseal.evaluation.spotting.statistics import SMALLEST
from modelseal.evaluation.storing import (
    dump,
    dump_alarms,
    dump_arrays,
    dump_set,
    dump_suspicion,
    dump_trial,
    read_part,
)
from modelseal.evaluation.subjects import SampleResult, SampleTask
from modelseal.evaluation.suspecting import SpottingTask
from modelseal.evaluation.tasks import Failure, Result, Task, perform
from modelseal.evaluation.trial import Suspicion
from modelseal.performing.workers import Workers
from modelseal.writing import explain, write_atomically

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told the name of a stage, how much of it is done, and how much there is."""

Results: TypeAlias = Generator[tuple[Task, Result], None, None]
"""What workers give; closing it stops what is under way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A plan on its way.

    Args:
        folder: Where results are kept.
        workers: Perform tasks.
        progress: Is told of every stage.
    """

    folder: Path
    workers: Workers
    progress: Progress

    def perform(self, tasks: Sequence[Task]) -> tuple[Failure, ...]:
        """Performs tasks, of one stage or several, and writes their results; gives what failed.

        Raises:
            BadFileError: A result cannot be written.
            EvaluationError: Workers were lost.
        """
        failures = []
        totals, done = Counter(map(stage_of, tasks)), Counter[str]()
        for stage, total in totals.items():
            self.progress(stage, 0, total)
        with closing(cast(Results, self.workers(perform, tasks))) as results:
            for task, result in results:
                write_all(self.folder, task, result)
                if isinstance(result, Failure):
                    failures.append(result)
                stage = stage_of(task)
                done[stage] += 1
                self.progress(stage, done[stage], totals[stage])
        return tuple(failures)


def stage_of(task: Task) -> str:
    """What a task belongs to, for people."""
    match task:
        case SampleTask():
            return "samples"
        case HarmlessTask():
            return "harmless"
        case SpottingTask():
            return "spotting"
    return "trials"


def evaluate(
    path: Path, folder: Path, *, workers: Workers, progress: Progress
) -> tuple[Failure, ...]:
    """Runs a plan, or what is missing of it.

    Args:
        path: The plan.toml.
        folder: Where results are kept; made if it is missing.
        workers: Perform tasks: in this process, in several, or on many machines that all see
            the folder and the plan's files.
        progress: Is told of the stages `samples`, `harmless`, `trials` and `spotting`.

    Returns:
        The tasks that could not be performed; all others are done.

    Raises:
        BadFileError: The plan or a file that it names is wrong, or the folder holds results of
            another plan.
        EvaluationError: Workers were lost.
    """
    plan, whole = read_plan(path), folder.resolve()
    networks = list_networks(plan, path.parent)
    opened = {name: open_network(files) for name, files in networks.items()}
    wanted = list_wanted(plan, networks, opened, file=path)
    check_variants(plan, opened, file=path)
    check_spotting(plan, opened, file=path)
    settle(freeze(plan, opened, trials=sum(len(each.subjects) for each in wanted)), whole)
    run = Run(folder=whole, workers=workers, progress=progress)
    failures = run.perform(list_samples(plan, networks, whole))
    asking: list[Task] = [
        *list_harmless(plan, networks, whole),
        *list_trials(wanted, whole),
        *list_spotting(plan, networks, whole),
    ]
    return failures + run.perform(asking)


def check_variants(plan: Plan, opened: Mapping[str, Opened], *, file: Path) -> None:
    """Makes sure that every harmless variant that is named exists for every network.

    Raises:
        BadFileError: One does not.
    """
    names = tuple(plan.harmless.variants or ())
    for each in opened.values():
        try:
            every_variant(each.model, names)
        except InvalidArgumentError as error:
            raise BadFileError(file, str(error), field="harmless.variants") from error


def check_spotting(plan: Plan, opened: Mapping[str, Opened], *, file: Path) -> None:
    """Makes sure that every network takes images with channels, if detectors look at them.

    Raises:
        BadFileError: One does not.
    """
    for name in dict.fromkeys(each.network for each in spotted_subjects(plan)):
        shape = opened[name].model.domain.shape
        if len(shape) != 3 or min(shape[-2:]) < SMALLEST:
            raise BadFileError(
                file,
                f"needs images of channels, height and width, at least {SMALLEST} x {SMALLEST}, "
                f"but {name} takes inputs of shape {list(shape)}",
                field="spotting",
            )


def settle(frozen: FrozenPlan, folder: Path) -> None:
    """Makes the folder of results, or makes sure that those in it are of the same plan.

    Raises:
        BadFileError: They are of another plan, or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written to: {explain(error)}") from error
    file = plan_file(folder)
    if not file.is_file() and any(folder.iterdir()):
        raise BadFileError(
            folder, "a new or empty folder or older results were wanted, but this is another"
        )
    if file.is_file():
        check_grown(read_part(file, FrozenPlan), frozen, file=file)
    write_atomically(file, dump(frozen.model_dump()))


def write_all(folder: Path, task: Task, result: Result) -> None:
    """Writes what a task gave, each file as a whole; the one that says it is done comes last.

    Raises:
        BadFileError: A file cannot be written.
    """
    match result:
        case SampleResult():
            subject = result.samples.subject
            put(arrays_file(folder, subject), dump_arrays(result.arrays))
            put(costs_file(folder, subject), dump({"seconds": result.seconds}))
            put(set_file(folder, subject), dump_set(result.samples, result.arrays))
        case tuple():
            for trial in result:
                file = trial_file(
                    folder, trial.subject, name=trial.name, level=trial.level, seed=trial.seed
                )
                put(file, dump_trial(trial))
        case Rehosted():
            subject = cast(HarmlessTask, task).subject
            put(alarms_file(folder, subject), dump_alarms(subject, result.alarms, result.skipped))
        case Suspicion():
            put(spotting_file(folder, result.subject), dump_suspicion(result))


def put(file: Path, content: bytes) -> None:
    """Writes a file, in a folder that is made if it is missing.

    Raises:
        BadFileError: It cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)
