"""What becomes of raw inputs before the network: resizing, and normalisation in several orders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.errors import InvalidArgumentError

Order: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""One way to compute (inputs - mean) / std; mean and std come as declared, in float64."""

Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
"""A layer of filters whose second axis is the channels of the inputs."""


class Normalised(nn.Module):
    """Computes network((x - mean) / std), with one mean and one std, or one for each channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        _check(mean, std)
        self.network = network
        self.declared = (tuple(mean), tuple(std))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of inputs that are not normalised yet."""
        mean, std = _along_channels(self.mean, inputs), _along_channels(self.std, inputs)
        return cast(Tensor, self.network((inputs - mean) / std))


def reorderings(network: nn.Module) -> dict[str, nn.Module]:
    """The same network with its normalisation computed in other, equally right ways.

    A served network may well do so; nothing but rounding tells the results apart.

    The networks, by the name of the way, share the inner network, weights included. The one
    called `folded`, which has its first filters divided by std, can be run only if those are
    the first that the inputs meet. A network that normalises nothing has no such ways.
    """
    if isinstance(network, Resized):
        # What is resized is normalised behind it, in any of the ways.
        ways = reorderings(network.network)
        return {name: Resized(way, network.resizing).to(network.rows) for name, way in ways.items()}
    if not isinstance(network, Normalised):
        return {}
    orders: dict[str, nn.Module] = {
        name: _Reordered(network, order) for name, order in ORDERS.items()
    }
    return orders | ({"folded": _Folded(network)} if _list_convolutions(network) else {})


class _Reordered(nn.Module):
    """A normalised network that computes its normalisation in another order."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalised: Normalised, order: Order) -> None:
        super().__init__()
        self.network = normalised.network
        self.order = order
        device = normalised.mean.device
        for name, numbers in zip(("mean", "std"), normalised.declared, strict=True):
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float64, device=device))
        self.train(normalised.training)

    def forward(self, inputs: Tensor) -> Tensor:
        mean, std = _along_channels(self.mean, inputs), _along_channels(self.std, inputs)
        return cast(Tensor, self.network(self.order(inputs, mean, std)))


class _Folded(nn.Module):
    """A normalised network whose first filters are divided by the spread.

    The mean stays outside: zeros that a convolution pads its inputs with stand for it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, normalised: Normalised) -> None:
        super().__init__()
        self.network = normalised.network
        self.register_buffer("mean", normalised.mean)
        std = torch.tensor(normalised.declared[1], dtype=torch.float64)
        self.register_buffer("std", std.to(normalised.mean.device))
        self.train(normalised.training)

    def forward(self, inputs: Tensor) -> Tensor:
        name, first = _list_convolutions(self.network)[0]
        spread = self.std.reshape(1, -1, *[1] * (first.weight.ndim - 2))
        divided = {f"{name}.weight".removeprefix("."): (first.weight / spread).to(first.weight)}
        shifted = inputs - _along_channels(self.mean, inputs)
        met: list[bool] = []
        hook = first.register_forward_pre_hook(lambda _, given: met.append(given[0] is shifted))
        try:
            scores = functional_call(self.network, divided, (shifted,))
        finally:
            hook.remove()
        if met != [True]:
            raise RuntimeError("the first filters need to be given the inputs themselves, once")
        return cast(Tensor, scores)


def _list_convolutions(network: nn.Module) -> list[tuple[str, Convolution]]:
    named = network.named_modules()
    return [(name, each) for name, each in named if isinstance(each, Convolution)]


