"""What the parts of a fingerprint must satisfy, each said with the path to the wrong field."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite

import numpy as np

from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec
from modelseal.types import Array

MAX_CLASSES = 1_000_000
"""More scores than any classifier shows; a bound keeps a hostile file from asking for memory."""

WHOLE_NUMBERS = range(-(2**63), 2**63)
"""The whole numbers of a header: what every language reads back exactly as 64 bits."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

# A caller may have compared margin / move with the factor, where the product is compared here:
# the two differ by a few rounding errors of float64, 2e-16 each.
FACTOR_SLACK = 1e-9


def check_text(text: str, *, field: str) -> None:
    """Makes sure that a text is not empty and can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"valid Unicode was wanted, but {text!r} came", field=field
        ) from error
    if not text:
        raise InvalidArgumentError("a text was wanted, but an empty one came", field=field)


def check_texts(texts: Mapping[str, str], *, field: str) -> None:
    """Makes sure that all keys and values are texts that can be written."""
    for key, text in texts.items():
        check_text(key, field=f"{field}.{key!r}")
        check_text(text, field=f"{field}.{key}")


def check_parameters(parameters: Mapping[str, str | int | float], *, field: str) -> None:
    """Makes sure that all values are texts, 64-bit whole numbers or finite numbers."""
    for key, value in parameters.items():
        check_text(key, field=f"{field}.{key!r}")
        check_parameter(value, field=f"{field}.{key}")


def check_parameter(value: object, *, field: str) -> None:
    """Makes sure that a value is a text, a 64-bit whole number or a finite number."""
    match value:
        case str() if value:
            return check_text(value, field=field)
        case int() if not isinstance(value, bool) and value in WHOLE_NUMBERS:
            return None
        case float() if isfinite(value):
            return None
    raise InvalidArgumentError(
        f"a text, a whole number of 64 bits or a finite number was wanted, but {value!r} came",
        field=field,
    )


def check_range(value: object, allowed: range, *, field: str) -> None:
    """Makes sure that a whole number is in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise InvalidArgumentError(
            f"a whole number from {allowed.start} to {allowed.stop - 1} was wanted, "
            f"but {value!r} came",
            field=field,
        )


def check_digest(text: str, *, field: str) -> None:
    """Makes sure that a text is a SHA-256 digest with its name before it."""
    if not DIGEST.fullmatch(text):
        raise InvalidArgumentError(
            f"sha256: and 64 lower-case hexadecimal digits were wanted, but {text!r} came",
            field=field,
        )


