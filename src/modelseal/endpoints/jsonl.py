"""Answers as lines of JSON: how they are written, and how they are read back."""

import json
from dataclasses import dataclass, replace

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
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import finite
from modelseal.types import Array

RECORD = "modelseal.record/1"
"""The schema that the heading of a record names."""

LARGEST = 64 * 2**20
"""The largest file that is read, in bytes: 1,000 samples of 1,000 scores take a third of it."""

# No float64 has more decimal digits that say something than fit into this.
_MOST_DIGITS = 400

# The keys of a line that are no part of the answer, and those that it may have beside them.
_BESIDE = {"sample", "time", "digits"}
_FORMS = ({"labels"}, {"labels", "probabilities"}, {"probabilities"}, {"scores"})


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Line:
    """What one line says of a sample."""

    sample: int
    answer: Answers | None = None
    error: str = ""
    time: str | None = None


def to_object(answers: Answers, row: int) -> JsonObject:
    """One input's answer as the parts of a line, every number in full."""
    line: JsonObject = {}
    if answers.labels is not None:
        line["labels"] = answers.labels[row].tolist()
    if answers.values is not None:
        key = "scores" if answers.kind is Kind.SCORES else "probabilities"
        line[key] = finite(answers.values[row]).tolist()
    if answers.digits is not None:
        line["digits"] = answers.digits
    return line


def to_line(content: JsonObject) -> bytes:
    """An object as one line."""
    return f"{json.dumps(content, allow_nan=False)}\n".encode()


def read_lines(content: bytes, *, count: int, name: object) -> tuple[JsonObject, list[Line]]:
    """Reads recorded answers, in the order of their lines. Blank lines say nothing."""
    heading: JsonObject = {}
    lines = []
    for number, text in enumerate(content.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            found = read_object(text)
            if number == 1 and found.get("schema") == RECORD:
                heading = found
            else:
                lines.append(_read_line(found, count))
        except EndpointError as error:
            raise BadFileError(name, str(error), field=f"line {number}") from error
    return heading, lines


def _read_line(content: JsonObject, count: int) -> Line:
    sample = content.get("sample")
    if type(sample) is not int or not 0 <= sample < count:
        raise EndpointError(f"sample: expected 0 to {count - 1}, got {name_of(sample)}")
    time = text_at(content, "time") if "time" in content else None
    if "error" in content:
        error = text_at(content, "error") or "no answer came"
        return Line(sample=sample, error=error, time=time)
    return Line(sample=sample, answer=_read_answer(content), time=time)


def _read_answer(content: JsonObject) -> Answers:
    keys = content.keys() - _BESIDE
    if keys not in _FORMS:
        came = ", ".join(map(shorten, sorted(keys))) or "nothing"
        raise EndpointError(
            f"expected labels, labels and probabilities, probabilities or scores, got {came}"
        )
    answer = _to_answers({key: _read_numbers(content, key) for key in keys})
    return replace(answer, digits=_read_digits(content))


def _read_numbers(content: JsonObject, key: str) -> Array:
    """A row of at least one number, with a batch axis."""
    items = list_at(content, key)
    if not items:
        raise EndpointError(f"{key}: expected at least one number, got none")
    try:
        return to_array(items, np.dtype(np.int64 if key == "labels" else np.float64))[None]
    except EndpointError as error:
        raise error.at(key) from error


def _to_answers(parts: dict[str, Array]) -> Answers:
    if "scores" in parts:
        return Answers(kind=Kind.SCORES, values=parts["scores"])
    labels, values = parts.get("labels"), parts.get("probabilities")
    if labels is None:
        return Answers(kind=Kind.PROBABILITIES, values=values)
    if values is not None and values.shape != labels.shape:
        raise EndpointError(f"probabilities: expected {labels.size} numbers, got {values.size}")
    return Answers(kind=Kind.LABELS, labels=labels, values=values)


def _read_digits(content: JsonObject) -> int | None:
    """With how many decimal digits numbers came; nothing if the line does not say."""
    digits = content.get("digits")
    if "digits" not in content:
        return None
    if type(digits) is not int or not 0 <= digits <= _MOST_DIGITS:
        raise EndpointError(f"digits: expected 0 to {_MOST_DIGITS}, got {name_of(digits)}")
    return digits
