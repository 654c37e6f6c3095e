"""Reads the wire format of protobuf: just what the few messages of a Caffe file need.

Caffe is no longer kept, nor is any library that reads its files. The format itself is simple: a
message is a row of fields, each a number, a kind and a value. Nothing is copied, so that a file of
hundreds of megabytes can be read where it lies, and nothing is believed: every length is checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.types import Array

_LONGEST = 10
"""Bytes of the longest number."""

MOST_FIELDS = 2**20
"""Fields of one message: a hostile file of millions of empty ones would take hours."""


_MOST_NUMBERS = 2**10
"""Whole numbers of one field; a shape has four."""


class Wire(IntEnum):
    """How a value is written."""

    NUMBER = 0
    EIGHT_BYTES = 1
    LENGTH = 2
    FOUR_BYTES = 5


KINDS = frozenset(Wire)
_FIXED = {Wire.EIGHT_BYTES: 8, Wire.FOUR_BYTES: 4}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Field:
    """One field of a message."""

    number: int
    wire: Wire
    value: int
    content: memoryview


def read_message(content: memoryview) -> dict[int, list[Field]]:
    """The fields of a message by their numbers, in the order of coming."""
    fields: dict[int, list[Field]] = {}
    for count, field in enumerate(_list_fields(content)):
        if count == MOST_FIELDS:
            raise InvalidArgumentError(f"expected a message of at most {MOST_FIELDS} fields")
        fields.setdefault(field.number, []).append(field)
    return fields


def _list_fields(content: memoryview) -> Iterator[Field]:
    place = 0
    while place < len(content):
        key, place = _read_number(content, place)
        number, kind = key >> 3, key & 7
        if kind not in KINDS or not number:
            raise InvalidArgumentError(f"expected a field, got number {number} of kind {kind}")
        wire, value = Wire(kind), 0
        if wire is Wire.NUMBER:
            value, place = _read_number(content, place)
        length = _FIXED.get(wire, 0)
        if wire is Wire.LENGTH:
            length, place = _read_number(content, place)
        if length > len(content) - place:
            raise InvalidArgumentError(
                f"expected {length} bytes in field {number}, got {len(content) - place}"
            )
        yield Field(number=number, wire=wire, value=value, content=content[place : place + length])
        place += length


def _read_number(content: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for position, byte in enumerate(content[place : place + _LONGEST]):
        number |= (byte & 127) << 7 * position
        if byte < 128:
            return number % 2**64, place + position + 1
    raise InvalidArgumentError("expected a number that ends")


def join_numbers(fields: list[Field]) -> list[int]:
    """Signed numbers of a repeated field, packed or not."""
    numbers: list[int] = []
    for field in fields:
        if field.wire is Wire.NUMBER:
            numbers.append(field.value)
            continue
        if field.wire is not Wire.LENGTH:
            raise InvalidArgumentError(f"expected whole numbers in field {field.number}")
        place = 0
        while place < len(field.content) and len(numbers) <= _MOST_NUMBERS:
            number, place = _read_number(field.content, place)
            numbers.append(number)
    if len(numbers) > _MOST_NUMBERS:
        raise InvalidArgumentError(f"expected at most {_MOST_NUMBERS} whole numbers")
    return [number - 2**64 if number >= 2**63 else number for number in numbers]


def join_floats(fields: list[Field], wire: Wire) -> Array:
    """The numbers of a repeated field of floats or doubles, packed or not."""
    kind = np.dtype("<f4" if wire is Wire.FOUR_BYTES else "<f8")
    for field in fields:
        if field.wire not in {wire, Wire.LENGTH} or len(field.content) % kind.itemsize:
            raise InvalidArgumentError(
                f"expected numbers of {kind.itemsize} bytes each in field {field.number}"
            )
    if len(fields) == 1:
        return np.frombuffer(fields[0].content, kind)
    return np.frombuffer(b"".join(field.content for field in fields), kind)


def read_text(fields: list[Field]) -> str:
    """The text of a field of which the last one counts; empty if there is none."""
    if not fields:
        return ""
    try:
        return str(bytes(fields[-1].content), "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"expected UTF-8 text in field {fields[-1].number}") from error


Value: TypeAlias = "str | Message"
"""A number, a name or a text without its quotes, or a message of its own."""

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<name>[A-Za-z_][\w.]*)|(?P<number>[-+]?[\d.][\w.+-]*)"""
    r"""|"(?P<text>(?:[^"\\\n]|\\.)*)"|'(?P<other>(?:[^'\\\n]|\\.)*)'|(?P<sign>[{}<>:;,\[\]])"""
)

