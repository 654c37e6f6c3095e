"""Reads the wire format of protobuf: just what the few messages of a Caffe file need.

Caffe is no longer kept, nor is any library that reads its files. The format itself is simple: a
message is a row of fields, each a number, a kind and a value. Nothing is copied, so that a file of
hundreds of megabytes can be read where it lies, and nothing is believed: every length is checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.shapes import Array

LONGEST = 10
"""Bytes of the longest number."""

MOST_FIELDS = 2**20
"""Fields of one message: a hostile file of millions of empty ones would take hours."""


MOST_NUMBERS = 2**10
"""Whole numbers of one field; a shape has four."""


class Wire(IntEnum):
    """How a value is written."""

    NUMBER = 0
    EIGHT_BYTES = 1
    LENGTH = 2
    FOUR_BYTES = 5


KINDS = frozenset(Wire)
FIXED = {Wire.EIGHT_BYTES: 8, Wire.FOUR_BYTES: 4}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Field:
    """One field of a message.

    Args:
        number: Which field it is.
        wire: How its value is written.
        value: The value, if it is a number; else 0.
        content: The bytes of the value, if it is none; else empty.
    """

    number: int
    wire: Wire
    value: int
    content: memoryview


def read_message(content: memoryview) -> dict[int, list[Field]]:
    """The fields of a message by their numbers, in the order of coming.

    Raises:
        InvalidArgumentError: The bytes are no message, or have a million fields.
    """
    fields: dict[int, list[Field]] = {}
    for count, field in enumerate(list_fields(content)):
        if count == MOST_FIELDS:
            raise InvalidArgumentError(f"a message of at most {MOST_FIELDS} fields was wanted")
        fields.setdefault(field.number, []).append(field)
    return fields


def list_fields(content: memoryview) -> Iterator[Field]:
    """The fields of a message, in the order of coming.

    Raises:
        InvalidArgumentError: The bytes are no message.
    """
    place = 0
    while place < len(content):
        key, place = read_number(content, place)
        number, kind = key >> 3, key & 7
        if kind not in KINDS or not number:
            raise InvalidArgumentError(f"a field was wanted, but number {number} is of kind {kind}")
        wire, value = Wire(kind), 0
        if wire is Wire.NUMBER:
            value, place = read_number(content, place)
        length = FIXED.get(wire, 0)
        if wire is Wire.LENGTH:
            length, place = read_number(content, place)
        if length > len(content) - place:
            raise InvalidArgumentError(
                f"field {number} needs {length} bytes, but only {len(content) - place} are left"
            )
        yield Field(number=number, wire=wire, value=value, content=content[place : place + length])
        place += length


def read_number(content: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and the place after it.

    Raises:
        InvalidArgumentError: It does not end.
    """
    number = 0
    for position, byte in enumerate(content[place : place + LONGEST]):
        number |= (byte & 127) << 7 * position
        if byte < 128:
            return number % 2**64, place + position + 1
    raise InvalidArgumentError("a number that ends was wanted, but it does not")


def join_numbers(fields: list[Field]) -> list[int]:
    """Signed numbers of a repeated field, packed or not.

    Raises:
        InvalidArgumentError: They are written otherwise, or are too many for any shape.
    """
    numbers: list[int] = []
    for field in fields:
        if field.wire is Wire.NUMBER:
            numbers.append(field.value)
            continue
        if field.wire is not Wire.LENGTH:
            raise InvalidArgumentError(f"field {field.number} needs whole numbers")
        place = 0
        while place < len(field.content) and len(numbers) <= MOST_NUMBERS:
            number, place = read_number(field.content, place)
            numbers.append(number)
    if len(numbers) > MOST_NUMBERS:
        raise InvalidArgumentError(f"at most {MOST_NUMBERS} whole numbers were wanted")
    return [number - 2**64 if number >= 2**63 else number for number in numbers]


def join_floats(fields: list[Field], wire: Wire) -> Array:
    """The numbers of a repeated field of floats or doubles, packed or not, as float32 or float64.

    Args:
        fields: All fields of its number.
        wire: `FOUR_BYTES` for floats, `EIGHT_BYTES` for doubles.

    Raises:
        InvalidArgumentError: They are written otherwise.
    """
    kind = np.dtype("<f4" if wire is Wire.FOUR_BYTES else "<f8")
    for field in fields:
        if field.wire not in {wire, Wire.LENGTH} or len(field.content) % kind.itemsize:
            raise InvalidArgumentError(
                f"field {field.number} needs numbers of {kind.itemsize} bytes each"
            )
    if len(fields) == 1:
        return np.frombuffer(fields[0].content, kind)
    return np.frombuffer(b"".join(field.content for field in fields), kind)


def read_text(fields: list[Field]) -> str:
    """The text of a field of which the last one counts; empty if there is none.

    Raises:
        InvalidArgumentError: It is no text in UTF-8.
    """
    if not fields:
        return ""
    try:
        return str(bytes(fields[-1].content), "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"field {fields[-1].number} is no text in UTF-8") from error
