"""How an input travels: as a nested or flat list, as a PNG, or as bytes."""

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

import numpy as np
from PIL import Image

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.shapes import Array, Codes

Item: TypeAlias = list[object] | bytes
"""One input on its way: a list, which is JSON, or bytes."""


class Form(Enum):
    """In what form an input travels."""

    NESTED = "nested"
    FLAT = "flat"
    PNG = "png"
    BYTES = "bytes"


class Unit(Enum):
    """What its numbers are."""

    BOUNDS = "bounds"
    LEVELS = "levels"


class Channels(Enum):
    """Where the axis of channels stands."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """How inputs of a domain travel.

    Args:
        domain: What a valid input is.
        form: As a list of lists, as a flat list, as a PNG file, or as the bytes of its numbers,
            the lowest place first.
        unit: Values within the domain's bounds (float32 as bytes), or numbers of levels (uint8
            as bytes). A PNG file always holds levels.
        channels: Whether the domain's first axis comes first or last. A PNG file knows its own.

    Raises:
        InvalidArgumentError: Inputs of the domain cannot travel so without a change.
    """

    domain: Domain
    form: Form = Form.NESTED
    unit: Unit = Unit.BOUNDS
    channels: Channels = Channels.FIRST

    def __post_init__(self) -> None:
        if self.form is Form.PNG:
            check_picture(self.domain)
        if self.unit is Unit.LEVELS and not self.domain.levels:
            raise InvalidArgumentError("numbers of levels were wanted, but the inputs have none")
        if self.channels is Channels.LAST and len(self.domain.shape) < 2:
            raise InvalidArgumentError(
                "an axis of channels to come last was wanted, but inputs have shape "
                f"{list(self.domain.shape)}"
            )

    def items(self, codes: Codes) -> list[Item]:
        """Inputs on their way, one for each.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain.
        """
        values = self.domain.decode(codes)
        if self.form is Form.PNG:
            return [to_png(code) for code in codes]
        numbers = codes if self.unit is Unit.LEVELS else values
        return [self.item(row) for row in self.arrange(numbers)]

    def arrange(self, numbers: Array) -> Array:
        """The numbers with the channels where they are wanted."""
        return np.moveaxis(numbers, 1, -1) if self.channels is Channels.LAST else numbers

    def item(self, row: Array) -> Item:
        """One input as a list or as bytes."""
        if self.form is Form.BYTES:
            return row.astype(row.dtype.newbyteorder("<")).tobytes()
        # A float32 survives JSON exactly: it is written as the float64 that equals it.
        return cast(Item, row.ravel().tolist() if self.form is Form.FLAT else row.tolist())


def check_picture(domain: Domain) -> None:
    """Makes sure that inputs are 8-bit images of one or three channels.

    Raises:
        InvalidArgumentError: They are not.
    """
    match domain.shape:
        case (_, _) | (1 | 3, _, _) if domain.levels == 256:
            return
    raise InvalidArgumentError(
        "a PNG file needs 256 levels and one or three channels, "
        f"but inputs have shape {list(domain.shape)} and {domain.levels} levels"
    )


def to_png(code: Array) -> bytes:
    """The levels of one 8-bit image as the content of a PNG file."""
    pixels = code.reshape(-1, *code.shape[-2:]).transpose(1, 2, 0)
    plain = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plain)).save(file, format="PNG")
    return file.getvalue()


def as_json(items: Sequence[Item]) -> list[object]:
    """Inputs as JSON takes them: bytes in base64."""
    return [b64encode(item).decode() if isinstance(item, bytes) else item for item in items]
