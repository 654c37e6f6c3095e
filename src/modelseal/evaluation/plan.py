"""What a plan.toml says: networks, samples, changes, and which of them meet."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from modelseal.evaluation.adversary.spotting import FEWEST
from modelseal.evaluation.results import Subject
from modelseal.outputs.specs import parse_spec
from modelseal.sealing.recipe import Method
from modelseal.settings import Section, read_settings

FLOAT = ":float"
"""Ends the name of a method whose samples need not lie on the domain's levels."""

RULES = ("manc", "detection", "random")
"""How few samples are chosen of a bag of candidates."""

Positive = Annotated[int, Field(ge=1)]
Names = Annotated[list[str], Field(min_length=1)]


class NetworkSection(Section):
    """A network and its data; files are relative to the plan.

    Args:
        name: What it is called in results: letters, digits, and single `-` and `_` between them.
        model: Its model.toml.
        train: Labelled inputs that recipes learn from: an `.npz` file of `images` and `labels`.
        test: Labelled natural inputs that samples are made of.
    """

    name: str
    model: str
    train: str
    test: str

    @field_validator("name")
    @classmethod
    def _is_short(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*", name):
            raise ValueError(f"needs letters, digits and single - or _ in between, but is {name!r}")
        return name


class OverrideSection(Section):
    """What differs for one method, such as a slow one; the rest is as for all."""

    candidates: Positive | None = None
    bags: Positive | None = None
    bag: Positive | None = None


class SamplesSection(Section):
    """How many samples are made of each subject, and how sets of them are chosen.

    Args:
        candidates: Of how many natural inputs; of all if there are fewer.
        bags: How many bags are drawn of them at random; of each bag a set is chosen by each rule.
        bag: How many candidates a bag has; all if there are fewer.
        count: The largest number of samples in a set.
        tie: How many classes tie in samples of ours.
        rules: How sets are chosen.
        seed: The seed of all random numbers about samples.
        methods: What differs, by method.
    """

    candidates: Positive = 320
    bags: Positive = 50
    bag: Positive = 64
    count: Positive = 8
    tie: Annotated[int, Field(ge=2)] = 10
    rules: Names = Field(default=list(RULES))
    seed: Annotated[int, Field(ge=0)] = 0
    methods: dict[str, OverrideSection] = Field(default={})

    @field_validator("rules")
    @classmethod
    def _are_rules(cls, rules: list[str]) -> list[str]:
        return [one_of(rule, RULES) for rule in different(rules)]

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, methods: dict[str, OverrideSection]) -> dict[str, OverrideSection]:
        return {check_method(name): section for name, section in methods.items()}


class TamperingSection(Section):
    """What recipes learn from: `images` of the training inputs, drawn at random."""

    images: Positive = 2560


class HarmlessSection(Section):
    """Which harmless variants are run, by name; all if nothing is said."""

    variants: Names | None = None


class SpottingSection(Section):
    """How well a provider tells samples from other inputs: measured only where a plan has it.

    Args:
        naturals: How many other natural inputs it is sent: test inputs that no sample was made
            of, drawn at random; fewer if there are no more, or if they are so large that memory
            holds fewer.
        methods: Whose samples; those of all methods if nothing is said.
    """

    naturals: Annotated[int, Field(ge=FEWEST)] = 3000
    methods: Names | None = None


class GridSection(Section):
    """What meets: every network, method, change, seed and spec of it.

    Args:
        networks: Names of networks; all if nothing is said.
        methods: Names of methods; `:float` at the end frees samples from the levels.
        tamperings: Names of changes or groups of them.
        seeds: Of how many seeds each change is made; one that knows no chance is made once.
        specs: What the endpoint shows.
    """

    networks: Names | None = None
    methods: Names
    tamperings: Names
    seeds: Positive = 5
    specs: Names = Field(default=["top1"])

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, methods: list[str]) -> list[str]:
        return [check_method(name) for name in different(methods)]

    @field_validator("tamperings")
    @classmethod
    def _are_different(cls, names: list[str]) -> list[str]:
        return different(names)

    @field_validator("specs")
    @classmethod
    def _are_specs(cls, specs: list[str]) -> list[str]:
        return different([str(parse_spec(text)) for text in specs])


class Plan(Section):
    """A whole plan.toml."""

    networks: Annotated[list[NetworkSection], Field(min_length=1)]
    samples: SamplesSection = SamplesSection()
    tampering: TamperingSection = TamperingSection()
    harmless: HarmlessSection = HarmlessSection()
    spotting: SpottingSection | None = None
    grids: Annotated[list[GridSection], Field(min_length=1)]

    @model_validator(mode="after")
    def _agrees(self) -> "Plan":
        names = different([network.name for network in self.networks])
        for number, grid in enumerate(self.grids):
            for name in grid.networks or ():
                if name not in names:
                    raise ValueError(
                        f"grids[{number}].networks needs one of {', '.join(names)}, "
                        f"but has {name!r}"
                    )
        used = dict.fromkeys(method for grid in self.grids for method in grid.methods)
        spotted = (self.spotting and self.spotting.methods) or ()
        for field, mentioned in (("spotting", spotted), ("samples", self.samples.methods)):
            for name in mentioned:
                if name not in used:
                    raise ValueError(
                        f"{field}.methods needs some of {', '.join(used)}, but has {name!r}"
                    )
        return self

    def network_names(self, grid: GridSection) -> tuple[str, ...]:
        """The networks of a grid."""
        return tuple(grid.networks or [network.name for network in self.networks])


def read_plan(path: Path) -> Plan:
    """Reads a plan.toml; files that it names are not opened.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong; `field` says which.
    """
    return read_settings(path, Plan)


def list_subjects(plan: Plan) -> tuple[Subject, ...]:
    """All subjects of a plan, each once, in its order."""
    found = (
        Subject(network=network, method=method, spec=spec)
        for grid in plan.grids
        for network in plan.network_names(grid)
        for method in grid.methods
        for spec in grid.specs
    )
    return tuple(dict.fromkeys(found))


def spotted_subjects(plan: Plan) -> tuple[Subject, ...]:
    """The subjects whose samples detectors shall look at; none if the plan does not want it."""
    wanted = plan.spotting
    if wanted is None:
        return ()
    methods = wanted.methods
    return tuple(each for each in list_subjects(plan) if methods is None or each.method in methods)


def check_method(name: str) -> str:
    """The name itself, if it is that of a method, with or without `:float`.

    Raises:
        ValueError: It is not.
    """
    one_of(name.removesuffix(FLOAT), tuple(method.value for method in Method))
    return name


def one_of(name: str, known: tuple[str, ...]) -> str:
    """The name itself, if it is known.

    Raises:
        ValueError: It is not.
    """
    if name not in known:
        raise ValueError(f"needs one of {', '.join(known)}, but has {name!r}")
    return name


def different(names: list[str]) -> list[str]:
    """The names themselves, if none comes twice.

    Raises:
        ValueError: One does.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"needs different names, but has {twice!r} twice")
    return names
