"""What one use of a weight adds to its derivative, and the squared length of the whole sum.

The derivative of one input's outputs by a weight matrix is a sum of outer products: with a_t what
goes into the layer at position t, and g_t the derivative by what comes out, it is Σ_t g_t a_tᵀ.
Its squared length needs no derivative:

    ||Σ_t g_t a_tᵀ||² = Σ_{t,s} (g_t·g_s)(a_t·a_s)

(Goodfellow 2015; "ghost norm" in Li et al., ICLR 2022), which is far smaller where there are few
positions and many weights. Where there are many positions, the sum itself is smaller.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Lengths: TypeAlias = Float[Tensor, "batch directions"]
"""A squared length for each input and each of its directions."""

Function: TypeAlias = Callable[..., Any]
"""A function of torch, as a network calls it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factors:
    """A derivative as a sum of outer products of slopes g_t and features a_t.

    A convolution has a sum of its own for each group of channels; any other layer has one group.
    """

    slopes: Float[Tensor, "batch groups directions outside positions"]
    features: Float[Tensor, "batch groups inside positions"]

    @property
    def ghostly(self) -> bool:
        """Whether the squared length costs less without the sum than with it."""
        directions, outside, positions = self.slopes.shape[2:]
        inside = self.features.shape[2]
        columns = directions * outside
        return positions * (inside + columns) < inside * columns

    def add_up(self) -> "Direct":
        """The sum itself."""
        rows = self.slopes.flatten(2, 3) @ self.features.transpose(2, 3)
        split = rows.unflatten(2, self.slopes.shape[2:4])
        return Direct(values=split.transpose(1, 2).flatten(2))

    def square(self) -> Lengths:
        """The squared length of the sum, without the sum: all pairs of positions."""
        alike = self.features.transpose(2, 3) @ self.features
        mixed = (self.slopes.flatten(2, 3) @ alike).view(self.slopes.shape)
        # A sum of squares that rounds below 0 is 0.
        return (mixed * self.slopes).sum(dim=(1, 3, 4)).clamp(min=0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Direct:
    """A derivative itself, with the weight laid flat."""

    values: Float[Tensor, "batch directions entries"]

    def square(self) -> Lengths:
        """The squared length."""
        return self.values.square().sum(2)


Contribution: TypeAlias = Factors | Direct
"""What one use of a weight adds to its derivative."""


def square_sum(contributions: Sequence[Contribution]) -> Lengths:
    """The squared length of the sum of what all uses of one weight add, at least one.

    Uses of one layer are more positions of the same sum; other uses are added up as they are.
    """
    factors = [each for each in contributions if isinstance(each, Factors)]
    alike = {each.features.shape[1:3] for each in factors}
    if len(factors) == len(contributions) and len(alike) == 1:
        whole = Factors(
            slopes=torch.cat([each.slopes for each in factors], dim=4),
            features=torch.cat([each.features for each in factors], dim=3),
        )
        return whole.square() if whole.ghostly else whole.add_up().square()
    sums = [each.add_up() if isinstance(each, Factors) else each for each in contributions]
    return Direct(values=torch.stack([each.values for each in sums]).sum(0)).square()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Moment:
    """One use of weights in a run, and the derivatives by what came out of it.

    `slopes` are what came out with an axis of directions behind `axis`, which counts the inputs,
    or whole numbers of rows for each.
    """

    function: Function
    given: Mapping[str, Any]
    slopes: Tensor
    axis: int
    inputs: int

    @property
    def taken(self) -> Tensor:
        """What went into the layer."""
        taken: Tensor = self.given["input"]
        return taken

    def split(self, values: Tensor) -> Tensor:
        """Rows of all inputs as (inputs, directions, rows of one input, ...)."""
        rows: Tensor = values.unflatten(0, (self.inputs, -1))
        return rows.movedim(1, 2)

    def rows(self) -> Tensor:
        """The slopes as (inputs, directions, all positions, last axis)."""
        slopes = self.slopes.movedim((self.axis, self.axis + 1), (0, 1))
        return self.split(slopes).flatten(2, -2)

    def spread(self, values: Tensor) -> Tensor:
        """The slopes times what is the same in every direction, and has the inputs' axis."""
        behind = self.slopes.ndim - 2 - self.axis
        return self.slopes * values.unsqueeze(values.ndim - behind)

    def standard(self) -> Tensor:
        """What a normalisation's weights are applied to: the same without them."""
        bare = {"weight": None, "bias": None}
        given = {name: bare.get(name, value) for name, value in self.given.items()}
        standard: Tensor = self.function(**given)
        return standard

    def along_channels(self, parameter: Tensor) -> tuple[int, ...]:
        """The shape in which one number for each channel meets what came out."""
        return (len(parameter), *[1] * (self.slopes.ndim - 3))

    def sum_broadcast(self, values: Tensor, shape: Sequence[int]) -> Direct:
        """Sums values over all places to which an entry of a parameter of a shape was brought."""
        full = (1,) * (values.ndim - 1 - len(shape)) + tuple(shape)
        rest = [size for axis, size in enumerate(full) if axis != self.axis]
        rows = values.movedim((self.axis, self.axis + 1), (0, 1))
        spread = [2, *(axis + 3 for axis, size in enumerate(rest) if size == 1)]
        summed = self.split(rows).sum(dim=spread)
        return Direct(values=summed.reshape(*summed.shape[:2], -1))


def _linear(moment: Moment, weight: Tensor) -> Contribution:
    """The weight of x Wᵀ + b: an outer product at each position."""
    features = moment.taken.movedim(moment.axis, 0)
    features = features.reshape(moment.inputs, 1, -1, weight.shape[1])
    return Factors(slopes=moment.rows().transpose(2, 3)[:, None], features=features.transpose(2, 3))


def _sum(moment: Moment, parameter: Tensor) -> Contribution:
    """What is added along the last axes, such as a bias or a position's embedding."""
    return moment.sum_broadcast(moment.slopes, parameter.shape)


def _channel_sum(moment: Moment, bias: Tensor) -> Contribution:
    """A bias of channels, which are the second axis."""
    return moment.sum_broadcast(moment.slopes, moment.along_channels(bias))


def _channel_scale(moment: Moment, weight: Tensor) -> Contribution:
    """The factors of a normalisation of channels, such as BatchNorm and GroupNorm."""
    return moment.sum_broadcast(moment.spread(moment.standard()), moment.along_channels(weight))


def _last_scale(moment: Moment, weight: Tensor) -> Contribution:
    """The factors of a normalisation of the last axes, such as LayerNorm."""
    return moment.sum_broadcast(moment.spread(moment.standard()), weight.shape)


def _product(moment: Moment, parameter: Tensor) -> Contribution:
    """A parameter that something is multiplied by, such as the scale of a layer."""
    first, second = moment.given["input"], moment.given["other"]
    values = moment.spread(second if first is parameter else first)
    return moment.sum_broadcast(values, parameter.shape)


def _table(moment: Moment, weight: Tensor) -> Contribution:
    """The rows of an embedding that were looked up."""
    slopes = moment.rows()
    rows = moment.taken.movedim(moment.axis, 0).reshape(moment.inputs, 1, -1, 1)
    ignored = moment.given.get("padding_idx")
    if ignored is not None:
        slopes = slopes * (rows != ignored % len(weight))
    table = slopes.new_zeros(*slopes.shape[:2], *weight.shape)
    return Direct(values=table.scatter_add(2, rows.expand(slopes.shape), slopes).flatten(2))


def _filters(moment: Moment, weight: Tensor) -> Contribution:
    """The filters of a convolution: an outer product with each window."""
    groups = int(moment.given.get("groups", 1))
    windows = _unfold(moment, weight.shape[2:], groups=groups)
    features = windows.unflatten(0, (moment.inputs, -1)).movedim(1, 3).flatten(3)
    slopes = moment.split(moment.slopes).unflatten(3, (groups, -1)).flatten(5)
    # (inputs, directions, rows, groups, outside, positions)
    slopes = slopes.permute(0, 3, 1, 4, 2, 5).flatten(4)
    return Factors(slopes=slopes, features=features)


def _unfold(moment: Moment, sizes: tuple[int, ...], *, groups: int) -> Tensor:
    """The windows of what went into a convolution: (rows, groups, window, positions)."""
    steps, gaps = (_spell(moment.given.get(name, 1), sizes) for name in ("stride", "dilation"))
    windows = functional.pad(moment.taken, _pads(moment.given.get("padding", 0), sizes, gaps))
    for axis, (size, step, gap) in enumerate(zip(sizes, steps, gaps, strict=True), start=2):
        windows = windows.unfold(axis, (size - 1) * gap + 1, step)[..., ::gap]
    # (rows, channels, *positions, *window)
    places = tuple(range(2, 2 + len(sizes)))
    windows = windows.movedim(places, tuple(range(-len(sizes), 0)))
    grouped: Tensor = windows.unflatten(1, (groups, -1))
    return grouped.flatten(3 + len(sizes)).flatten(2, 2 + len(sizes))


def _pads(padding: Any, sizes: tuple[int, ...], gaps: tuple[int, ...]) -> list[int]:  # noqa: ANN401
    """How many zeros stand before and behind each axis, the last axis first."""
    if padding == "same":
        totals = [gap * (size - 1) for size, gap in zip(sizes, gaps, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in totals]
    else:
        widths = _spell(0 if padding == "valid" else padding, sizes)
        pairs = [(width, width) for width in widths]
    return [width for pair in reversed(pairs) for width in pair]


def _spell(number: int | tuple[int, ...] | list[int], sizes: tuple[int, ...]) -> tuple[int, ...]:
    numbers = (number,) if isinstance(number, int) else tuple(number)
    return numbers * len(sizes) if len(numbers) == 1 else numbers


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Kind:
    """A function whose derivatives by its weights are known.

    `arguments` names its positional arguments, and `shares` has what its weights add, by the name
    of the argument.
    """

    arguments: tuple[str, ...]
    shares: Mapping[str, Callable[[Moment, Tensor], Contribution]]

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name."""
        return dict(zip(self.arguments, args, strict=False)) | dict(kwargs)


def _kind(arguments: str, **shares: Callable[[Moment, Tensor], Contribution]) -> Kind:
    return Kind(arguments=tuple(arguments.split()), shares=shares)


LINEAR = _kind("input weight bias", weight=_linear, bias=_sum)
_CONVOLUTION = _kind(
    "input weight bias stride padding dilation groups", weight=_filters, bias=_channel_sum
)
_CHANNELS: Mapping[str, Callable[[Moment, Tensor], Contribution]] = {
    "weight": _channel_scale,
    "bias": _channel_sum,
}
_GROUP_NORM = _kind("input num_groups weight bias eps", **_CHANNELS)
_LAYER_NORM = _kind("input normalized_shape weight bias eps", weight=_last_scale, bias=_sum)
_ADDITION = _kind("input other", input=_sum, other=_sum)
_MULTIPLICATION = _kind("input other", input=_product, other=_product)
_EXPANSION = _kind("input", input=_sum)
_STATISTICS = "running_mean running_var"
_SETTINGS = "training momentum eps"

# `torch.ops` makes its attributes when they are asked for, so that they have no types.
_ATEN: Any = torch.ops.aten

KINDS: Mapping[Any, Kind] = {
    **dict.fromkeys((functional.linear, _ATEN.linear.default), LINEAR),
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), _CONVOLUTION),
    **dict.fromkeys((_ATEN.conv1d.default, _ATEN.conv1d.padding), _CONVOLUTION),
    **dict.fromkeys((_ATEN.conv2d.default, _ATEN.conv2d.padding), _CONVOLUTION),
    **dict.fromkeys((_ATEN.conv3d.default, _ATEN.conv3d.padding), _CONVOLUTION),
    functional.batch_norm: _kind(f"input {_STATISTICS} weight bias {_SETTINGS}", **_CHANNELS),
    _ATEN.batch_norm.default: _kind(
        f"input weight bias {_STATISTICS} {_SETTINGS} cudnn_enabled", **_CHANNELS
    ),
    **dict.fromkeys((functional.group_norm, _ATEN.group_norm.default), _GROUP_NORM),
    **dict.fromkeys((functional.layer_norm, _ATEN.layer_norm.default), _LAYER_NORM),
    functional.rms_norm: _kind("input normalized_shape weight eps", weight=_last_scale),
    functional.embedding: _kind("input weight padding_idx max_norm", weight=_table),
    **dict.fromkeys((Tensor.add, Tensor.add_, torch.add, _ATEN.add.Tensor), _ADDITION),
    **dict.fromkeys((Tensor.mul, torch.mul, _ATEN.mul.Tensor), _MULTIPLICATION),
    **dict.fromkeys((Tensor.expand, _ATEN.expand.default), _EXPANSION),
}
"""The kinds that are known, by the function that runs them."""
