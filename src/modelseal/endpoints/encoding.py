"""How an input travels: as a nested or flat list, as a PNG, or as bytes."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

import numpy as np

from modelseal.domain import Domain, encode_png
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.types import Array, Codes

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
            return [encode_png(code) for code in codes]
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


def as_json(items: Sequence[Item]) -> list[object]:
    """Inputs as JSON takes them: bytes in base64."""
    return [b64encode(item).decode() if isinstance(item, bytes) else item for item in items]


ANY = -1
"""The size of an axis that a model leaves open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputForm:
    """How a served model takes its inputs.

    Args:
        name: What the model calls its input.
        datatype: FP32 or FP64 for values within the domain's bounds, UINT8 for bytes. FP16 is
            left out on purpose: it would move the values of most levels.
        batch: How many inputs the model takes at a time; 0 for any number.
        channels_last: Whether the domain's first axis comes last at the model.
    """

    name: str
    datatype: str = "FP32"
    batch: int = 0
    channels_last: bool = False

    def arrange(self, codes: Codes, domain: Domain) -> Array:
        """The inputs as the model takes them, batch axis first.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain.
            EndpointError: The model takes bytes, and the domain's values are none.
        """
        if self.datatype == "UINT8":
            inputs = as_bytes(codes, domain)
        else:
            wanted = np.float64 if self.datatype == "FP64" else np.float32
            inputs = domain.decode(codes).astype(wanted)
        moved = np.moveaxis(inputs, 1, -1) if self.channels_last else inputs
        return np.ascontiguousarray(moved)


def as_bytes(codes: Codes, domain: Domain) -> Array:
    """Inputs as bytes: the level numbers of 256 levels, else values that are whole bytes.

    Raises:
        InvalidArgumentError: The codes are not valid in the domain.
        EndpointError: The domain's values are no bytes.
    """
    values = domain.decode(codes)
    if domain.levels == 256:
        return codes
    if not domain.levels or not np.isin(domain.table, np.arange(256)).all():
        raise EndpointError("the model takes bytes (UINT8), but the inputs' values are no bytes")
    return values.astype(np.uint8)


def input_form(name: str, datatype: str, shape: Sequence[int], domain: Domain) -> InputForm:
    """How a model that declares its input so takes the inputs of a domain.

    Args:
        name: What the model calls its input.
        datatype: The type of its numbers, as the Open Inference Protocol names it.
        shape: The sizes of all axes, batch first; -1 for an open size.
        domain: What a valid input is. A model whose shape is the domain's with the first axis
            moved to the end gets its inputs transposed.

    Raises:
        EndpointError: The model takes other inputs.
    """
    if datatype not in {"FP32", "FP64", "UINT8"}:
        raise EndpointError(f"a model that takes FP32, FP64 or UINT8 was wanted, not {datatype}")
    first, last = domain.shape, (*domain.shape[1:], domain.shape[0])
    for order in (first, last):
        if fits((ANY, *order), shape) and shape[0] != 0:
            return InputForm(
                name=name,
                datatype=datatype,
                batch=max(shape[0], 0),
                channels_last=order is not first,
            )
    raise EndpointError(
        f"a model that takes shape {[ANY, *first]} was wanted, but it takes {list(shape)}"
    )


def fits(wanted: Sequence[int], declared: Sequence[int]) -> bool:
    """Whether two shapes are the same where neither leaves a size open."""
    return len(wanted) == len(declared) and all(
        first == second or ANY in (first, second)
        for first, second in zip(wanted, declared, strict=True)
    )
