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
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Lengths: TypeAlias = Float[Tensor, "batch directions"]
"""A squared length for each input and each of its directions."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factors:
    """A derivative as a sum of outer products, one for each position.

    Args:
        slopes: The g_t of every direction. A convolution has a sum of its own for each group of
            channels; any other layer has one group.
        features: The a_t.
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
    """A derivative itself, with the weight laid flat.

    Args:
        values: For each input and direction.
    """

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
    whole = join(contributions)
    if isinstance(whole, Factors):
        return whole.square() if whole.ghostly else whole.add_up().square()
    return whole.square()


def join(contributions: Sequence[Contribution]) -> Contribution:
    """Several contributions to the same weight as one."""
    first, *others = contributions
    if not others:
        return first
    factors = [each for each in contributions if isinstance(each, Factors)]
    alike = {each.features.shape[1:3] for each in factors}
    if len(factors) == len(contributions) and len(alike) == 1:
        return Factors(
            slopes=torch.cat([each.slopes for each in factors], dim=4),
            features=torch.cat([each.features for each in factors], dim=3),
        )
    sums = [each.add_up() if isinstance(each, Factors) else each for each in contributions]
    return Direct(values=torch.stack([each.values for each in sums]).sum(0))


# `torch.ops` makes its attributes when they are asked for, so that they have no types.
ATEN: Any = torch.ops.aten


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Moment:
    """One use of weights in a run, and the derivatives by what came out of it.

    Args:
        function: What was called.
        given: Its arguments by name.
        slopes: The derivatives: what came out, with an axis of directions behind `axis`.
        axis: Which axis of what came out counts the inputs, or whole numbers of rows for each.
        inputs: How many inputs there are.
    """

    function: Callable[..., Any]
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


Share: TypeAlias = Callable[[Moment, Tensor], Contribution]
"""Gives what one use of a parameter adds to its derivative."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Kind:
    """A function whose derivatives by its weights are known.

    Args:
        arguments: The names of its positional arguments.
        shares: What its weights add, by the name of the argument.
    """

    arguments: tuple[str, ...]
    shares: Mapping[str, Share]

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name."""
        return dict(zip(self.arguments, args, strict=False)) | dict(kwargs)


def sum_broadcast(moment: Moment, values: Tensor, shape: tuple[int, ...]) -> Direct:
    """Sums values over all places to which one entry of a parameter was brought.

    Args:
        moment: The use.
        values: What each place adds, shaped as the slopes.
        shape: The parameter's shape as it was broadcast.
    """
    full = (1,) * (values.ndim - 1 - len(shape)) + shape
    rest = [size for axis, size in enumerate(full) if axis != moment.axis]
    rows = values.movedim((moment.axis, moment.axis + 1), (0, 1))
    spread = [2, *(axis + 3 for axis, size in enumerate(rest) if size == 1)]
    summed = moment.split(rows).sum(dim=spread)
    return Direct(values=summed.reshape(*summed.shape[:2], -1))


def share_linear(moment: Moment, weight: Tensor) -> Contribution:
    """The weight of x Wᵀ + b: an outer product at each position."""
    slopes = moment.slopes.movedim((moment.axis, moment.axis + 1), (0, 1))
    slopes = moment.split(slopes).flatten(2, -2)
    features = moment.taken.movedim(moment.axis, 0)
    features = features.reshape(moment.inputs, 1, -1, weight.shape[1])
    return Factors(slopes=slopes.transpose(2, 3)[:, None], features=features.transpose(2, 3))


def share_last(moment: Moment, bias: Tensor) -> Contribution:
    """A bias along the last axes."""
    return sum_broadcast(moment, moment.slopes, tuple(bias.shape))


def share_channels(moment: Moment, bias: Tensor) -> Contribution:
    """A bias of channels, which are the second axis."""
    return sum_broadcast(moment, moment.slopes, along_channels(moment, bias))


