"""Runs a plan: lists what is missing of its results, and lets workers make it."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias, cast

from modelseal.errors import FOREIGN_ERRORS, BadFileError, InvalidArgumentError, ModelsealError
from modelseal.evaluation.adversary.detectors import SMALLEST
from modelseal.evaluation.adversary.spotter import SpottingTask
from modelseal.evaluation.inputs import (
    NetworkFiles,
    Opened,
    derive_seed,
    every_variant,
    list_networks,
    open_network,
    takes_gpu,
)
from modelseal.evaluation.plan import FLOAT, FrozenPlan, Plan, Subject, check_grown, read_plan
from modelseal.evaluation.results import (
    PLAN_FILE,
    Failure,
    Files,
    Results,
    alarms_file,
    dump,
    read_part,
    read_results,
    set_file,
    spotting_file,
)
from modelseal.evaluation.sample_sets import SampleTask, sample_task
from modelseal.evaluation.trials import HarmlessTask, TrialTask
from modelseal.files import explain, write_atomically
from modelseal.parallel.workers import Workers, hire
from modelseal.sealing.candidates import PACKAGES
from modelseal.tampering.catalogue import Change, list_changes
from modelseal.types import Progress, ignore

_Task: TypeAlias = SampleTask | HarmlessTask | SpottingTask | TrialTask
"""A frozen value of names, numbers and paths: all that a worker needs."""

Networks: TypeAlias = Mapping[str, NetworkFiles]
"""The files of a plan's networks, by name."""

# What takes longest, longest first: if it came last, one worker would be left with it alone.
_SLOW_METHODS = ("legacy", "ibsf", "ibsf-tuned", "ascent-all", "ascent", "boundary")
_SLOW_CHANGES = (
    *("distillation", "rtal", "neuron-trojan", "clean-label", "targeted", "fzll", "badnets"),
    *("degradation-random", "degradation-given", "degradation-sample", "ftal", "rtll", "ftll"),
    *("int8-onnxruntime", "int8-torch"),
)


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
    trials = list_trials(plan, networks, opened, file=path, folder=whole)
    _check_variants(plan, opened, file=path)
    _check_spotting(plan, opened, file=path)
    _begin(_freeze(plan, opened, trials=sum(len(each.subjects) for each in trials)), whole)
    failures = _perform_all(list_samples(plan, networks, whole), whole, workers, progress)
    asking: list[_Task] = [
        *_list_harmless(plan, networks, whole),
        *list_missing(trials),
        *list_spotting(plan, networks, whole),
    ]
    return failures + _perform_all(asking, whole, workers, progress)


def perform(task: _Task) -> Files | Failure:
    """Performs a task; a problem with it is a result, so that the other tasks go on."""
    try:
        return task.run()
    except ModelsealError as error:
        return Failure(task=str(task), problem=str(error))
    # What networks, recipes and runtimes that are not ours raise.
    except (*FOREIGN_ERRORS, MemoryError) as error:
        first = next(iter(str(error).splitlines()), "")
        return Failure(task=str(task), problem=f"{type(error).__name__}: {first}")


def _perform_all(
    tasks: Sequence[_Task], folder: Path, workers: Workers, progress: Progress
) -> tuple[Failure, ...]:
    failures = []
    totals, done = Counter(task.stage for task in tasks), Counter[str]()
    for stage, total in totals.items():
        progress(stage, 0, total)
    # Closing it stops what is under way.
    performed = cast(Generator[tuple[_Task, Files | Failure], None, None], workers(perform, tasks))
    with closing(performed):
        for task, result in performed:
            if isinstance(result, Failure):
                failures.append(result)
            else:
                _write(folder, result)
            done[task.stage] += 1
            progress(task.stage, done[task.stage], totals[task.stage])
    return tuple(failures)


def _write(folder: Path, files: Files) -> None:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)


def list_samples(plan: Plan, networks: Networks, folder: Path) -> list[SampleTask]:
    """The subjects whose samples are not there yet."""
    missing = (each for each in plan.subjects if not (folder / set_file(each)).is_file())
    tasks = (sample_task(plan, each, networks[each.network]) for each in missing)
    return sorted(tasks, key=lambda task: _rank(task.subject.method, _SLOW_METHODS))


