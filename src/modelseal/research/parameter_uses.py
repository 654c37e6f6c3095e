"""Where a network uses its parameters, whatever modules or functions it is made of."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from modelseal.research.layer_kinds import KINDS, LINEAR, Function, Kind
from modelseal.runtime.tensors import Inputs, Scores

# Two numbers of inputs: the axis of a tensor that grows with them counts them.
_PROBES = (2, 3)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Use:
    """One call of a function of a known kind with parameters, whose names it has by argument.

    A derivative by what came out is taken at `edge`; `versions` says how often each tensor that
    went in had been changed in place by then.
    """

    function: Function
    kind: Kind
    given: Mapping[str, Any]
    names: Mapping[str, str]
    edge: GradientEdge
    shape: tuple[int, ...]
    versions: tuple[int, ...]

    @property
    def stale(self) -> bool:
        """Whether what went in has been changed in place since."""
        return self.versions != _read_versions(self.given, self.names)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Watched:
    """A run of a network: its scores, the uses of known kinds, and why a part is not known."""

    scores: Scores
    uses: tuple[Use, ...]
    unknown: Mapping[str, str]


def watch(network: nn.Module, inputs: Inputs, parameters: Mapping[str, Tensor]) -> Watched:
    """Runs a network and notes every use of its parameters, which are in no graph."""
    notes = _Notes(names={id(tensor): name for name, tensor in parameters.items()})
    with torch.enable_grad(), _watching(notes):
        scores: Tensor = functional_call(network, dict(parameters), (inputs,))
    return Watched(scores=scores, uses=tuple(notes.uses), unknown=notes.unknown)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Notes:
    """What is noted during a run; parameters are known by the identity of their tensors."""

    names: Mapping[int, str]
    uses: list[Use] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)

    def call(self, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Calls a function, and notes the parameters that it was given."""
        met = [each for each in _tensors((args, tuple(kwargs.values()))) if self._knows(each)]
        if function is functional.multi_head_attention_forward and met:
            return self._attend(function, args, kwargs)
        if not met:
            return function(*args, **kwargs)
        kind = KINDS.get(function)
        given = kind.bind(args, kwargs) if kind else {}
        roles = {name: self.names[id(value)] for name, value in given.items() if self._knows(value)}
        if kind is None or not _fits(kind, roles, given, len(met)):
            return self._pass_over(function, args, kwargs, met)
        return self._note(function, kind, given, roles, function(*args, **kwargs))

    def _knows(self, value: object) -> bool:
        return isinstance(value, Tensor) and id(value) in self.names

    def _note(
        self,
        function: Function,
        kind: Kind,
        given: Mapping[str, Any],
        names: Mapping[str, str],
        came: Tensor,
    ) -> Tensor:
        """Notes a use, and makes what came out differentiable."""
        leaf = came if came.requires_grad else came.detach().requires_grad_()
        use = Use(
            function=function,
            kind=kind,
            given=given,
            names=names,
            edge=get_gradient_edge(leaf),
            shape=tuple(came.shape),
            versions=_read_versions(given, names),
        )
        self.uses.append(use)
        # A leaf must not be changed in place, as an activation that comes next may do.
        return came if leaf is came else leaf.clone()

    def _pass_over(
        self,
        function: Function,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        met: list[Tensor],
    ) -> Any:  # noqa: ANN401
        """Calls a function of no known kind."""
        came = function(*args, **kwargs)
        if any(not self._knows(each) for each in _tensors((came,))):
            called = getattr(function, "__name__", str(function))
            self.unknown.update({self.names[id(each)]: f"used by {called}" for each in met})
        return came

    def _attend(self, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Attention as linear layers around attention without weights, unless it is special."""
        given = dict(zip(_ATTENTION, args, strict=False)) | dict(kwargs)
        weights = given["in_proj_weight"], given["out_proj_weight"]
        special = given.get("bias_k") is not None or given.get("static_k") is not None
        if special or not all(map(self._knows, weights)):
            met = [each for each in _tensors(tuple(given.values())) if self._knows(each)]
            return self._pass_over(function, args, kwargs, met)
        weight, bias = given["in_proj_weight"], given["in_proj_bias"]
        asked = [given[name] for name in ("query", "key", "value")]
        alike = all(each is asked[0] for each in asked)
        came = [self._linear(each, weight, bias) for each in asked[: 1 if alike else 3]]
        parts = [
            each.chunk(3, dim=-1)[number] for number, each in enumerate(came * (3 if alike else 1))
        ]
        same = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
        bare = {f"{name}_proj_weight": same for name in ("q", "k", "v", "out")}
        none = dict.fromkeys(("in_proj_weight", "in_proj_bias", "out_proj_bias"))
        named = dict(zip(("query", "key", "value"), parts, strict=True))
        mixed, shares = function(
            **{**given, **named, **bare, **none, "use_separate_proj_weight": True}
        )
        return self._linear(mixed, given["out_proj_weight"], given["out_proj_bias"]), shares

    def _linear(self, taken: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return cast(Tensor, self.call(functional.linear, (taken, weight, bias), {}))


_ATTENTION = (
    *("query", "key", "value", "embed_dim_to_check", "num_heads"),
    *("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "add_zero_attn", "dropout_p"),
    *("out_proj_weight", "out_proj_bias"),
)


def _fits(kind: Kind, roles: Mapping[str, str], given: Mapping[str, Any], met: int) -> bool:
    """Whether a call is one whose derivatives the kind knows."""
    odd = given.get("alpha", 1) != 1 or given.get("max_norm") is not None
    padded = given.get("scale_grad_by_freq") or given.get("sparse")
    return (
        len(roles) == met
        and set(roles) <= set(kind.shares)
        and not odd
        and not padded
        and (kind is LINEAR or len(set(roles.values())) == met)
    )


def _read_versions(given: Mapping[str, Any], names: Mapping[str, str]) -> tuple[int, ...]:
    """How often each of the arguments that are no parameters has been changed in place."""
    others = (value for name, value in given.items() if name not in names)
    return tuple(each._version for each in _tensors(tuple(others)))


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors among values and in lists and tuples of values."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _watching(notes: _Notes) -> AbstractContextManager[object]:
    """Lets every function of torch be called by the notes while it is active."""

    def intercept(
        mode: object,
        function: Function,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        return notes.call(function, args, kwargs or {})

    # Made without a class statement because torch's class has no types to inherit from.
    kind = type("Watcher", (TorchFunctionMode,), {"__torch_function__": intercept})
    return cast(AbstractContextManager[object], kind())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Survey:
    """What is known of a network's parameters before anything is measured.

    `axes` says which axis of what comes out of each use counts the inputs, `uses` where each
    known parameter is used and as which argument, `unknown` why another's part is not known, and
    `size` how many numbers come out of all uses for one input.
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
    """Runs a network on two and on three inputs and looks at the chosen ones of its parameters."""
    few, many = (watch(network, inputs[[0] * number], parameters) for number in _PROBES)
    axes = [_find_axis(*pair) for pair in zip(few.uses, many.uses, strict=True)]
    uses: dict[str, tuple[tuple[int, str], ...]] = {}
    unknown = dict(few.unknown)
    mixed = _find_mixing(few, axes)
    for number, use in enumerate(few.uses):
        for argument, name in use.names.items():
            uses[name] = (*uses.get(name, ()), (number, argument))
            if axes[number] is None:
                unknown.setdefault(name, "used where inputs cannot be told apart")
            elif number in mixed:
                unknown.setdefault(name, "used where one input's values meet another's")
            elif use.stale:
                unknown.setdefault(name, "used on values that are changed in place later")
    unseen = [name for name in chosen if name not in uses and name not in unknown]
    unknown |= dict.fromkeys(_find_hidden(network, inputs, parameters, unseen), "not seen in use")
    return Survey(
        axes=tuple(axes),
        uses={name: uses[name] for name in chosen if name in uses and name not in unknown},
        unknown={name: unknown[name] for name in chosen if name in unknown},
        size=sum(prod(use.shape) for use in few.uses) // _PROBES[0],
    )


def _find_axis(few: Use, many: Use) -> int | None:
    """The one axis of what came out that grows as the inputs do."""
    pairs = enumerate(zip(few.shape, many.shape, strict=True))
    growing = [(axis, a, b) for axis, (a, b) in pairs if a != b]
    if len(growing) != 1:
        return None
    axis, a, b = growing[0]
    return axis if a * _PROBES[1] == b * _PROBES[0] else None


def _find_mixing(watched: Watched, axes: Sequence[int | None]) -> set[int]:
    """The uses in which what belongs to one input has a part in another's scores."""
    first = watched.scores[0].sum()
    if not first.requires_grad:
        return set()
    edges = [use.edge for use in watched.uses]
    slopes = torch.autograd.grad(first, edges, allow_unused=True)
    found = set()
    for number, (slope, axis) in enumerate(zip(slopes, axes, strict=True)):
        if slope is not None and axis is not None:
            half = slope.shape[axis] // _PROBES[0]
            found |= {number} if bool(slope.narrow(axis, half, half).any()) else set()
    return found


def _find_hidden(
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
