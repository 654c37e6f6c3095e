"""What a plan.toml says, and the plan.json that freezes it beside its results."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.outputs.specs import parse_spec
from modelseal.sealing.methods import METHODS
from modelseal.settings import Section, read_settings

FLOAT = ":float"
"""Ends the name of a method whose samples need not lie on the domain's levels."""

RULES = ("manc", "detection", "random")
"""How few samples are chosen of a bag of candidates."""

FEWEST = 8
"""Samples and other natural inputs that detectors need: half to learn from, half to be tried on."""

_Positive = Annotated[int, Field(ge=1)]
Names = Annotated[list[str], Field(min_length=1)]


class Subject(Section):
    """What is on trial: one method's samples for one network behind one kind of endpoint."""

    network: str
    method: str
    spec: str

    def __str__(self) -> str:
        return f"{self.method} for {self.network}, {self.spec}"

    @property
    def order(self) -> tuple[str, str, str]:
        """What subjects are sorted by."""
        return self.network, self.method, self.spec

    @property
    def stem(self) -> str:
        """The name of its files, which every file system can hold.

        Examples:
            >>> Subject(network="resnet20", method="ibsf:float", spec="topk:5").stem
            'resnet20--ibsf.float--topk.5'
        """
        return "--".join(self.order).replace(":", ".")


class NetworkSection(Section):
    """A network, and its labelled inputs to learn from and to make samples of."""

    name: str
    model: str
    train: str
    test: str

    @field_validator("name")
    @classmethod
    def _is_short(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*", name):
            raise ValueError(f"expected letters, digits and single - or _ in between, got {name!r}")
        return name


class _OverrideSection(Section):
    """What differs for one method, such as a slow one."""

    candidates: _Positive | None = None
    bags: _Positive | None = None
    bag: _Positive | None = None


class SamplesSection(Section):
    """How many samples are made of each subject, and how sets of them are chosen.

    `candidates` natural inputs give samples; of these, `bags` bags of `bag` are drawn at random;
    of each bag every rule chooses `count`.
    """

    candidates: _Positive = 320
    bags: _Positive = 50
    bag: _Positive = 64
    count: _Positive = 8
    tie: Annotated[int, Field(ge=2)] = 10
    rules: Names = Field(default=list(RULES))
    seed: Annotated[int, Field(ge=0)] = 0
    methods: dict[str, _OverrideSection] = Field(default={})

    @field_validator("rules")
    @classmethod
    def _are_rules(cls, rules: list[str]) -> list[str]:
        return [_one_of(rule, RULES) for rule in _different(rules)]

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, methods: dict[str, _OverrideSection]) -> dict[str, _OverrideSection]:
        return {_check_method(name): section for name, section in methods.items()}

    def of(self, method: str) -> "SamplesSection":
        """The numbers of one method."""
        own = self.methods.get(method)
        return self.model_copy(update=own.model_dump(exclude_none=True)) if own else self


class TamperingSection(Section):
    """What recipes learn from: `images` of the training inputs, drawn at random."""

    images: _Positive = 2560


class _HarmlessSection(Section):
    """Which harmless variants are run, by name; all if nothing is said."""

    variants: Names | None = None


class _SpottingSection(Section):
    """How well a provider tells samples from `naturals` other natural inputs."""

    naturals: Annotated[int, Field(ge=FEWEST)] = 3000
    methods: Names | None = None


class GridSection(Section):
    """What meets: every network, method, change, seed and spec of it."""

    networks: Names | None = None
    methods: Names
    tamperings: Names
    seeds: _Positive = 5
    specs: Names = Field(default=["top1"])

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, methods: list[str]) -> list[str]:
        return [_check_method(name) for name in _different(methods)]

    @field_validator("tamperings")
    @classmethod
    def _are_different(cls, names: list[str]) -> list[str]:
        return _different(names)

    @field_validator("specs")
    @classmethod
    def _are_specs(cls, specs: list[str]) -> list[str]:
        return _different([str(parse_spec(text)) for text in specs])


