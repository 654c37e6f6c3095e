"""Answers as lines of JSON: how they are written, and how they are read back."""

import json
from dataclasses import replace

import numpy as np

from modelseal.endpoints.strict_json import (
    JsonObject,
    list_at,
    name_of,
    read_object,
    shorten,
    text_at,
    to_array,
)
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import finite
from modelseal.types import Array

RECORD = "modelseal.record/1"
"""The schema that the heading of a record names."""

MOST_DIGITS = 400
"""No float64 has more decimal digits that say something than fit into this."""

BESIDE = {"sample", "time", "digits"}
"""The keys of a line that are no part of the answer."""

FORMS = ({"labels"}, {"labels", "probabilities"}, {"probabilities"}, {"scores"})
"""The keys that a line may have beside its sample."""


def to_line(answers: Answers, row: int) -> str:
    """One input's answer as one line, every number in full.

    Raises:
        EndpointError: A number is an infinity or NaN.
    """
    return json.dumps({"sample": row, **to_object(answers, row)})


def to_object(answers: Answers, row: int) -> JsonObject:
    """One input's answer as the parts of a line, every number in full.

    Raises:
        EndpointError: A number is an infinity or NaN.
    """
    line: JsonObject = {}
    if answers.labels is not None:
        line["labels"] = answers.labels[row].tolist()
    if answers.values is not None:
        key = "scores" if answers.kind is Kind.SCORES else "probabilities"
        line[key] = finite(answers.values[row]).tolist()
    if answers.digits is not None:
        line["digits"] = answers.digits
    return line


def read_entry(line: bytes, count: int, *, heading: bool) -> tuple[int, Answers] | None:
    """Reads one line: the sample's number and what was shown for it; nothing if it holds none.

    Args:
        line: The line.
        count: How many samples there are.
        heading: Whether the line may be the heading of a record.

    Raises:
        EndpointError: The line is malformed, or there is no such sample.
    """
    if not line.strip():
        return None
    content = read_object(line)
    if heading and content.get("schema") == RECORD:
        return None
    sample = read_sample(content, count)
    if "error" not in content:
        return sample, read_shown(content)
    text_at(content, "error")
    return None


def read_sample(content: JsonObject, count: int) -> int:
    """The number of the sample that a line is about.

    Raises:
        EndpointError: There is no such sample, or the time is no text.
    """
    sample = content.get("sample")
    if type(sample) is not int or not 0 <= sample < count:
        raise EndpointError(f"sample: 0 to {count - 1} was wanted, but {name_of(sample)} came")
    if "time" in content:
        text_at(content, "time")
    return sample


def read_shown(content: JsonObject) -> Answers:
    """What a line says that was shown.

    Raises:
        EndpointError: It is malformed.
    """
    parts = {key: part for key, part in content.items() if key not in BESIDE}
    if set(parts) not in FORMS:
        keys = ", ".join(map(shorten, parts)) or "nothing"
        raise EndpointError(
            f"labels, labels and probabilities, probabilities or scores were wanted, not {keys}"
        )
    shown = to_answers({key: read_numbers(content, key) for key in parts})
    return replace(shown, digits=read_digits(content))


def read_digits(content: JsonObject) -> int | None:
    """With how many decimal digits numbers came; nothing if the line does not say.

    Raises:
        EndpointError: It says something else.
    """
    if "digits" not in content:
        return None
    digits = content["digits"]
    if type(digits) is not int or not 0 <= digits <= MOST_DIGITS:
        raise EndpointError(f"digits: 0 to {MOST_DIGITS} was wanted, but {name_of(digits)} came")
    return digits


def read_numbers(content: JsonObject, key: str) -> Array:
    """A row of numbers, with a batch axis.

    Raises:
        EndpointError: There is no list, an empty one, or one of other things.
    """
    items = list_at(content, key)
    if not items:
        raise EndpointError(f"{key}: at least one number was wanted, but none came")
    try:
        return to_array(items, np.dtype(np.int64 if key == "labels" else np.float64))[None]
    except EndpointError as error:
        raise EndpointError(f"{key}: {error}") from error


def to_answers(parts: dict[str, Array]) -> Answers:
    """The parts of one line as an answer.

    Raises:
        EndpointError: Labels and probabilities are not of one number.
    """
    if "scores" in parts:
        return Answers(kind=Kind.SCORES, values=parts["scores"])
    labels, values = parts.get("labels"), parts.get("probabilities")
    if labels is None:
        return Answers(kind=Kind.PROBABILITIES, values=values)
    if values is not None and values.shape != labels.shape:
        raise EndpointError(
            f"probabilities: {labels.size} numbers were wanted, but {values.size} came"
        )
    return Answers(kind=Kind.LABELS, labels=labels, values=values)
