"""Performs one task of an evaluation, wherever it was sent to."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

from modelseal.errors import FOREIGN_ERRORS, BadFileError, InvalidArgumentError, ModelsealError
from modelseal.evaluation.adversary.detectors import SMALLEST
from modelseal.evaluation.adversary.provider import SpottingTask, suspect_samples
from modelseal.evaluation.false_alarms import HarmlessTask, Rehosted, count_alarms
from modelseal.evaluation.inputs import (
    NetworkFiles,
    Opened,
    derive_seed,
    every_variant,
    list_networks,
    open_network,
    takes_gpu,
)
from modelseal.evaluation.manifest import FrozenPlan, check_grown, freeze
from modelseal.evaluation.plan import (
    FLOAT,
    GridSection,
    Plan,
    list_subjects,
    read_plan,
    spotted_subjects,
)
from modelseal.evaluation.results import (
    Failure,
    Subject,
    Suspicion,
    Trial,
    alarms_file,
    arrays_file,
    costs_file,
    plan_file,
    set_file,
    spotting_file,
    trial_file,
)
from modelseal.evaluation.sample_sets import SampleResult, SampleTask, make_set, sample_task
from modelseal.evaluation.store import (
    Results,
    dump,
    dump_alarms,
    dump_arrays,
    dump_set,
    dump_suspicion,
    dump_trial,
    read_part,
    read_results,
)
from modelseal.evaluation.trials import Spot, TrialTask, try_change
from modelseal.files import explain, write_atomically
from modelseal.parallel.workers import Workers, hire
from modelseal.tampering.registry import Change, Data, list_changes
from modelseal.types import Progress, ignore

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


# What takes longest, longest first: if it came last, one worker would be left with it alone.
SLOW_METHODS = ("legacy", "ibsf", "ibsf-tuned", "ascent-all", "ascent", "boundary")
SLOW_CHANGES = (
    "distillation",
    "rtal",
    "neuron-trojan",
    "clean-label",
    "targeted",
    "fzll",
    "badnets",
    "degradation-random",
    "degradation-given",
    "degradation-sample",
    "ftal",
    "rtll",
    "ftll",
    "int8-onnxruntime",
    "int8-torch",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One changed network, and who shall be asked about it.

    Args:
        spot: The change.
        files: The network.
        subjects: Whose samples.
    """

    spot: Spot
    files: NetworkFiles
    subjects: tuple[Subject, ...]


def list_samples(
    plan: Plan, networks: Mapping[str, NetworkFiles], folder: Path
) -> list[SampleTask]:
    """The subjects whose samples are not there yet."""
    missing = (each for each in list_subjects(plan) if not set_file(folder, each).is_file())
    tasks = (sample_task(plan, each, networks[each.network]) for each in missing)
    return sorted(tasks, key=lambda task: rank(task.subject.method, SLOW_METHODS))


def list_harmless(
    plan: Plan, networks: Mapping[str, NetworkFiles], folder: Path
) -> list[HarmlessTask]:
    """The subjects whose samples are there and were not asked in harmless ways yet."""
    names = plan.harmless.variants
    return [
        HarmlessTask(
            subject=each,
            files=networks[each.network],
            folder=folder,
            variants=None if names is None else tuple(names),
        )
        for each in list_subjects(plan)
        if set_file(folder, each).is_file() and not alarms_file(folder, each).is_file()
    ]


def list_spotting(
    plan: Plan, networks: Mapping[str, NetworkFiles], folder: Path
) -> list[SpottingTask]:
    """The subjects whose samples are there and no detector has looked at yet; none unasked."""
    naturals = plan.spotting.naturals if plan.spotting else 0
    return [
        SpottingTask(
            subject=each,
            files=networks[each.network],
            folder=folder,
            naturals=naturals,
            seed=derive_seed("spotting", plan.samples.seed, each.network),
        )
        for each in spotted_subjects(plan)
        if set_file(folder, each).is_file() and not spotting_file(folder, each).is_file()
    ]


