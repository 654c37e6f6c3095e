"""How a server tells classes: by number or by name."""

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

LONGEST = 19
"""The most digits that the number of a class is read with."""


class Naming(Enum):
    """What a label is."""

    INDEX = "index"
    NAME = "name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelling:
    """How classes are told.

    Args:
        classes: How many there are.
        names: What each is called; empty if they have no names.
        naming: Whether labels are numbers or names; None takes whole numbers for numbers, and
            texts for names if there are any.
        first: The number of the first class: 1 where counting begins with 1.

    Raises:
        InvalidArgumentError: The names are not one for each class, or names are wanted where
            there are none.
    """

    classes: int
    names: tuple[str, ...] = ()
    naming: Naming | None = None
    first: int = 0

    def __post_init__(self) -> None:
        if self.names and len(self.names) != self.classes:
            raise InvalidArgumentError(
                f"one name for each of {self.classes} classes was wanted, "
                f"but {len(self.names)} came"
            )
        if self.naming is Naming.NAME and not self.names:
            raise InvalidArgumentError("labels are names, but nobody says what the names are")

    def index(self, label: object) -> int:
        """The number of a class, from 0.

        Raises:
            EndpointError: There is no such class.
        """
        if isinstance(label, str) and self.names and self.naming is not Naming.INDEX:
            return self.find(label)
        if self.naming is Naming.NAME:
            raise EndpointError(f"the name of a class was wanted, but {name_of(label)} came")
        number = number_of(label)
        last = self.first + self.classes - 1
        if number is None or not self.first <= number <= last:
            raise EndpointError(
                f"a label from {self.first} to {last} was wanted, but {name_of(label)} came"
            )
        return number - self.first

    def find(self, name: str) -> int:
        """The number of the class of this name.

        Raises:
            EndpointError: There is none, or more than one.
        """
        count = self.names.count(name)
        if not count:
            raise EndpointError(f"the name of a class was wanted, but {shorten(name)!r} came")
        if count > 1:
            raise EndpointError(f"a name of one class was wanted, but {name!r} is that of {count}")
        return self.names.index(name)


def number_of(label: object) -> int | None:
    """The whole number that a label is, also as a text; nothing if it is none."""
    if isinstance(label, str):
        plain = label.isascii() and label.isdigit() and len(label) <= LONGEST
        return int(label) if plain else None
    return label if type(label) is int else None  # isinstance would take true for 1


DOUBLE = np.dtype(np.float64)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """How the answer to one input is read.

    Args:
        labelling: How classes are told.
        layout: How the answer is laid out; None tells it by its look.
        numbers: What its numbers are.
    """

    labelling: Labelling
    layout: Layout | None
    numbers: Numbers

    def read(self, entry: object) -> Answers:
        """Reads the answer to one input, as an answer with a batch axis of one.

        Raises:
            EndpointError: It is laid out otherwise, or holds an unknown label or no numbers.
        """
        match self.layout or self.look(entry):
            case Layout.SCORES:
                return self.every(self.numbered(as_list(entry, "scores")))
            case Layout.LABELS:
                labels = entry if isinstance(entry, list) else [entry]
                return Answers(kind=Kind.LABELS, labels=self.indices(labels)[None])
            case Layout.MAP:
                pairs = as_object(entry, "labels with their scores").items()
                return self.ranked([label for label, _ in pairs], [number for _, number in pairs])
            case Layout.PAIRS:
                rows = [pair(item) for item in as_list(entry, "labels with their scores")]
                return self.ranked([label for label, _ in rows], [number for _, number in rows])
        columns = as_object(entry, "labels and scores")
        return self.ranked(list_at(columns, "labels"), list_at(columns, "scores"))

    def look(self, entry: object) -> Layout:
        """How an answer seems to be laid out.

        Raises:
            EndpointError: It is nothing that could be an answer, or it could be two: what is taken
                for the wrong one would look like tampering.
        """
        classes = self.labelling.classes
        match entry:
            case [list(inner)] if len(inner) == classes and not any(map(is_text, inner)):
                raise EndpointError(
                    "an answer to one input was wanted, but a list around one came: `select` or "
                    "`layout` must say how to read it"
                )
            case [*items] if len(items) == classes and all(type(item) is int for item in items):
                # Who says that they are percentages has said that they are no labels.
                if self.numbers is not Numbers.PERCENT:
                    raise EndpointError(
                        f"{classes} whole numbers came, which may be scores or labels: `layout` "
                        "must say which"
                    )
        return look(entry)

    def every(self, values: Array) -> Answers:
        """The answer of a number for every class.

        Raises:
            EndpointError: There is none for some, or more than there are classes.
        """
        wanted = self.labelling.classes
        if len(values) != wanted:
            raise EndpointError(f"{wanted} scores were wanted, but {len(values)} came")
        scores = self.numbers is Numbers.SCORES
        return Answers(kind=Kind.SCORES if scores else Kind.PROBABILITIES, values=values[None])

    def ranked(self, labels: Sequence[object], numbers: Sequence[object]) -> Answers:
        """The answer of labels in any order, with a number for each.

        All classes with a number are scores; fewer are labels, best first, of which those are
        left out that share a place: what comes first of two that are equal means nothing.

        Raises:
            EndpointError: A label is unknown or comes twice, a number is none, or the best share
                their place.
        """
        if len(labels) != len(numbers):
            raise EndpointError(f"{len(labels)} scores were wanted, but {len(numbers)} came")
        indices, values = self.indices(labels), self.numbered(numbers)
        if len(indices) == self.labelling.classes:
            return self.every(values[np.argsort(indices)])
        order = np.argsort(-values, kind="stable")
        order = order[: places(values[order])]
        if not len(order):
            raise EndpointError("two labels share the first place: their shown scores are equal")
        scores = self.numbers is Numbers.SCORES
        shown = None if scores else values[order][None]
        return Answers(kind=Kind.LABELS, labels=indices[order][None], values=shown)

    def indices(self, labels: Sequence[object]) -> Array:
        """The classes of labels.

        Raises:
            EndpointError: There are none, one is unknown, or one comes twice.
        """
        if not labels:
            raise EndpointError("at least one label was wanted, but none came")
        if len(labels) > self.labelling.classes:
            raise EndpointError(
                f"{self.labelling.classes} labels at most were wanted, but {len(labels)} came"
            )
        found = [self.labelling.index(label) for label in labels]
        twice = next(
            (label for label, one in zip(labels, found, strict=True) if found.count(one) > 1), None
        )
        if twice is not None:
            raise EndpointError(f"different labels were wanted, but {name_of(twice)} came twice")
        return np.array(found, np.int64)

    def numbered(self, items: Sequence[object]) -> Array:
        """Numbers, with percentages as shares.

        Raises:
            EndpointError: One is no number, or not finite.
        """
        values = to_array(items, DOUBLE)
        return values / 100 if self.numbers is Numbers.PERCENT else values


