"""Reads the text form of protobuf, in which a Caffe network is described.

What fields mean is not asked here, so that a description with layers of any kind can be read.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from modelseal.errors import InvalidArgumentError

Value: TypeAlias = "str | Message"
"""A number, a name or a text without its quotes, or a message of its own."""

TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<name>[A-Za-z_][\w.]*)|(?P<number>[-+]?[\d.][\w.+-]*)"""
    r"""|"(?P<text>(?:[^"\\\n]|\\.)*)"|'(?P<other>(?:[^'\\\n]|\\.)*)'|(?P<sign>[{}<>:;,\[\]])"""
)

DEEPEST = 32
"""Messages in messages; a real description has three."""

CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message.

    Args:
        fields: The values of each field by name, in the order of coming.
    """

    fields: dict[str, list[Value]]

    def messages(self, name: str) -> "list[Message]":
        """The messages of a field; none if it is missing.

        Raises:
            InvalidArgumentError: One is no message.
        """
        found = self.fields.get(name, [])
        if any(isinstance(each, str) for each in found):
            raise InvalidArgumentError(f"{name} needs a message, but is a value")
        return [each for each in found if isinstance(each, Message)]

    def texts(self, name: str) -> list[str]:
        """The values of a field; none if it is missing.

        Raises:
            InvalidArgumentError: One is a message.
        """
        found = self.fields.get(name, [])
        if any(isinstance(each, Message) for each in found):
            raise InvalidArgumentError(f"{name} needs a value, but is a message")
        return [each for each in found if isinstance(each, str)]

    def numbers(self, name: str) -> list[int]:
        """The whole numbers of a field; none if it is missing.

        Raises:
            InvalidArgumentError: One is something else, or too large for any size.
        """
        found = self.texts(name)
        for each in found:
            if not re.fullmatch(r"\d{1,9}", each):
                raise InvalidArgumentError(f"{name} needs a whole number, but is {each}")
        return [int(each) for each in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A word of the text.

    Args:
        kind: `name`, `number`, `text` or `sign`.
        word: What it says.
        line: Where it stands, from 1.
    """

    kind: str
    word: str
    line: int


def parse_prototext(text: str) -> Message:
    """Reads a message in text form.

    Raises:
        InvalidArgumentError: The text is no such message; the sentence names the line.
    """
    tokens = split(text)
    # Read from the end of the list, which is the cheap one.
    tokens.reverse()
    return read_fields(tokens, closing="", depth=0)


def split(text: str) -> list[Token]:
    """The words of a text, without spaces and comments.

    Raises:
        InvalidArgumentError: A character belongs to no word.
    """
    tokens, place, line = [], 0, 1
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise InvalidArgumentError(f"line {line}: {text[place]!r} was not expected")
        if found.lastgroup is not None:
            kind = "text" if found.lastgroup == "other" else found.lastgroup
            tokens.append(Token(kind=kind, word=str(found[found.lastgroup]), line=line))
        line += found[0].count("\n")
        place = found.end()
    return tokens


def read_fields(tokens: list[Token], *, closing: str, depth: int) -> Message:
    """The fields up to the end of their message, which are taken from the end of the words.

    Raises:
        InvalidArgumentError: They are no fields, or messages are in messages too deep.
    """
    fields: dict[str, list[Value]] = {}
    while tokens and not is_sign(tokens, closing):
        name = take(tokens, "name")
        if is_sign(tokens, "{<"):
            values: list[Value] = [read_value(tokens, depth)]
        else:
            expect(tokens, ":")
            values = (
                read_list(tokens, depth) if is_sign(tokens, "[") else [read_value(tokens, depth)]
            )
        fields.setdefault(name.word, []).extend(values)
        if is_sign(tokens, ";,"):
            tokens.pop()
    if closing:
        expect(tokens, closing)
    return Message(fields=fields)


def read_value(tokens: list[Token], depth: int) -> Value:
    """A message, or a word."""
    if not is_sign(tokens, "{<"):
        return take(tokens, "name", "number", "text").word
    opening = tokens.pop()
    if depth == DEEPEST:
        raise InvalidArgumentError(f"line {opening.line}: messages are more than {DEEPEST} deep")
    return read_fields(tokens, closing=CLOSING[opening.word], depth=depth + 1)


def read_list(tokens: list[Token], depth: int) -> list[Value]:
    """Values in brackets, with commas between."""
    expect(tokens, "[")
    values: list[Value] = []
    while not is_sign(tokens, "]"):
        values.append(read_value(tokens, depth))
        if not is_sign(tokens, "]"):
            expect(tokens, ",")
    expect(tokens, "]")
    return values


def is_sign(tokens: list[Token], signs: str) -> bool:
    """Whether the next word is one of some signs."""
    return bool(tokens) and tokens[-1].kind == "sign" and tokens[-1].word in signs


def expect(tokens: list[Token], sign: str) -> None:
    """Takes a sign.

    Raises:
        InvalidArgumentError: There is something else.
    """
    if not is_sign(tokens, sign):
        complain(tokens, sign)
    tokens.pop()


def take(tokens: list[Token], *kinds: str) -> Token:
    """Takes a word of some kinds.

    Raises:
        InvalidArgumentError: There is something else.
    """
    if not tokens or tokens[-1].kind not in kinds:
        complain(tokens, f"a {' or '.join(kinds)}")
    return tokens.pop()


def complain(tokens: list[Token], wanted: str) -> None:
    """Says what was wanted and what came.

    Raises:
        InvalidArgumentError: Always.
    """
    if not tokens:
        raise InvalidArgumentError(f"{wanted} was wanted, but the text ends")
    token = tokens[-1]
    raise InvalidArgumentError(f"line {token.line}: {wanted} was wanted, but is {token.word!r}")
