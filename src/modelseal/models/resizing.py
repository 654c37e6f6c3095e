"""Resizes and crops raw images as a part of the network, as a service does before it.

A sample is exact before this: what is sent is the raw image on its own levels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError

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

    Raises:
        InvalidArgumentError: The shape is none of an image, or a size is not one that there is.
    """

    shape: tuple[int, ...]
    bounds: tuple[float, float]
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    filter: Filter = Filter.BILINEAR

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InvalidArgumentError(
                f"resizing needs images of channels, height and width, but they are "
                f"{list(self.shape)}"
            )
        if min(self.resized) < 1:
            raise InvalidArgumentError(f"resize needs positive sizes, but is {list(self.resized)}")
        fits = zip(self.cropped, self.resized, strict=True)
        if not all(1 <= kept <= size for kept, size in fits):
            raise InvalidArgumentError(
                f"crop needs sizes from 1 to {list(self.resized)}, but is {list(self.cropped)}"
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
    """Computes network(crop(resize(x))): two matrix products, the same on every machine.

    Args:
        network: Takes resized images.
        resizing: What becomes of them.
    """

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
    weights = FILTERS[kind](np.abs(places - centres) / max(scale, 1.0))
    total = weights.sum(axis=1, keepdims=True)
    return cast(Rows, weights / total)


def _triangle(distance: Rows) -> Rows:
    return cast(Rows, np.maximum(1 - distance, 0.0))


def _cubic(distance: Rows) -> Rows:
    """Keys's cubic with a = -1/2, which Pillow uses."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


FILTERS: dict[Filter, Callable[[Rows], Rows]] = {
    Filter.BILINEAR: _triangle,
    Filter.BICUBIC: _cubic,
}