def share_convolution(moment: Moment, weight: Tensor) -> Contribution:
    """The filters of a convolution: an outer product with each window."""
    groups = int(moment.given.get("groups", 1))
    windows = unfold(moment, weight.shape[2:], groups=groups)
    features = windows.unflatten(0, (moment.inputs, -1)).movedim(1, 3).flatten(3)
    slopes = moment.split(moment.slopes).unflatten(3, (groups, -1)).flatten(5)
    # (inputs, directions, rows, groups, outside, positions)
    slopes = slopes.permute(0, 3, 1, 4, 2, 5).flatten(4)
    return Factors(slopes=slopes, features=features)


def unfold(moment: Moment, sizes: tuple[int, ...], *, groups: int) -> Tensor:
    """The windows of what went into a convolution: (rows, groups, window, positions)."""
    steps, gaps = (spell(moment.given.get(name, 1), sizes) for name in ("stride", "dilation"))
    windows = functional.pad(moment.taken, pad_sizes(moment, sizes, gaps))
    for axis, (size, step, gap) in enumerate(zip(sizes, steps, gaps, strict=True), start=2):
        windows = windows.unfold(axis, (size - 1) * gap + 1, step)[..., ::gap]
    # (rows, channels, *positions, *window)
    places = tuple(range(2, 2 + len(sizes)))
    windows = windows.movedim(places, tuple(range(-len(sizes), 0)))
    grouped: Tensor = windows.unflatten(1, (groups, -1))
    return grouped.flatten(3 + len(sizes)).flatten(2, 2 + len(sizes))