def _list_harmless(plan: Plan, networks: Networks, folder: Path) -> list[HarmlessTask]:
    """The subjects whose samples are there and were not asked in harmless ways yet."""
    return [
        HarmlessTask(
            subject=each, files=networks[each.network], folder=folder, variants=plan.variants
        )
        for each in plan.subjects
        if _is_ready(folder, each) and not (folder / alarms_file(each)).is_file()
    ]


def list_spotting(plan: Plan, networks: Networks, folder: Path) -> list[SpottingTask]:
    """The subjects whose samples are there and no detector has looked at yet; none unasked."""
    return [
        SpottingTask(
            subject=each,
            files=networks[each.network],
            folder=folder,
            naturals=plan.spotting.naturals if plan.spotting else 0,
            seed=derive_seed("spotting", plan.samples.seed, each.network),
        )
        for each in plan.spotted_subjects
        if _is_ready(folder, each) and not (folder / spotting_file(each)).is_file()
    ]


def list_missing(trials: Sequence[TrialTask]) -> list[TrialTask]:
    """The trials that are not there yet of subjects whose samples are."""
    tasks = []
    for task in trials:
        missing = tuple(
            each
            for each in task.subjects
            if _is_ready(task.folder, each) and not (task.folder / task.file(each)).is_file()
        )
        if missing:
            tasks.append(replace(task, subjects=missing))
    return sorted(tasks, key=lambda task: _rank(task.name, _SLOW_CHANGES))


def list_trials(
    plan: Plan, networks: Networks, opened: Mapping[str, Opened], *, file: Path, folder: Path
) -> list[TrialTask]:
    """Every changed network of a plan, each once, with all subjects that its grids want asked."""
    tasks: dict[tuple[str, str, float | None, int], TrialTask] = {}
    for number, grid in enumerate(plan.grids):
        for network in plan.networks_of(grid):
            for source in grid.tamperings:
                field = f"grids[{number}].tamperings"
                for change in _list_changes(source, opened[network], file, field):
                    for seed in range(1 if change.fixed else grid.seeds):
                        key = (network, change.name, change.level, seed)
                        task = tasks.get(key) or TrialTask(
                            source=source,
                            name=change.name,
                            level=change.level,
                            seed=seed,
                            files=networks[network],
                            subjects=(),
                            folder=folder,
                        )
                        more = plan.subjects_of(grid, network)
                        subjects = tuple(dict.fromkeys((*task.subjects, *more)))
                        tasks[key] = replace(task, subjects=subjects)
    return list(tasks.values())


def _list_changes(source: str, opened: Opened, file: Path, field: str) -> tuple[Change, ...]:
    try:
        return tuple(list_changes(source, opened.data))
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error), field=field) from error


def _is_ready(folder: Path, subject: Subject) -> bool:
    return (folder / set_file(subject)).is_file()


def _rank(name: str, slow: tuple[str, ...]) -> int:
    bare = name.removesuffix(FLOAT)
    return slow.index(bare) if bare in slow else len(slow)


def _check_variants(plan: Plan, opened: Mapping[str, Opened], *, file: Path) -> None:
    for each in opened.values():
        try:
            every_variant(each.model, plan.variants)
        except InvalidArgumentError as error:
            raise BadFileError(file, str(error), field="harmless.variants") from error


def _check_spotting(plan: Plan, opened: Mapping[str, Opened], *, file: Path) -> None:
    for name in dict.fromkeys(each.network for each in plan.spotted_subjects):
        shape = opened[name].model.domain.shape
        if len(shape) != 3 or min(shape[-2:]) < SMALLEST:
            raise BadFileError(
                file,
                f"expected images of channels, height and width, at least {SMALLEST} x {SMALLEST}, "
                f"got {name}, which takes inputs of shape {list(shape)}",
                field="spotting",
            )


def _freeze(plan: Plan, opened: Mapping[str, Opened], *, trials: int) -> FrozenPlan:
    return FrozenPlan(
        plan=plan,
        digests={name: each.digests for name, each in opened.items()},
        packages={name: version(name) for name in PACKAGES},
        trials=trials,
    )


def _begin(frozen: FrozenPlan, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written to: {explain(error)}") from error
    file = folder / PLAN_FILE
    if not file.is_file() and any(folder.iterdir()):
        raise BadFileError(folder, "expected a new or empty folder or older results, got another")
    if file.is_file():
        check_grown(read_part(file, FrozenPlan), frozen, file=file)
    write_atomically(file, dump(frozen))
