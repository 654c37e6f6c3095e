"""What a valid input is."""

import io
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import isfinite
from typing import Any, TypeVar, cast

import numpy as np

from modelseal.errors import unexpected
from modelseal.types import Array, Codes, Inputs, Mask

# A numpy array or a torch tensor: the methods that take it use only what both have.
Numbers = TypeVar("Numbers", bound=Any)

# A float32 close to 1 is exact to 6e-8, a 256th of the range is 4e-3: a thousandth of a level
# tells a rounding error of the representation from a value between two levels.
_LEVEL_TOLERANCE = 1e-3

# Going from a level's number to its value and back in float32 costs a few roundings of 2^-24 of
# the larger bound: eight of them must stay within the tolerance.
_FLOAT32_ERROR = 2.0**-21

# Beyond these, numbers and spans times 255 leave the range of float32.
_SMALLEST_SPAN, _LARGEST_BOUND = 1e-30, 1e30


@dataclass(frozen=True)
class Domain:
    """The valid inputs of a network: their shape, their bounds and their levels.

    Args:
        shape: The shape of one input without the batch axis, such as (3, 32, 32).
        bounds: The smallest and the largest value.
        levels: How many evenly spaced values are allowed, both bounds included: 256 for an
            8-bit image, 0 for a continuous input.

    Raises:
        InvalidArgumentError: A value is out of its range.

    Examples:
        >>> domain = Domain((2,), bounds=(0.0, 1.0), levels=256)
        >>> domain.decode(np.array([[0, 255]], np.uint8))
        array([[0., 1.]], dtype=float32)
    """

    shape: tuple[int, ...]
    _: KW_ONLY
    bounds: tuple[float, float] = (0.0, 1.0)
    levels: int = 256

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise unexpected("positive sizes", list(self.shape), field="shape")
        bounds = list(self.bounds)
        if not (all(map(isfinite, bounds)) and bounds[0] < bounds[1]):
            raise unexpected("two finite numbers, the lower first", bounds, field="bounds")
        if self.levels not in {0, *range(2, 257)}:
            raise unexpected("0 or 2 to 256", self.levels, field="levels")
        # Whether float32 is fine enough for the levels, or for a continuous input.
        largest = max(map(abs, bounds))
        resolution = _LEVEL_TOLERANCE * self.step if self.levels else self.span
        coarsest = max(_FLOAT32_ERROR * largest, _SMALLEST_SPAN)
        if largest > _LARGEST_BOUND or resolution < coarsest:
            wanted = "bounds with values between them that float32 tells apart"
            raise unexpected(wanted, bounds, field="bounds")

    @property
    def span(self) -> float:
        """The distance between the two bounds."""
        return self.bounds[1] - self.bounds[0]

    @property
    def step(self) -> float:
        """The distance between two neighbouring levels; 0 if the domain is continuous."""
        return self.span / (self.levels - 1) if self.levels else 0.0

    @cached_property
    def table(self) -> Array:
        """The float32 value of every level, lowest first; empty if the domain is continuous.

        Looking a value up is exact on every machine, where dividing by 255 is not: a GPU may
        multiply by the reciprocal instead.
        """
        steps = max(self.levels - 1, 1)
        numbers = np.arange(self.levels, dtype=np.float64)
        values = (numbers * self.span + self.bounds[0] * steps) / steps
        return self.clamp(values).astype(np.float32)

    def clamp(self, inputs: Numbers) -> Numbers:
        """Moves every value to the nearest one inside the bounds."""
        return cast(Numbers, inputs.clip(*self.bounds))

    def snap(self, inputs: Numbers) -> Numbers:
        """Moves every value to the nearest level; only clamps if the domain is continuous."""
        inside = self.clamp(inputs)
        if not self.levels:
            return inside
        steps = self.levels - 1
        numbers = ((inside - self.bounds[0]) * (steps / self.span)).round()
        # The highest level may come out one rounding error above the bound.
        return self.clamp(cast(Numbers, (numbers * self.span + self.bounds[0] * steps) / steps))

    def contains(self, inputs: Inputs) -> Mask:
        """Whether each input has this shape, is finite, inside the bounds and on the levels."""
        if inputs.shape[1:] != self.shape:
            return np.zeros(len(inputs), dtype=bool)
        valid = np.isfinite(inputs) & (inputs >= self.bounds[0]) & (inputs <= self.bounds[1])
        if self.levels:
            valid &= np.abs(inputs - self.snap(inputs)) <= _LEVEL_TOLERANCE * self.step
        return cast(Mask, valid.all(axis=tuple(range(1, valid.ndim))))

    def encode(self, inputs: Inputs) -> Codes:
        """Inputs as they are stored: the number of the nearest level, or float32 if continuous."""
        if not self.levels:
            return self.clamp(inputs).astype(np.float32)
        numbers = (self.clamp(inputs) - self.bounds[0]) * ((self.levels - 1) / self.span)
        return numbers.round().astype(np.uint8)

    def decode(self, codes: Codes) -> Inputs:
        """Stored inputs as the float32 values that a network takes."""
        self.check(codes)
        return self.table[codes] if self.levels else codes

    def check(self, codes: Codes) -> None:
        """Makes sure that stored inputs are valid."""
        wanted = np.dtype(np.uint8 if self.levels else np.float32)
        if codes.shape[1:] != self.shape or codes.dtype != wanted:
            shape = ", ".join(map(str, self.shape))
            came = f"{codes.dtype} of shape {codes.shape}"
            raise unexpected(f"{wanted} of shape (batch, {shape})", came, field="inputs")
        if self.levels and codes.size and codes.max() >= self.levels:
            raise unexpected(f"levels 0 to {self.levels - 1}", codes.max(), field="inputs")
        if not self.levels and not self.contains(codes).all():
            raise unexpected(f"values within {list(self.bounds)}", "others", field="inputs")


def encode_png(code: Codes) -> bytes:
    """The levels of one 8-bit image as a PNG file: rows and columns, channels first if any."""
    from PIL import Image

    planes = code.reshape(-1, *code.shape[-2:])
    pixels = planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG")
    return file.getvalue()