def look(entry: object) -> Layout:
    """How an answer seems to be laid out; a list of numbers is scores.

    Raises:
        EndpointError: It is nothing that could be an answer.
    """
    match entry:
        case dict():
            return Layout.MAP
        case [dict() | list(), *_]:
            return Layout.PAIRS
        case [str(), *_] | str() | int():
            return Layout.LABELS
        case list():
            return Layout.SCORES
    raise EndpointError(f"labels or scores were wanted, but {name_of(entry)} came")


def is_text(item: object) -> bool:
    """Whether it is a text, as the name of a class is."""
    return isinstance(item, str)


def pair(item: object) -> tuple[object, object]:
    """A label and its number.

    Raises:
        EndpointError: It is something else.
    """
    match item:
        case {"label": label, "score": number} | [label, number]:
            return label, number
    raise EndpointError(f"a label and a score were wanted, but {name_of(item)} came")


def places(ordered: Array) -> int:
    """How many numbers, highest first, have a place of their own before the first that share one.

    The last of all may share its place with one that is not shown.
    """
    shared = np.flatnonzero(np.diff(ordered) == 0)
    return int(shared[0]) if len(shared) else len(ordered)


def as_list(entry: object, what: str) -> list[object]:
    """The entry itself if it is a list.

    Raises:
        EndpointError: It is not.
    """
    if not isinstance(entry, list):
        raise EndpointError(f"a list of {what} was wanted, but {name_of(entry)} came")
    return entry


def as_object(entry: object, what: str) -> JsonObject:
    """The entry itself if it is an object.

    Raises:
        EndpointError: It is not.
    """
    if not isinstance(entry, dict):
        raise EndpointError(f"an object of {what} was wanted, but {name_of(entry)} came")
    return entry


def answer(array: Array, *, count: int, shows: Kind) -> Answers:
    """Takes whole numbers as labels, and other numbers as scores or probabilities.

    Args:
        array: Labels of shape (count,) or (count, shown), or scores of shape (count, classes).
        count: How many inputs were asked.
        shows: What numbers with a fraction are: scores or probabilities.

    Raises:
        EndpointError: The array has another shape or type, or holds an infinity or NaN.

    Examples:
        >>> answer(np.array([3, 1]), count=2, shows=Kind.SCORES).describe(0)
        '3'
    """
    if array.dtype.kind in "iu":
        column = array[:, None] if array.ndim == 1 else array
        return Answers(kind=Kind.LABELS, labels=as_labels(rows(column, count, "labels")))
    if array.dtype.kind != "f":
        raise EndpointError(f"numbers were wanted, but {array.dtype} came")
    return Answers(kind=shows, values=finite(rows(array, count, "scores")))


def as_labels(array: Array) -> Array:
    """Whole numbers of any width as int64.

    Raises:
        EndpointError: One is too large to be a label.
    """
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise EndpointError(f"labels were wanted, but {array.max()} came")
    return array.astype(np.int64)


