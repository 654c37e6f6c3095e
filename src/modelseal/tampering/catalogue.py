"""Every tampering by name, with the settings that tables are made with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TypeAlias, TypeVar, cast

import torch

from modelseal.errors import InvalidArgumentError
from modelseal.registry import Registry
from modelseal.tampering.base import Classes, HeldClasses, HeldImages, Images, Tampering
from modelseal.tampering.degradation import RelabelledClass, RepeatedSample
from modelseal.tampering.fine_tuning import Distilled, FineTuned, Retrained, SgdSteps
from modelseal.tampering.online import LearnedOnline, Unlearned
from modelseal.tampering.poisoning import PoisonFrogs, Targeted
from modelseal.tampering.quantization import OnnxInt8, TorchInt8
from modelseal.tampering.training import Scope, check_data
from modelseal.tampering.trojans import BadNetsPatch, NeuronTrojan
from modelseal.tampering.weight_changes import (
    FlippedBit,
    GaussianNoise,
    LowRank,
    Pruned,
    Quantised,
    RankOne,
    Rounded,
)

# Real quantisers learn the ranges of values from this many inputs: more hardly move them.
RANGED_INPUTS = 256
# Of a float32 weight.
BITS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One row of a table: a recipe up to its seed, which changes nothing if it is `fixed`."""

    name: str
    # Where it stands in a graded family: the scale, the learning rate, the share, or the bit.
    level: float | None
    recipe: Callable[[int], Tampering]
    fixed: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Data:
    """What recipes learn from.

    Args:
        train_inputs: Inside the domain's bounds, as the network takes them.
        train_labels: Their classes.
        test_inputs: The same, held out: not trained on before.
        test_labels: Their classes.
        classes: How many scores the network has.
        white: The domain's upper bound.
        black: Its lower bound.

    Raises:
        InvalidArgumentError: Inputs and labels do not match, a label is no class, the training
            labels are all the same, or black is not below white.
    """

    train_inputs: Images
    train_labels: Classes
    test_inputs: HeldImages
    test_labels: HeldClasses
    classes: int
    white: float
    black: float = 0.0

    def __post_init__(self) -> None:
        check_data(self.train_inputs, self.train_labels)
        check_data(self.test_inputs, self.test_labels)
        labels = torch.cat([self.train_labels.cpu(), self.test_labels.cpu()])
        if int(labels.min()) < 0 or int(labels.max()) >= self.classes:
            raise InvalidArgumentError(
                f"expected labels from 0 to {self.classes - 1}, "
                f"got {int(labels.min())} to {int(labels.max())}"
            )
        if not -inf < self.black < self.white < inf:
            raise InvalidArgumentError(
                f"expected black below white, got {self.black} and {self.white}"
            )
        if len(self.train_labels.unique()) < 2:
            raise InvalidArgumentError("expected training inputs of two classes, got one")

    def choose_class(self, number: int) -> int:
        """One of the classes of the training inputs; consecutive numbers give one after another."""
        present = self.train_labels.unique()
        return int(present[number % len(present)])


# Makes a recipe of data and a seed.
Maker: TypeAlias = Callable[[Data, int], Tampering]
# Makes a recipe of data, a level and a seed.
Grader: TypeAlias = Callable[[Data, float, int], Tampering]

