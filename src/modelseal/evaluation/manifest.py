"""A plan with digests of what it names, so that results of two plans never mix."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from modelseal.errors import BadFileError
from modelseal.evaluation.inputs import Opened
from modelseal.evaluation.plan import Plan, SpottingSection
from modelseal.sealing.candidates import PACKAGES
from modelseal.settings import Section


class DigestsPart(Section):
    """What a network was when it was first looked at.

    Args:
        weights: Digest of its weights.
        structure: Digest of its modules, as torch writes them, which say what weights are used for.
        train: Digest of the inputs and labels that recipes learn from.
        test: Digest of the natural inputs and their labels.
    """

    weights: str
    structure: str
    train: str
    test: str


class FrozenPlan(Section):
    """What `plan.json` holds.

    Args:
        plan: The plan.
        digests: Of each network, by name.
        packages: The versions of the packages on which numbers depend.
        trials: How many trials the whole plan has; None if nobody counted them.
    """

    plan: Plan
    digests: dict[str, DigestsPart]
    packages: dict[str, str]
    trials: int | None = None


def freeze(plan: Plan, opened: Mapping[str, Opened], *, trials: int) -> FrozenPlan:
    """The plan with digests of its networks, and how many trials it has."""
    return FrozenPlan(
        plan=plan,
        digests={
            name: DigestsPart(
                weights=each.weights,
                structure=each.structure,
                train=each.learned,
                test=each.tested,
            )
            for name, each in opened.items()
        },
        packages={name: version(name) for name in PACKAGES},
        trials=trials,
    )


def check_grown(old: FrozenPlan, new: FrozenPlan, *, file: Path) -> None:
    """Makes sure that a plan only adds to the one whose results are in a folder.

    Networks, methods, changes, seeds, specs and spotting may be added. Files may have moved, as
    long as what they hold is the same.

    Args:
        old: The plan of the results.
        new: The plan that is to go on there.
        file: Where the old one is.

    Raises:
        BadFileError: Something differs; `field` is the first that does.
    """
    for field, was, comes in differences(old, new):
        raise BadFileError(
            file,
            f"these results were made with {was}, but the plan has {comes}; take another folder",
            field=field,
        )


def differences(old: FrozenPlan, new: FrozenPlan) -> Iterator[tuple[str, object, object]]:
    """The fields that differ otherwise than by an addition, with what they were and are."""
    # Another number of training images gives other data: say what was changed, not what came of it.
    yield from compare("tampering", old.plan.tampering, new.plan.tampering)
    for name, was in old.digests.items():
        yield from compare(f"networks.{name}", was, new.digests.get(name))
    for name, was_version in old.packages.items():
        yield from unequal(f"packages.{name}", was_version, new.packages.get(name))
    samples = new.plan.samples
    for key, value in old.plan.samples:
        if key != "methods":
            yield from unequal(f"samples.{key}", value, getattr(samples, key))
    used = {method for grid in old.plan.grids for method in grid.methods}
    for method in sorted(used):
        was_own, own = old.plan.samples.methods.get(method), samples.methods.get(method)
        yield from unequal(f"samples.methods.{method}", shown(was_own), shown(own))
    yield from compare("harmless", old.plan.harmless, new.plan.harmless)
    yield from compare_spotting(old.plan.spotting, new.plan.spotting)
    cells = list_cells(new.plan)
    for cell, seeds in list_cells(old.plan).items():
        if cells.get(cell, 0) < seeds:
            what = " x ".join(cell)
            yield "grids", f"{what} x {seeds} seeds", f"{cells.get(cell, 'none')} of them"


def compare(
    field: str, was: Section, comes: Section | None
) -> Iterator[tuple[str, object, object]]:
    """The keys of a section that differ."""
    if comes is None:
        yield field, "it", "it no more"
    else:
        for key, value in was:
            yield from unequal(f"{field}.{key}", value, getattr(comes, key))


def compare_spotting(
    was: SpottingSection | None, comes: SpottingSection | None
) -> Iterator[tuple[str, object, object]]:
    """The numbers of natural inputs, if they differ: methods may come, and all of it may go."""
    if was and comes:
        yield from unequal("spotting.naturals", was.naturals, comes.naturals)


def unequal(field: str, was: object, comes: object) -> Iterator[tuple[str, object, object]]:
    """The field itself, if it differs."""
    if was != comes:
        yield field, was, comes


def shown(section: Section | None) -> object:
    """A section's values that are set, as text for people."""
    return section.model_dump(exclude_none=True) if section is not None else {}


def list_cells(plan: Plan) -> dict[tuple[str, str, str, str], int]:
    """How many seeds a plan has for each network, method, change and spec."""
    cells: dict[tuple[str, str, str, str], int] = {}
    for grid in plan.grids:
        for network in plan.network_names(grid):
            for method in grid.methods:
                for name in grid.tamperings:
                    for spec in grid.specs:
                        cell = (network, method, name, spec)
                        cells[cell] = max(cells.get(cell, 0), grid.seeds)
    return cells
