"""What a server shows for one input, however it is laid out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from modelseal.endpoints.labelling import Labelling
from modelseal.endpoints.reading import JsonObject, list_at, name_of, to_array
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.shapes import Array

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