class Plan(Section):
    """A whole plan.toml."""

    networks: Annotated[list[NetworkSection], Field(min_length=1)]
    samples: SamplesSection = SamplesSection()
    tampering: TamperingSection = TamperingSection()
    harmless: _HarmlessSection = _HarmlessSection()
    spotting: _SpottingSection | None = None
    grids: Annotated[list[GridSection], Field(min_length=1)]

    @model_validator(mode="after")
    def _agrees(self) -> "Plan":
        names = _different([network.name for network in self.networks])
        for number, grid in enumerate(self.grids):
            _check_known(f"grids[{number}].networks", grid.networks, names)
        used = [method for grid in self.grids for method in grid.methods]
        if self.spotting:
            _check_known("spotting.methods", self.spotting.methods, used)
        _check_known("samples.methods", list(self.samples.methods), used)
        return self

    @property
    def variants(self) -> tuple[str, ...] | None:
        """The names of the harmless variants; None is all."""
        return None if self.harmless.variants is None else tuple(self.harmless.variants)

    def subjects_of(self, grid: GridSection, network: str) -> tuple[Subject, ...]:
        """The subjects of one network in a grid."""
        return tuple(
            Subject(network=network, method=method, spec=spec)
            for method in grid.methods
            for spec in grid.specs
        )

    def networks_of(self, grid: GridSection) -> tuple[str, ...]:
        """The names of a grid's networks."""
        return tuple(grid.networks or [network.name for network in self.networks])

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All subjects, each once, in the order of the grids."""
        found = (
            subject
            for grid in self.grids
            for network in self.networks_of(grid)
            for subject in self.subjects_of(grid, network)
        )
        return tuple(dict.fromkeys(found))

    @property
    def spotted_subjects(self) -> tuple[Subject, ...]:
        """Those whose samples detectors shall look at."""
        if self.spotting is None:
            return ()
        methods = self.spotting.methods
        return tuple(each for each in self.subjects if methods is None or each.method in methods)


def read_plan(path: Path) -> Plan:
    """Reads a plan.toml; files that it names are not opened."""
    return read_settings(path, Plan)


def _check_method(name: str) -> str:
    _one_of(name.removesuffix(FLOAT), METHODS.names())
    return name


def _one_of(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise ValueError(f"expected one of {', '.join(known)}, got {name!r}")
    return name


def _different(names: list[str]) -> list[str]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"expected different names, got {twice!r} twice")
    return names


def _check_known(field: str, names: list[str] | None, known: list[str]) -> None:
    for name in names or ():
        if name not in known:
            told = ", ".join(dict.fromkeys(known))
            raise InvalidArgumentError(f"expected some of {told}, got {name!r}", field=field)


class Digests(Section):
    """What a network, its modules and its data were when the results were begun."""

    weights: str
    structure: str
    train: str
    test: str


class FrozenPlan(Section):
    """What plan.json holds: a plan, and all that its numbers depend on."""

    plan: Plan
    digests: dict[str, Digests]
    packages: dict[str, str]
    trials: int | None = None


def check_grown(old: FrozenPlan, new: FrozenPlan, *, file: Path) -> None:
    """Makes sure that a plan only adds to the one whose results are in a folder.

    Networks, methods, changes, seeds, specs and spotting may be added. Files may have moved, as
    long as what they hold is the same.
    """
    for field, was, comes in _differences(old, new):
        raise BadFileError(
            file, f"expected {was}, as the results have it, got {comes}; take another folder",
            field=field,
        )  # fmt: skip


_Difference = tuple[str, object, object]


def _differences(old: FrozenPlan, new: FrozenPlan) -> Iterator[_Difference]:
    was, comes = old.plan, new.plan
    # Another number of training images gives other data: say what was changed, not what came of it.
    yield from _compare("tampering", was.tampering, comes.tampering)
    for name, digests in old.digests.items():
        yield from _compare(f"networks.{name}", digests, new.digests.get(name))
    for name, version in old.packages.items():
        yield from _unequal(f"packages.{name}", version, new.packages.get(name))
    common: dict[str, object] = {"methods": {}}
    pair = (each.samples.model_copy(update=common) for each in (was, comes))
    yield from _compare("samples", *pair)
    for method in sorted({method for grid in was.grids for method in grid.methods}):
        own = (each.samples.methods.get(method, _OverrideSection()) for each in (was, comes))
        yield from _unequal(f"samples.methods.{method}", *map(_shown, own))
    yield from _compare("harmless", was.harmless, comes.harmless)
    # Methods that are looked at may come, and all of it may go.
    if was.spotting and comes.spotting:
        yield from _unequal("spotting.naturals", was.spotting.naturals, comes.spotting.naturals)
    yield from _missing_cells(was, comes)


def _missing_cells(was: Plan, comes: Plan) -> Iterator[_Difference]:
    cells = _count_seeds(comes)
    for cell, seeds in _count_seeds(was).items():
        if cells.get(cell, 0) < seeds:
            yield "grids", f"{' x '.join(cell)} x {seeds} seeds", f"{cells.get(cell, 'none')}"


def _compare(field: str, was: Section, comes: Section | None) -> Iterator[_Difference]:
    if comes is None:
        yield field, "this network", "none"
        return
    for key, value in was:
        yield from _unequal(f"{field}.{key}", value, getattr(comes, key))


def _unequal(field: str, was: object, comes: object) -> Iterator[_Difference]:
    if was != comes:
        yield field, was, comes


def _shown(section: Section) -> object:
    return section.model_dump(exclude_none=True)


def _count_seeds(plan: Plan) -> dict[tuple[str, ...], int]:
    cells: dict[tuple[str, ...], int] = {}
    for grid in plan.grids:
        for network in plan.networks_of(grid):
            for subject in plan.subjects_of(grid, network):
                for change in grid.tamperings:
                    cell = (network, subject.method, change, subject.spec)
                    cells[cell] = max(cells.get(cell, 0), grid.seeds)
    return cells