def _multiply_add(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return inputs * (1 / std).to(inputs.dtype) - (mean / std).to(inputs.dtype)


def _divide_first(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return inputs / std.to(inputs.dtype) - (mean / std).to(inputs.dtype)


def _in_float64(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return ((inputs.double() - mean) / std).to(inputs.dtype)


def _from_255(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The way of code that works on grey levels."""
    return (inputs * 255 - (255 * mean).to(inputs.dtype)) / (255 * std).to(inputs.dtype)


ORDERS: dict[str, Order] = {
    "multiply-add": _multiply_add,
    "divide first": _divide_first,
    "float64 normalisation": _in_float64,
    "255 first": _from_255,
}
"""Equally right ways to compute (x - mean) / std, by name."""


def _along_channels(numbers: Tensor, inputs: Tensor) -> Tensor:
    """One number for each channel, shaped to broadcast over (batch, channel, ...)."""
    return numbers.reshape(-1, *[1] * (inputs.ndim - 2))


def _check(mean: Sequence[float], std: Sequence[float]) -> None:
    if not mean or len(mean) != len(std):
        raise InvalidArgumentError(
            f"expected as many numbers in mean as in std, got {len(mean)} and {len(std)}"
        )
    if not all(map(isfinite, [*mean, *std])) or min(std) <= 0:
        raise InvalidArgumentError(
            f"expected finite numbers in mean and positive ones in std, got {list(mean)} and "
            f"{list(std)}"
        )


Rows: TypeAlias = Float[np.ndarray, "outside inside"]
"""How much of each value of a line goes into each value of the resized line."""


class Filter(Enum):
    """How much a pixel counts by its distance."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resizing:
    """What becomes of a raw image before it is normalised.

    Args:
        shape: The raw image: channels, height and width.
        bounds: The smallest and largest value, to which bicubic overshoots are cut.
        resize: The height and width that it is resized to; None if it is not.
        crop: The height and width of the middle that is cut out; None for all of it.
        filter: How pixels are weighed. Shrinking counts all pixels under the filter
            (antialiasing), as Pillow and torchvision do.
    """

    shape: tuple[int, ...]
    bounds: tuple[float, float]
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    filter: Filter = Filter.BILINEAR

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InvalidArgumentError(
                f"expected channels, height and width, got {list(self.shape)}", field="shape"
            )
        if min(self.resized) < 1:
            problem = f"expected positive sizes, got {list(self.resized)}"
            raise InvalidArgumentError(problem, field="resize")
        fits = zip(self.cropped, self.resized, strict=True)
        if not all(1 <= kept <= size for kept, size in fits):
            raise InvalidArgumentError(
                f"expected sizes from 1 to {list(self.resized)}, got {list(self.cropped)}",
                field="crop",
            )

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width before the crop."""
        return self.resize or (self.shape[1], self.shape[2])

    @property
    def cropped(self) -> tuple[int, int]:
        """Height and width after it."""
        return self.crop or self.resized


class Resized(nn.Module):
    """Computes network(crop(resize(x))): two matrix products, the same on every machine."""

    rows: Tensor
    columns: Tensor
    limits: Tensor

    def __init__(self, network: nn.Module, resizing: Resizing) -> None:
        super().__init__()
        self.network = network
        self.resizing = resizing
        self.register_buffer("limits", torch.tensor(resizing.bounds, dtype=torch.float32))
        lines = zip(resizing.shape[1:], resizing.resized, resizing.cropped, strict=True)
        for name, (inside, outside, kept) in zip(("rows", "columns"), lines, strict=True):
            first = round((outside - kept) / 2)
            matrix = weigh(inside, outside, resizing.filter)[first : first + kept]
            self.register_buffer(name, torch.tensor(matrix, dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of raw images."""
        resized = self.rows @ inputs @ self.columns.T
        if self.resizing.filter is Filter.BICUBIC:
            # A clamp would count as a layer of neurons.
            resized = resized.minimum(self.limits[1]).maximum(self.limits[0])
        scores: Tensor = self.network(resized)
        return scores


def weigh(inside: int, outside: int, kind: Filter) -> Rows:
    """How much of each of `inside` values goes into each of `outside` values.

    With s = inside / outside, value i is centred at (i + 1/2) s, and a value whose centre is d
    away counts with the filter at d / max(s, 1); what counts for one value adds up to 1.
    """
    if inside == outside:
        return np.eye(inside)
    scale = inside / outside
    centres = (np.arange(outside)[:, None] + 0.5) * scale
    places = np.arange(inside)[None] + 0.5
    weights = _FILTERS[kind](np.abs(places - centres) / max(scale, 1.0))
    total = weights.sum(axis=1, keepdims=True)
    return cast(Rows, weights / total)


def _triangle(distance: Rows) -> Rows:
    return cast(Rows, np.maximum(1 - distance, 0.0))


def _cubic(distance: Rows) -> Rows:
    """Keys's cubic with a = -1/2, which Pillow uses."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


_FILTERS: dict[Filter, Callable[[Rows], Rows]] = {
    Filter.BILINEAR: _triangle,
    Filter.BICUBIC: _cubic,
}
