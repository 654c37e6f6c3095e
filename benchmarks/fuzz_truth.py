"""Whether fuzzed answers say what is expected: an own, slow and obvious reading of them.

It asks for less than modelseal does, so that it never blames an intact verdict that is deserved,
and it shares no code with it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.specs import (
    OutputSpec,
    Probabilities,
    RawScores,
    TopLabels,
    TopProbabilities,
)
from modelseal.types import Array

OUTPUT_TYPES = {"INT64": "<i8", "INT32": "<i4", "FP64": "<f8", "FP32": "<f4", "UINT8": "u1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """One response of a server."""

    data: bytes
    length: str = ""


def same(fingerprint: Fingerprint, number: int, numbers: Sequence[float], *, whole: bool) -> bool:
    """Whether numbers say what is expected of a sample: slow, obvious, and lenient in all else.

    Args:
        fingerprint: What is expected.
        number: Of which sample.
        numbers: What came.
        whole: Whether they are labels.
    """
    if not np.isfinite(np.array(numbers, np.float64)).all():
        return False
    order = [int(n) for n in numbers] if whole else sorted_classes(numbers)
    labels, values = fingerprint.expected.labels, fingerprint.expected.values
    wanted = None if labels is None else order[: labels.shape[1]] == labels[number].tolist()
    if isinstance(fingerprint.spec, TopLabels):
        return bool(wanted)
    if whole or len(numbers) != fingerprint.classes or values is None:
        return False
    if wanted is not None:
        numbers = [numbers[place] for place in order[: len(values[number])]]
    return wanted is not False and close(values[number], numbers, distance(fingerprint.spec))


def distance(spec: OutputSpec) -> float:
    """How far numbers may be from what is expected: a unit of the last digit at the most."""
    if isinstance(spec, RawScores):
        return spec.tolerance
    return 10.0**-spec.digits if isinstance(spec, Probabilities | TopProbabilities) else 0.0


def sorted_classes(numbers: Sequence[float]) -> list[int]:
    """The places of numbers, the highest first."""
    return sorted(range(len(numbers)), key=lambda place: -numbers[place])


def close(wanted: Sequence[float], came: Sequence[float], distance: float) -> bool:
    """Whether all pairs of numbers are near to one another."""
    return len(wanted) == len(came) and all(
        abs(one - other) <= distance * (1 + 1e-9) for one, other in zip(wanted, came, strict=True)
    )


def deserved(fingerprint: Fingerprint, number: int, body: Body) -> bool:
    """Whether some output in a body says what is expected of a sample."""
    head = body.data[: int(body.length)] if body.length.isdigit() else body.data
    try:
        outputs = json.loads(head)["outputs"]
        return any(said(fingerprint, number, each, body.data[len(head) :]) for each in outputs)
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
        return False


def said(fingerprint: Fingerprint, number: int, output: dict[str, Any], data: bytes) -> bool:
    """Whether one output says what is expected of a sample."""
    dtype = OUTPUT_TYPES.get(output["datatype"], "<f8")
    numbers = output.get("data")
    flat = np.frombuffer(data, dtype) if numbers is None else np.array(numbers).ravel()
    whole = str(output["datatype"]).startswith(("INT", "UINT"))
    return same(fingerprint, number, flat.tolist(), whole=whole)


def recorded_right(fingerprint: Fingerprint, path: Path, number: int) -> bool:
    """Whether some line of a file says what is expected of a sample."""
    for line in path.read_bytes().split(b"\n"):
        try:
            content = json.loads(line)
            if content["sample"] == number and line_right(fingerprint, number, content):
                return True
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
            continue
    return False


def line_right(fingerprint: Fingerprint, number: int, content: dict[str, Any]) -> bool:
    """Whether one line says what is expected of a sample."""
    spec, expected = fingerprint.spec, fingerprint.expected
    if isinstance(spec, TopProbabilities):
        labels, values = cast(Array, expected.labels)[number], cast(Array, expected.values)[number]
        near = close(values, content["probabilities"][: spec.count], 10.0**-spec.digits)
        return content["labels"][: spec.count] == labels.tolist() and near
    key = next(
        key for key in ("labels", "probabilities", "scores", "") if key in content or not key
    )
    return same(fingerprint, number, content[key], whole=key == "labels")


def object_right(fingerprint: Fingerprint, number: int, answer: object) -> bool:
    """Whether an object says what is expected of a sample."""
    part = getattr(answer, "labels", None)
    whole = part is not None
    values = part if whole else getattr(answer, "values", None)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        return False
    if isinstance(fingerprint.spec, TopProbabilities) and whole:
        probabilities = getattr(answer, "values", None)
        return isinstance(probabilities, np.ndarray)
    return same(fingerprint, number, values.ravel().tolist(), whole=whole)