def pad_sizes(moment: Moment, sizes: tuple[int, ...], gaps: tuple[int, ...]) -> list[int]:
    """How many zeros stand before and behind each axis, the last axis first."""
    padding = moment.given.get("padding", 0)
    if padding == "same":
        totals = [gap * (size - 1) for size, gap in zip(sizes, gaps, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in totals]
    else:
        widths = spell(0 if padding == "valid" else padding, sizes)
        pairs = [(width, width) for width in widths]
    return [width for pair in reversed(pairs) for width in pair]


def spell(number: int | tuple[int, ...] | list[int], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """One number for each axis."""
    numbers = (number,) if isinstance(number, int) else tuple(number)
    return numbers * len(sizes) if len(numbers) == 1 else numbers


def share_scale(moment: Moment, weight: Tensor) -> Contribution:
    """The factors of a normalisation of channels, such as BatchNorm and GroupNorm."""
    return sum_broadcast(
        moment, spread_out(moment, standardise(moment)), along_channels(moment, weight)
    )


def share_last_scale(moment: Moment, weight: Tensor) -> Contribution:
    """The factors of a normalisation of the last axes, such as LayerNorm."""
    return sum_broadcast(moment, spread_out(moment, standardise(moment)), tuple(weight.shape))


def standardise(moment: Moment) -> Tensor:
    """What a normalisation's weights are applied to: the same without them."""
    bare = {"weight": None, "bias": None}
    given = {name: bare.get(name, value) for name, value in moment.given.items()}
    standard: Tensor = moment.function(**given)
    return standard


def spread_out(moment: Moment, values: Tensor) -> Tensor:
    """The slopes times what is the same in every direction, and has the inputs' axis."""
    behind = moment.slopes.ndim - 2 - moment.axis
    return moment.slopes * values.unsqueeze(values.ndim - behind)


def along_channels(moment: Moment, parameter: Tensor) -> tuple[int, ...]:
    """The shape in which one number for each channel meets what came out."""
    return (len(parameter), *[1] * (moment.slopes.ndim - 3))


def share_table(moment: Moment, weight: Tensor) -> Contribution:
    """The rows of an embedding that were looked up."""
    slopes = moment.slopes.movedim((moment.axis, moment.axis + 1), (0, 1))
    slopes = moment.split(slopes).flatten(2, -2)
    rows = moment.taken.movedim(moment.axis, 0).reshape(moment.inputs, 1, -1, 1)
    ignored = moment.given.get("padding_idx")
    if ignored is not None:
        slopes = slopes * (rows != ignored % len(weight))
    table = slopes.new_zeros(*slopes.shape[:2], *weight.shape)
    return Direct(values=table.scatter_add(2, rows.expand(slopes.shape), slopes).flatten(2))


def share_sum(moment: Moment, parameter: Tensor) -> Contribution:
    """A parameter that is added, such as a position's embedding."""
    return sum_broadcast(moment, moment.slopes, tuple(parameter.shape))


def share_product(moment: Moment, parameter: Tensor) -> Contribution:
    """A parameter that something is multiplied by, such as the scale of a layer."""
    first, second = moment.given["input"], moment.given["other"]
    values = spread_out(moment, second if first is parameter else first)
    return sum_broadcast(moment, values, tuple(parameter.shape))


LINEAR = Kind(
    arguments=("input", "weight", "bias"), shares={"weight": share_linear, "bias": share_last}
)
CONVOLUTION = Kind(
    arguments=("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    shares={"weight": share_convolution, "bias": share_channels},
)
BATCH_NORM = Kind(
    arguments=(
        *("input", "running_mean", "running_var", "weight", "bias"),
        *("training", "momentum", "eps"),
    ),
    shares={"weight": share_scale, "bias": share_channels},
)
EXPORTED_BATCH_NORM = Kind(
    arguments=(
        *("input", "weight", "bias", "running_mean", "running_var"),
        *("training", "momentum", "eps", "cudnn_enabled"),
    ),
    shares=BATCH_NORM.shares,
)
GROUP_NORM = Kind(
    arguments=("input", "num_groups", "weight", "bias", "eps"),
    shares={"weight": share_scale, "bias": share_channels},
)
LAYER_NORM = Kind(
    arguments=("input", "normalized_shape", "weight", "bias", "eps"),
    shares={"weight": share_last_scale, "bias": share_last},
)
ROOT_NORM = Kind(
    arguments=("input", "normalized_shape", "weight", "eps"), shares={"weight": share_last_scale}
)
EMBEDDING = Kind(
    arguments=("input", "weight", "padding_idx", "max_norm"), shares={"weight": share_table}
)
SUM = Kind(arguments=("input", "other"), shares={"input": share_sum, "other": share_sum})
PRODUCT = Kind(
    arguments=("input", "other"), shares={"input": share_product, "other": share_product}
)
EXPANSION = Kind(arguments=("input",), shares={"input": share_sum})

KINDS: Mapping[Any, Kind] = MappingProxyType(
    {
        **dict.fromkeys((functional.linear, ATEN.linear.default), LINEAR),
        **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), CONVOLUTION),
        **dict.fromkeys((ATEN.conv1d.default, ATEN.conv1d.padding), CONVOLUTION),
        **dict.fromkeys((ATEN.conv2d.default, ATEN.conv2d.padding), CONVOLUTION),
        **dict.fromkeys((ATEN.conv3d.default, ATEN.conv3d.padding), CONVOLUTION),
        functional.batch_norm: BATCH_NORM,
        ATEN.batch_norm.default: EXPORTED_BATCH_NORM,
        **dict.fromkeys((functional.group_norm, ATEN.group_norm.default), GROUP_NORM),
        **dict.fromkeys((functional.layer_norm, ATEN.layer_norm.default), LAYER_NORM),
        functional.rms_norm: ROOT_NORM,
        functional.embedding: EMBEDDING,
        **dict.fromkeys((Tensor.add, Tensor.add_, torch.add, ATEN.add.Tensor), SUM),
        **dict.fromkeys((Tensor.mul, torch.mul, ATEN.mul.Tensor), PRODUCT),
        **dict.fromkeys((Tensor.expand, ATEN.expand.default), EXPANSION),
    }
)
"""The kinds that are known, by the function that runs them."""