def check_moment(text: str, *, field: str) -> None:
    """Makes sure that a text is a moment in UTC to the second, as RFC 3339 writes it."""
    try:
        valid = bool(MOMENT.fullmatch(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        valid = False
    if not valid:
        raise InvalidArgumentError(
            f"a moment such as 2026-11-23T10:00:00Z was wanted, but {text!r} came", field=field
        )


def check_names(names: tuple[str, ...], classes: int) -> None:
    """Makes sure that every class has a name, or none has."""
    if len(names) not in {0, classes}:
        raise InvalidArgumentError(
            f"one name for each of {classes} classes was wanted, but {len(names)} came",
            field="names",
        )
    for number, name in enumerate(names):
        check_text(name, field=f"names[{number}]")


def check_families(families: Sequence[str]) -> None:
    """Makes sure that no family of changes comes twice."""
    for number, family in enumerate(families):
        if family in families[:number]:
            raise InvalidArgumentError(
                f"each family was wanted once, but {family!r} came twice",
                field=f"power[{number}].family",
            )


def check_column(column: Array, count: int, *, kind: str, field: str) -> None:
    """Makes sure that an array holds one number of a kind for each sample.

    Args:
        column: The array.
        count: The number of samples.
        kind: The kind of number in numpy's letters: `f` for floating point, `iu` for whole.
        field: What the array is called.
    """
    if column.shape != (count,) or column.dtype.kind not in kind:
        wanted = "floating-point" if kind == "f" else "whole"
        raise InvalidArgumentError(
            f"{count} {wanted} numbers were wanted, but an array of shape {column.shape} "
            f"and type {column.dtype} came",
            field=field,
        )


def check_each(valid: Array, numbers: Array, *, wanted: str, field: str) -> None:
    """Makes sure that every number is valid, and names the first that is not.

    Args:
        valid: Whether each number is valid, in the shape of `numbers`.
        numbers: The numbers.
        wanted: What a valid one is.
        field: What the array is called.
    """
    wrong = np.argwhere(~valid)
    if len(wrong):
        place = "".join(f"[{index}]" for index in wrong[0])
        raise InvalidArgumentError(
            f"{wanted} was wanted, but {numbers[tuple(wrong[0])]} came", field=f"{field}{place}"
        )


def check_stability(margins: Array, moves: Array, factor: float) -> None:
    """Makes sure that every margin keeps its distance from the largest harmless move."""
    check_each(
        np.isfinite(margins) & (margins > 0),
        margins,
        wanted="a positive finite number",
        field="margins",
    )
    check_each(
        np.isfinite(moves) & (moves >= 0), moves, wanted="a finite number from 0", field="moves"
    )
    if not (isfinite(factor) and factor >= 1):
        raise InvalidArgumentError(
            f"a finite number from 1 was wanted, but {factor!r} came", field="factor"
        )
    check_each(
        margins >= moves.astype(np.float64) * factor * (1 - FACTOR_SLACK),
        margins,
        wanted=f"a margin of at least {factor!r} times the sample's move",
        field="margins",
    )


def check_expected(expected: Answers, spec: OutputSpec, *, count: int, classes: int) -> None:
    """Makes sure that expected answers are what a spec reveals of so many samples and classes."""
    form = form_of(spec, classes)
    if expected.kind is not form.kind:
        raise InvalidArgumentError(
            f"{form.kind.value} were wanted, but {expected.kind.value} came", field="expected"
        )
    check_part(expected.labels, form.labels, count=count, field="expected.labels")
    check_part(expected.values, form.values, count=count, field="expected.values")
    if expected.labels is not None:
        labels: Array = expected.labels
        known = (labels >= 0) & (labels < classes)
        check_each(known, labels, wanted=f"a label below {classes}", field="expected.labels")
    check_readable(expected, spec)


def form_of(spec: OutputSpec, classes: int) -> Answers:
    """What a spec shows of one row of so many scores, for its kind and shape."""
    check_range(classes, range(1, MAX_CLASSES + 1), field="classes")
    try:
        return spec.reveal(np.zeros((1, classes)))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="spec") from error


def check_part(part: Array | None, like: Array | None, *, count: int, field: str) -> None:
    """Makes sure that labels or values are there, of the right shape and kind, or are not."""
    wanted = None if like is None else (count, like.shape[1])
    came = None if part is None else part.shape
    if wanted != came:
        raise InvalidArgumentError(
            f"an array of shape {wanted} was wanted, but {came} came".replace("None", "none"),
            field=field,
        )
    if part is not None and like is not None and part.dtype.kind not in kinds(like):
        raise InvalidArgumentError(
            f"numbers like {like.dtype} were wanted, but {part.dtype} came", field=field
        )


def kinds(like: Array) -> str:
    """The kinds of number, in numpy's letters, that can stand where these stand."""
    return "f" if like.dtype.kind == "f" else "iu"


def check_readable(expected: Answers, spec: OutputSpec) -> None:
    """Makes sure that expected answers stay as they are when they are read as an answer."""
    try:
        again = spec.read(expected)
    except EndpointError as error:
        raise InvalidArgumentError(str(error), field="expected") from error
    if expected.values is not None:
        values: Array = expected.values
        same = np.asarray(values == again.values)
        check_each(same, values, wanted=f"a value as {spec} shows it", field="expected.values")