def rows(array: Array, count: int, what: str) -> Array:
    """The array itself if it has one row of at least one number for each input.

    Raises:
        EndpointError: It has another shape.
    """
    if array.ndim != 2 or len(array) != count or array.shape[1] < 1:
        raise EndpointError(
            f"{what} of shape ({count}, at least 1) were wanted, but shape {array.shape} came"
        )
    return array


def join(parts: Sequence[Answers]) -> Answers:
    """The answers of several batches as one.

    Raises:
        EndpointError: They do not show the same.
    """
    forms = {
        (part.kind, *(None if column is None else column.shape[1] for column in columns(part)))
        for part in parts
    }
    if len(forms) != 1:
        raise EndpointError("answers of one form were wanted, but they differ in kind or length")
    labels, values = zip(*map(columns, parts), strict=True)
    return Answers(kind=parts[0].kind, labels=stack(labels), values=stack(values))


def columns(part: Answers) -> tuple[Array | None, Array | None]:
    """The labels and the values of an answer."""
    return part.labels, part.values


def stack(arrays: Sequence[Array | None]) -> Array | None:
    """Arrays one below the other; nothing if there are none."""
    return None if arrays[0] is None else np.concatenate(cast(Sequence[Array], arrays))


def check_shows(shows: Kind) -> None:
    """Makes sure that numbers with a fraction can be of this kind.

    Raises:
        InvalidArgumentError: They cannot be labels.
    """
    if shows is Kind.LABELS:
        raise InvalidArgumentError("shows needs scores or probabilities, but is labels")


def trimmed(parts: Sequence[Answers]) -> list[Answers]:
    """Answers of labels cut to the length of the shortest, so that they make one.

    A server that shows all labels above a threshold shows more of them for one input than for
    another.
    """
    widths = [part.labels.shape[1] for part in parts if part.labels is not None]
    if len(widths) < len(parts):
        return list(parts)
    return [cut(part, min(widths)) for part in parts]


def cut(part: Answers, width: int) -> Answers:
    """The first labels of an answer, with their values."""
    labels, values = (None if column is None else column[:, :width] for column in columns(part))
    return Answers(kind=part.kind, labels=labels, values=values, digits=part.digits)


FAULTS = (
    JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What an expression raises on values that it was not made for."""


class Rows(Enum):
    """What is picked of an answer."""

    ALL = "a list with an entry for each input"
    ONE = "the entry for the one input"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerMapping:
    """How a JSON answer becomes labels, scores or probabilities.

    Args:
        labelling: How classes are told.
        select: Where the answer stands, as a JMESPath expression; `@` for all of it.
        layout: How the entry for an input is laid out; None tells it by its look.
        numbers: What the numbers are.
        rows: Whether the expression picks a list of entries or a single one.

    Raises:
        InvalidArgumentError: The expression is malformed.
    """

    labelling: Labelling
    select: str = "@"
    layout: Layout | None = None
    numbers: Numbers = Numbers.SCORES
    rows: Rows = Rows.ALL

    def __post_init__(self) -> None:
        try:
            jmespath.compile(self.select)
        except FAULTS as error:
            first = shorten(str(error).partition("\n")[0])
            raise InvalidArgumentError(
                f"a JMESPath expression was wanted, but {self.select!r} is none: {first}"
            ) from error

    def read(self, content: object, *, count: int) -> Answers:
        """Reads the answer to some inputs.

        Args:
            content: What came, as JSON.
            count: How many inputs were asked.

        Raises:
            EndpointError: It holds no usable answer to each of them.
        """
        picked = self.pick(content)
        entries = [picked] if self.rows is Rows.ONE else self.listed(picked, count)
        shown = Shown(labelling=self.labelling, layout=self.layout, numbers=self.numbers)
        return join(trimmed([self.read_entry(shown, *pair) for pair in enumerate(entries)]))

    def pick(self, content: object) -> object:
        """What the expression finds.

        Raises:
            EndpointError: It finds nothing, or cannot be used on what came.
        """
        try:
            picked = cast(object, jmespath.search(self.select, content))
        except FAULTS as error:
            first = shorten(str(error).partition("\n")[0])
            raise EndpointError(f"{self.select}: no answer was found there: {first}") from error
        if picked is None:
            raise EndpointError(f"{self.select}: an answer was wanted, but nothing came")
        return picked

    def listed(self, picked: object, count: int) -> Sequence[object]:
        """The entries of several inputs.

        Raises:
            EndpointError: They are no list, or of another number.
        """
        if not isinstance(picked, list):
            raise EndpointError(f"{self.select}: a list was wanted, but {name_of(picked)} came")
        if len(picked) != count:
            raise EndpointError(
                f"{self.select}: {count} answers were wanted, but {len(picked)} came"
            )
        return picked

    def read_entry(self, shown: Shown, number: int, entry: object) -> Answers:
        """Reads the answer to one input.

        Raises:
            EndpointError: It is no usable answer; the text says where it stands.
        """
        try:
            return shown.read(entry)
        except EndpointError as error:
            where = self.select if self.rows is Rows.ONE else f"{self.select}[{number}]"
            raise EndpointError(f"{where}: {error}") from error
