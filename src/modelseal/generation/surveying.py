"""Finds out which of a network's parameters have a part in a derivative that is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.generation.parameter_uses import Use, Watched, watch
from modelseal.generation.shapes import Inputs

# Two numbers of inputs: the axis of a tensor that grows with them counts them.
PROBES = (2, 3)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Survey:
    """What is known of a network's parameters before anything is measured.

    Args:
        axes: Which axis of what comes out of each use counts the inputs; None where that cannot
            be told.
        uses: Of each known parameter, the numbers of its uses and as which argument.
        unknown: Why another parameter's part is not known.
        size: How many numbers come out of all uses for one input.
    """

    axes: tuple[int | None, ...]
    uses: Mapping[str, tuple[tuple[int, str], ...]]
    unknown: Mapping[str, str]
    size: int

    @property
    def numbers(self) -> list[int]:
        """The numbers of the uses that are measured."""
        return sorted({number for places in self.uses.values() for number, _ in places})

    def axis(self, number: int) -> int:
        """Which axis of what comes out of a use that is measured counts the inputs."""
        return self.axes[number] or 0


def survey(
    network: nn.Module, inputs: Inputs, parameters: Mapping[str, Tensor], chosen: Sequence[str]
) -> Survey:
    """Runs a network on two and on three inputs and looks at its parameters.

    Args:
        network: In evaluation mode; takes inputs, gives scores.
        inputs: At least one.
        parameters: All its floating parameters by name, without their part in any graph.
        chosen: The names that are asked for.
    """
    few, many = (watch(network, inputs[[0] * number], parameters) for number in PROBES)
    axes = [find_axis(*pair) for pair in zip(few.uses, many.uses, strict=True)]
    uses = list_uses(few)
    unknown = dict(few.unknown)
    mixed = find_mixing(few, axes)
    for name, places in uses.items():
        for number, _ in places:
            if axes[number] is None:
                unknown.setdefault(name, "used where inputs cannot be told apart")
            elif number in mixed:
                unknown.setdefault(name, "used where one input's values meet another's")
            elif few.uses[number].stale:
                unknown.setdefault(name, "used on values that are changed in place later")
    unseen = [name for name in chosen if name not in uses and name not in unknown]
    unknown |= dict.fromkeys(find_hidden(network, inputs, parameters, unseen), "not seen in use")
    return Survey(
        axes=tuple(axes),
        uses={name: uses[name] for name in chosen if name in uses and name not in unknown},
        unknown={name: unknown[name] for name in chosen if name in unknown},
        size=sum(prod(use.shape) for use in few.uses) // PROBES[0],
    )


def list_uses(watched: Watched) -> dict[str, tuple[tuple[int, str], ...]]:
    """The numbers of each parameter's uses, and as which argument."""
    found: dict[str, tuple[tuple[int, str], ...]] = {}
    for number, use in enumerate(watched.uses):
        for argument, name in use.names.items():
            found[name] = (*found.get(name, ()), (number, argument))
    return found


def find_axis(few: Use, many: Use) -> int | None:
    """The one axis of what came out that grows as the inputs do."""
    pairs = enumerate(zip(few.shape, many.shape, strict=True))
    growing = [axis for axis, (a, b) in pairs if a != b]
    grows = [
        axis for axis in growing if few.shape[axis] * PROBES[1] == many.shape[axis] * PROBES[0]
    ]
    return growing[0] if len(growing) == 1 and grows else None


def find_mixing(watched: Watched, axes: Sequence[int | None]) -> set[int]:
    """The uses in which what belongs to one input has a part in another's scores."""
    first = watched.scores[0].sum()
    if not first.requires_grad:
        return set()
    edges = [use.edge for use in watched.uses]
    slopes = torch.autograd.grad(first, edges, allow_unused=True)
    found = set()
    for number, (slope, axis) in enumerate(zip(slopes, axes, strict=True)):
        if slope is not None and axis is not None:
            others = slope.narrow(axis, slope.shape[axis] // PROBES[0], slope.shape[axis] // 2)
            found |= {number} if bool(others.any()) else set()
    return found


def find_hidden(
    network: nn.Module, inputs: Inputs, parameters: Mapping[str, Tensor], names: Sequence[str]
) -> list[str]:
    """Which of some parameters that were not seen in use have a part in the scores after all."""
    if not names:
        return []
    loose = {name: parameters[name].detach().requires_grad_() for name in names}
    with torch.enable_grad():
        scores: Tensor = functional_call(network, {**parameters, **loose}, (inputs[:1],))
    if not scores.requires_grad:
        return []
    slopes = torch.autograd.grad(scores.sum(), list(loose.values()), allow_unused=True)
    return [name for name, slope in zip(names, slopes, strict=True) if slope is not None]
