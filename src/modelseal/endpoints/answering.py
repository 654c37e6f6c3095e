"""From an array of numbers to an answer."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparing import finite
from modelseal.shapes import Array


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
