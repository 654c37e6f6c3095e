"""Lists the tasks of a plan that are not done yet, the long ones first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation.asking import Spot, TrialTask
from modelseal.evaluation.opening import NetworkFiles, Opened, derive_seed
from modelseal.evaluation.places import alarms_file, set_file, spotting_file, trial_file
from modelseal.evaluation.plan import (
    FLOAT,
    GridSection,
    Plan,
    list_subjects,
    spotted_subjects,
)
from modelseal.evaluation.rehosting import HarmlessTask
from modelseal.evaluation.subjects import SampleTask, sample_task
from modelseal.evaluation.suspecting import SpottingTask
from modelseal.evaluation.trial import Subject
from modelseal.tampering.catalogue import Change, Data, list_changes

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