M = TypeVar("M", bound=Maker)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Changes of one name: a single one, or one of each level; if `fixed`, whatever the seed."""

    make: Callable[[Data, float | None, int], Tampering]
    levels: Sequence[float | None] = (None,)
    fixed: bool = False


TAMPERINGS: Registry[Family] = Registry("a change")


def register_tampering(name: str) -> Callable[[M], M]:
    """Adds a change that plans of an evaluation take by its name.

    What is decorated takes the `Data` that recipes learn from and a seed, and gives a recipe:
    something that is called with a network and returns a changed copy, and whose `repr` is its name
    in tables. Every trial draws another seed.

    Args:
        name: By which plans choose it.

    Raises:
        InvalidArgumentError: The name is empty or taken.

    Examples:
        ```python
        @register_tampering("faint-noise")
        def faint(data, seed):
            return GaussianNoise(1e-4, seed=seed)
        ```
    """
    keep = TAMPERINGS.register(name)

    def add(make: M) -> M:
        keep(Family(make=lambda data, _, seed: make(data, seed)))
        return make

    return add


def _register_fixed(name: str, make: Callable[[Data], Tampering]) -> None:
    TAMPERINGS.register(name)(Family(make=lambda data, *_: make(data), fixed=True))


def _register_graded(
    name: str, levels: Sequence[float], make: Grader, *, fixed: bool = False
) -> None:
    def at(data: Data, level: float | None, seed: int) -> Tampering:
        return make(data, cast(float, level), seed)

    TAMPERINGS.register(name)(Family(make=at, levels=levels, fixed=fixed))


def list_changes(name: str, data: Data) -> tuple[Change, ...]:
    """The changes of a group, of a graded family, or a single one."""
    return tuple(
        Change(
            name=member,
            level=level,
            recipe=partial(TAMPERINGS.get(member).make, data, level),
            fixed=TAMPERINGS.get(member).fixed,
        )
        for member in GROUPS.get(name, (name,))
        for level in TAMPERINGS.get(member).levels
    )


def list_names() -> tuple[str, ...]:
    """Everything that `list_changes` knows: groups, graded families, and single changes."""
    return (*GROUPS, *TAMPERINGS.names())


def _learning(recipe: Callable[..., Tampering], **settings: object) -> Maker:
    """A recipe that learns from the training inputs."""

    def make(data: Data, seed: int) -> Tampering:
        return recipe(inputs=data.train_inputs, labels=data.train_labels, seed=seed, **settings)

    return make


def _aiming(
    recipe: Callable[..., Tampering], aim: str, *, bounds: Sequence[str] = (), **settings: object
) -> Maker:
    """The same for a recipe about one class, which consecutive seeds take in turn."""

    def make(data: Data, seed: int) -> Tampering:
        wanted = {name: getattr(data, name) for name in bounds}
        aimed = {aim: data.choose_class(seed)}
        return _learning(recipe, **aimed, **wanted, **settings)(data, seed)

    return make


def _relabelled_as_given(data: Data, seed: int) -> Tampering:
    target = data.choose_class(seed + 1)
    return _aiming(RelabelledClass, "source", target=target)(data, seed)


def _distilled(data: Data, seed: int) -> Tampering:
    return Distilled(inputs=data.train_inputs, seed=seed)


def _held_out(recipe: Callable[..., Tampering], *bounds: str) -> Maker:
    """A recipe that also takes inputs that are held out, and bounds of the domain."""

    def make(data: Data, seed: int) -> Tampering:
        held = {"held_inputs": data.test_inputs, "held_labels": data.test_labels}
        wanted = {name: getattr(data, name) for name in bounds}
        return _learning(recipe, **held, **wanted)(data, seed)

    return make


def _learned_online(data: Data, seed: int) -> Tampering:
    return LearnedOnline(inputs=data.test_inputs, labels=data.test_labels, seed=seed)


def _one_step(data: Data, level: float, seed: int) -> Tampering:
    return _learning(SgdSteps, learning_rate=level, steps=1)(data, seed)


_DRAWN: Mapping[str, Maker] = {
    "ftal": _learning(FineTuned, scope=Scope.ALL, learning_rate=1e-4, epochs=1),
    "ftll": _learning(FineTuned, scope=Scope.LAST_LAYER, learning_rate=1e-4, epochs=1),
    "fzll": _learning(FineTuned, scope=Scope.ALL_BUT_LAST, learning_rate=1e-4, epochs=5),
    "rtal": _learning(Retrained, scope=Scope.ALL),
    "rtll": _learning(Retrained, scope=Scope.LAST_LAYER),
    "distillation": _distilled,
    "degradation-random": _aiming(RelabelledClass, "source"),
    "degradation-given": _relabelled_as_given,
    "degradation-sample": _learning(RepeatedSample),
    "targeted": _held_out(Targeted),
    "clean-label": _held_out(PoisonFrogs, "black", "white"),
    "neuron-trojan": _aiming(NeuronTrojan, "target", bounds=("black", "white")),
    "unlearning": _learning(Unlearned),
    "online": _learned_online,
    "badnets": _aiming(BadNetsPatch, "target", bounds=("white",)),
    "ftll-1e-5": _learning(FineTuned, scope=Scope.LAST_LAYER, learning_rate=1e-5, epochs=1),
    "noise-1e-2": lambda data, seed: GaussianNoise(1e-2, seed=seed),
}
for _name, _make in _DRAWN.items():
    register_tampering(_name)(_make)

_register_fixed("quantisation", lambda data: Quantised(8))
_register_fixed("pruning", lambda data: Pruned(0.7))
_register_fixed("quantisation-16", lambda data: Rounded(torch.float16))
_register_fixed("quantisation-6", lambda data: Quantised(6))
_register_fixed("pruning-5", lambda data: Pruned(0.05))
_register_fixed("pruning-1", lambda data: Pruned(0.01))
_register_fixed("int8-torch", lambda data: TorchInt8(data.train_inputs[:RANGED_INPUTS]))
_register_fixed("int8-onnxruntime", lambda data: OnnxInt8(data.train_inputs[:RANGED_INPUTS]))

_POWERS = tuple(2.0**-power for power in range(21))
_register_graded("noise", _POWERS, lambda data, level, seed: GaussianNoise(level, seed=seed))
_register_graded("sgd", _POWERS, _one_step)
_register_graded(
    "bit",
    tuple(map(float, range(BITS))),
    # Every bit falls on weights of its own, so that the bits together try many weights.
    lambda data, level, seed: FlippedBit(int(level), seed=seed * BITS + int(level)),
)
_register_graded("prune", _POWERS[1:13], lambda data, level, seed: Pruned(level), fixed=True)
_register_graded("rank-one", _POWERS, lambda data, level, seed: RankOne(level, seed=seed))
_register_graded("lora", _POWERS, lambda data, level, seed: LowRank(level, rank=8, seed=seed))

# The sixteen of BIVBench, harder ones, and those of the paper.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "bivbench": (
        *("ftal", "ftll", "fzll", "rtal", "rtll", "distillation", "quantisation", "pruning"),
        *("degradation-random", "degradation-given", "degradation-sample"),
        *("targeted", "clean-label", "neuron-trojan", "unlearning", "online"),
    ),
    "harder": ("ftll-1e-5", "quantisation-16", "quantisation-6", "pruning-5", "pruning-1"),
    "paper": ("badnets", "neuron-trojan", "targeted", "quantisation", "pruning", "noise-1e-2"),
}
