"""How a server's reply becomes labels, scores or probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

import jmespath
import numpy as np
from jmespath.exceptions import JMESPathError

from modelseal.endpoints.strict_json import JsonObject, list_at, name_of, shorten, to_array
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import finite
from modelseal.types import Array

_MOST_DIGITS = 19
_DOUBLE = np.dtype(np.float64)

# What an expression raises on values that it was not made for.
_JMESPATH_ERRORS = (
    JMESPathError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


class Naming(Enum):
    """What a label is."""

    INDEX = "index"
    NAME = "name"


class Layout(Enum):
    """How the answer to one input is laid out."""

    SCORES = "scores"
    """A list with a number for every class, in order."""
    LABELS = "labels"
    """One label, or a list of labels, best first."""
    MAP = "map"
    """An object that gives labels their numbers."""
    PAIRS = "pairs"
    """A list of objects with a label and a score, or of lists of both, in any order."""
    COLUMNS = "columns"
    """An object with a list of labels and one of scores, in any order."""


class Numbers(Enum):
    """What the numbers of an answer are."""

    SCORES = "scores"
    PROBABILITIES = "probabilities"
    PERCENT = "percent"


class Rows(Enum):
    """What is picked of a reply."""

    ALL = "a list with an entry for each input"
    ONE = "the entry for the one input"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFormat:
    """How a server names classes."""

    classes: int
    names: tuple[str, ...] = ()
    naming: Naming | None = None
    first: int = 0

    def __post_init__(self) -> None:
        if self.names and len(self.names) != self.classes:
            raise InvalidArgumentError(
                f"expected {self.classes} names, one for each class, got {len(self.names)}",
                field="names",
            )
        if self.naming is Naming.NAME and not self.names:
            raise InvalidArgumentError("expected names, since labels are names", field="names")

    def index(self, label: object) -> int:
        """The number of a class, from 0."""
        named = isinstance(label, str) and self.names and self.naming is not Naming.INDEX
        if named or self.naming is Naming.NAME:
            if self.names.count(cast(str, label)) != 1:
                raise EndpointError(f"expected the name of one class, got {name_of(label)}")
            return self.names.index(cast(str, label))
        number = number_of(label)
        last = self.first + self.classes - 1
        if number is None or not self.first <= number <= last:
            raise EndpointError(
                f"expected a label from {self.first} to {last}, got {name_of(label)}"
            )
        return number - self.first


def number_of(label: object) -> int | None:
    """The whole number that a label is, also as a text; nothing if it is none."""
    if isinstance(label, str):
        plain = label.isascii() and label.isdigit() and len(label) <= _MOST_DIGITS
        return int(label) if plain else None
    return label if type(label) is int else None  # isinstance would take true for 1


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerFormat:
    """How the JSON of a reply becomes labels, scores or probabilities."""

    labels: LabelFormat
    select: str = "@"
    layout: Layout | None = None
    numbers: Numbers = Numbers.SCORES
    rows: Rows = Rows.ALL

    def __post_init__(self) -> None:
        try:
            jmespath.compile(self.select)
        except _JMESPATH_ERRORS as error:
            first = shorten(str(error).partition("\n")[0])
            raise InvalidArgumentError(
                f"expected a JMESPath expression, got {self.select!r}: {first}", field="select"
            ) from error

    def read(self, content: object, *, count: int) -> Answers:
        """Reads the answer to some inputs."""
        picked = self._pick(content)
        entries = [picked] if self.rows is Rows.ONE else self._list(picked, count)
        answers = []
        for number, entry in enumerate(entries):
            try:
                answers.append(self._read_entry(entry))
            except EndpointError as error:
                place = "" if self.rows is Rows.ONE else f"[{number}]"
                raise error.at(f"{self.select}{place}") from error
        return join(_cut_to_shortest(answers))

    def _pick(self, content: object) -> object:
        try:
            picked = cast(object, jmespath.search(self.select, content))
        except _JMESPATH_ERRORS as error:
            first = shorten(str(error).partition("\n")[0])
            raise EndpointError(f"{self.select}: expected an answer, got: {first}") from error
        if picked is None:
            raise EndpointError(f"{self.select}: expected an answer, got nothing")
        return picked

    def _list(self, picked: object, count: int) -> list[object]:
        if not isinstance(picked, list):
            raise EndpointError(f"{self.select}: expected a list, got {name_of(picked)}")
        if len(picked) != count:
            raise EndpointError(f"{self.select}: expected {count} answers, got {len(picked)}")
        return picked

    def _read_entry(self, entry: object) -> Answers:
        """Reads the answer to one input, as an answer with a batch axis of one."""
        match self.layout or self._guess_layout(entry):
            case Layout.SCORES:
                return self._scores(self._array(_as_list(entry, "scores")))
            case Layout.LABELS:
                labels = entry if isinstance(entry, list) else [entry]
                return Answers(kind=Kind.LABELS, labels=self._indices(labels)[None])
            case Layout.MAP:
                scored = _as_object(entry, "labels with their scores")
                return self._ranked(list(scored), list(scored.values()))
            case Layout.PAIRS:
                rows = [_as_pair(item) for item in _as_list(entry, "labels with their scores")]
                return self._ranked([label for label, _ in rows], [number for _, number in rows])
        columns = _as_object(entry, "labels and scores")
        return self._ranked(list_at(columns, "labels"), list_at(columns, "scores"))

    def _guess_layout(self, entry: object) -> Layout:
        """How an answer seems to be laid out.

        What could be two things is refused: taken for the wrong one it would look like tampering.
        """
        classes = self.labels.classes
        match entry:
            case dict():
                return Layout.MAP
            case [list(inner)] if len(inner) == classes and not any(
                isinstance(item, str) for item in inner
            ):
                raise EndpointError(
                    "expected an answer to one input, got a list around one: set `select` or "
                    "`layout`"
                )
            case [dict() | list(), *_]:
                return Layout.PAIRS
            case [str(), *_] | str() | int():
                return Layout.LABELS
            # Whoever says that they are percentages has said that they are no labels.
            case [*items] if (
                len(items) == classes
                and all(type(item) is int for item in items)
                and self.numbers is not Numbers.PERCENT
            ):
                raise EndpointError(
                    f"expected scores or labels, got {classes} whole numbers, which may be "
                    "either: set `layout`"
                )
            case list():
                return Layout.SCORES
        raise EndpointError(f"expected labels or scores, got {name_of(entry)}")

    def _scores(self, values: Array) -> Answers:
        classes = self.labels.classes
        if len(values) != classes:
            raise EndpointError(f"expected {classes} scores, got {len(values)}")
        scores = self.numbers is Numbers.SCORES
        return Answers(kind=Kind.SCORES if scores else Kind.PROBABILITIES, values=values[None])

    def _ranked(self, labels: Sequence[object], numbers: Sequence[object]) -> Answers:
        """The answer of labels in any order, with a number for each.

        All classes with a number are scores; fewer are labels, best first, of which those are
        left out that share a place: what comes first of two that are equal means nothing.
        """
        if len(labels) != len(numbers):
            raise EndpointError(f"expected {len(labels)} scores, got {len(numbers)}")
        indices, values = self._indices(labels), self._array(numbers)
        if len(indices) == self.labels.classes:
            return self._scores(values[np.argsort(indices)])
        order = np.argsort(-values, kind="stable")
        order = order[: _count_places(values[order])]
        if not len(order):
            raise EndpointError("expected a best label, got two that share the first place")
        scores = self.numbers is Numbers.SCORES
        shown = None if scores else values[order][None]
        return Answers(kind=Kind.LABELS, labels=indices[order][None], values=shown)

    def _indices(self, labels: Sequence[object]) -> Array:
        classes = self.labels.classes
        if not 1 <= len(labels) <= classes:
            raise EndpointError(f"expected 1 to {classes} labels, got {len(labels)}")
        found = [self.labels.index(label) for label in labels]
        for label, index in zip(labels, found, strict=True):
            if found.count(index) > 1:
                raise EndpointError(f"expected different labels, got {name_of(label)} twice")
        return np.array(found, np.int64)

    def _array(self, items: Sequence[object]) -> Array:
        values = to_array(items, _DOUBLE)
        return values / 100 if self.numbers is Numbers.PERCENT else values


def _as_list(entry: object, what: str) -> list[object]:
    if not isinstance(entry, list):
        raise EndpointError(f"expected a list of {what}, got {name_of(entry)}")
    return entry


def _as_object(entry: object, what: str) -> JsonObject:
    if not isinstance(entry, dict):
        raise EndpointError(f"expected an object of {what}, got {name_of(entry)}")
    return entry


def _as_pair(item: object) -> tuple[object, object]:
    match item:
        case {"label": label, "score": number} | [label, number]:
            return label, number
    raise EndpointError(f"expected a label and a score, got {name_of(item)}")


def _count_places(ordered: Array) -> int:
    """How many numbers, highest first, have a place of their own before the first that share one.

    The last of all may share its place with one that is not shown.
    """
    shared = np.flatnonzero(np.diff(ordered) == 0)
    return int(shared[0]) if len(shared) else len(ordered)


def array_answers(array: Array, *, count: int, shows: Kind) -> Answers:
    """Takes whole numbers as labels, and other numbers as scores or probabilities.

    Examples:
        >>> array_answers(np.array([3, 1]), count=2, shows=Kind.SCORES).describe(0)
        '3'
    """
    if array.dtype.kind not in "iuf":
        raise EndpointError(f"expected numbers, got {array.dtype}")
    labels = array.dtype.kind != "f"
    rows = array[:, None] if labels and array.ndim == 1 else array
    if rows.ndim != 2 or len(rows) != count or rows.shape[1] < 1:
        what = "labels" if labels else "scores"
        raise EndpointError(f"expected {what} of shape ({count}, 1 or more), got {rows.shape}")
    if not labels:
        return Answers(kind=shows, values=finite(rows))
    if rows.dtype == np.uint64 and rows.max() > np.iinfo(np.int64).max:
        raise EndpointError(f"expected labels, got {rows.max()}")
    return Answers(kind=Kind.LABELS, labels=rows.astype(np.int64))


def check_shows(shows: Kind) -> None:
    """Makes sure that numbers with a fraction can be of this kind."""
    if shows is Kind.LABELS:
        raise InvalidArgumentError("expected scores or probabilities, got labels", field="shows")


def join(parts: Sequence[Answers]) -> Answers:
    """The answers of several batches as one."""
    forms = {
        (part.kind, *(None if column is None else column.shape[1] for column in columns(part)))
        for part in parts
    }
    if len(forms) != 1:
        raise EndpointError("expected answers of one form, got some of another kind or length")
    labels, values = zip(*map(columns, parts), strict=True)
    return Answers(kind=parts[0].kind, labels=_stack(labels), values=_stack(values))


def columns(part: Answers) -> tuple[Array | None, Array | None]:
    """The labels and the values of an answer."""
    return part.labels, part.values


def _stack(arrays: Sequence[Array | None]) -> Array | None:
    return None if arrays[0] is None else np.concatenate(cast(Sequence[Array], arrays))


def _cut_to_shortest(parts: Sequence[Answers]) -> list[Answers]:
    """Answers of labels cut to the length of the shortest, so that they make one.

    A server that shows all labels above a threshold shows more of them for one input than for
    another.
    """
    widths = [part.labels.shape[1] for part in parts if part.labels is not None]
    if len(widths) < len(parts):
        return list(parts)
    return [_cut(part, min(widths)) for part in parts]


def _cut(part: Answers, width: int) -> Answers:
    labels, values = (None if column is None else column[:, :width] for column in columns(part))
    return Answers(kind=part.kind, labels=labels, values=values, digits=part.digits)