DEEPEST = 32
"""Messages in messages; a real description has three."""

_CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message."""

    fields: dict[str, list[Value]]

    def messages(self, name: str) -> "list[Message]":
        """The messages of a field; none if it is missing."""
        found = self.fields.get(name, [])
        if any(isinstance(each, str) for each in found):
            raise InvalidArgumentError(f"expected a message in {name}, got a value")
        return [each for each in found if isinstance(each, Message)]

    def texts(self, name: str) -> list[str]:
        """The values of a field; none if it is missing."""
        found = self.fields.get(name, [])
        if any(isinstance(each, Message) for each in found):
            raise InvalidArgumentError(f"expected a value in {name}, got a message")
        return [each for each in found if isinstance(each, str)]

    def numbers(self, name: str) -> list[int]:
        """The whole numbers of a field; none if it is missing."""
        found = self.texts(name)
        for each in found:
            if not re.fullmatch(r"\d{1,9}", each):
                raise InvalidArgumentError(f"expected a whole number in {name}, got {each}")
        return [int(each) for each in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A word of the text."""

    kind: str
    word: str
    line: int


def parse_prototext(text: str) -> Message:
    """Reads a message in text form."""
    tokens = _split(text)
    # Read from the end of the list, which is the cheap one.
    tokens.reverse()
    return _read_fields(tokens, closing="", depth=0)


def _split(text: str) -> list[Token]:
    tokens, place, line = [], 0, 1
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise InvalidArgumentError(f"line {line}: expected a word, got {text[place]!r}")
        if found.lastgroup is not None:
            kind = "text" if found.lastgroup == "other" else found.lastgroup
            tokens.append(Token(kind=kind, word=str(found[found.lastgroup]), line=line))
        line += found[0].count("\n")
        place = found.end()
    return tokens


def _read_fields(tokens: list[Token], *, closing: str, depth: int) -> Message:
    fields: dict[str, list[Value]] = {}
    while tokens and not _is_sign(tokens, closing):
        name = take(tokens, "name")
        if _is_sign(tokens, "{<"):
            values: list[Value] = [_read_value(tokens, depth)]
        else:
            _expect(tokens, ":")
            values = (
                _read_list(tokens, depth) if _is_sign(tokens, "[") else [_read_value(tokens, depth)]
            )
        fields.setdefault(name.word, []).extend(values)
        if _is_sign(tokens, ";,"):
            tokens.pop()
    if closing:
        _expect(tokens, closing)
    return Message(fields=fields)


def _read_value(tokens: list[Token], depth: int) -> Value:
    if not _is_sign(tokens, "{<"):
        return take(tokens, "name", "number", "text").word
    opening = tokens.pop()
    if depth == DEEPEST:
        raise InvalidArgumentError(f"line {opening.line}: expected messages at most {DEEPEST} deep")
    return _read_fields(tokens, closing=_CLOSING[opening.word], depth=depth + 1)


def _read_list(tokens: list[Token], depth: int) -> list[Value]:
    _expect(tokens, "[")
    values: list[Value] = []
    while not _is_sign(tokens, "]"):
        values.append(_read_value(tokens, depth))
        if not _is_sign(tokens, "]"):
            _expect(tokens, ",")
    _expect(tokens, "]")
    return values


def _is_sign(tokens: list[Token], signs: str) -> bool:
    return bool(tokens) and tokens[-1].kind == "sign" and tokens[-1].word in signs


def _expect(tokens: list[Token], sign: str) -> None:
    if not _is_sign(tokens, sign):
        _complain(tokens, sign)
    tokens.pop()


def take(tokens: list[Token], *kinds: str) -> Token:
    """Takes a word of some kinds."""
    if not tokens or tokens[-1].kind not in kinds:
        _complain(tokens, f"a {' or '.join(kinds)}")
    return tokens.pop()


def _complain(tokens: list[Token], wanted: str) -> None:
    if not tokens:
        raise InvalidArgumentError(f"expected {wanted}, got the end of the text")
    token = tokens[-1]
    raise InvalidArgumentError(f"line {token.line}: expected {wanted}, got {token.word!r}")