def list_trials(wanted: Iterable[Wanted], folder: Path) -> list[TrialTask]:
    """The trials that are not there yet of subjects whose samples are."""
    tasks = []
    for one in wanted:
        spot = one.spot
        missing = tuple(
            subject
            for subject in one.subjects
            if set_file(folder, subject).is_file()
            and not trial_file(
                folder, subject, name=spot.name, level=spot.level, seed=spot.seed
            ).is_file()
        )
        if missing:
            tasks.append(TrialTask(spot=spot, files=one.files, subjects=missing, folder=folder))
    return sorted(tasks, key=lambda task: rank(task.spot.name, SLOW_CHANGES))


def rank(name: str, slow: tuple[str, ...]) -> int:
    """The place of a name among the slow ones; behind them if it is none."""
    bare = name.removesuffix(FLOAT)
    return slow.index(bare) if bare in slow else len(slow)


def list_wanted(
    plan: Plan,
    networks: Mapping[str, NetworkFiles],
    opened: Mapping[str, Opened],
    *,
    file: Path,
) -> tuple[Wanted, ...]:
    """Every changed network of a plan, each once, with all whom its grids want to be asked.

    Args:
        plan: The plan.
        networks: The files of its networks, by name.
        opened: The networks, by name.
        file: The plan's file.

    Raises:
        BadFileError: The catalogue has no change of a name in the plan.
    """
    found: dict[tuple[str, str, float | None, int], Spot] = {}
    subjects: dict[tuple[str, str, float | None, int], dict[Subject, None]] = {}
    for number, grid in enumerate(plan.grids):
        for network in plan.network_names(grid):
            own = [
                Subject(network=network, method=m, spec=s) for m in grid.methods for s in grid.specs
            ]
            for spot in list_spots(grid, opened[network].data, file, f"grids[{number}].tamperings"):
                key = (network, spot.name, spot.level, spot.seed)
                found.setdefault(key, spot)
                subjects.setdefault(key, {}).update(dict.fromkeys(own))
    return tuple(
        Wanted(spot=spot, files=networks[key[0]], subjects=tuple(subjects[key]))
        for key, spot in found.items()
    )


def list_spots(grid: GridSection, data: Data, file: Path, field: str) -> Iterator[Spot]:
    """The changes of a grid with their seeds; one that knows no chance has only the first.

    Raises:
        BadFileError: The catalogue has no change of a name in the grid.
    """
    for source in grid.tamperings:
        try:
            changes: tuple[Change, ...] = list_changes(source, data)
        except InvalidArgumentError as error:
            raise BadFileError(file, str(error), field=field) from error
        for change in changes:
            for seed in range(1 if change.fixed else grid.seeds):
                yield Spot(source=source, name=change.name, level=change.level, seed=seed)


Performed: TypeAlias = Generator[tuple[Task, Result], None, None]
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
        with closing(cast(Performed, self.workers(perform, tasks))) as results:
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
    plan: str | Path,
    results: str | Path,
    *,
    workers: int = 1,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Results:
    """Runs a plan, or what is missing of it in a folder of results.

    Args:
        plan: The plan.toml.
        results: The folder where results are kept; made if it is missing.
        workers: How many processes of this machine perform tasks.
        ray: The address of a Ray cluster that performs them instead; all its machines need to
            see the folder and the plan's files.
        progress: Is told of the stages `samples`, `harmless`, `trials` and `spotting`.

    Returns:
        All that was found by now; `failures` are the tasks of this run that could not be
        performed.

    Raises:
        BadFileError: The plan or a file that it names is wrong, or the folder holds results of
            another plan.
        InvalidArgumentError: Both workers and a cluster are asked for.
        EvaluationError: Workers were lost.
    """
    path, folder = Path(plan), Path(results)
    crew = hire(workers, ray, gpu=ray is not None and takes_gpu(path))
    failures = run_plan(path, folder, workers=crew, progress=progress or ignore)
    return replace(read_results(folder), failures=failures)


def run_plan(
    path: Path, folder: Path, *, workers: Workers, progress: Progress
) -> tuple[Failure, ...]:
    """Runs what is missing of a plan by these workers; gives what could not be performed."""
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
