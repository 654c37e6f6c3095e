"""What the parts of a fingerprint must satisfy, each said with the path to the wrong field."""

import re
from collections.abc import Sequence
from datetime import datetime
from math import isfinite

import numpy as np

from modelseal.errors import EndpointError, InvalidArgumentError, unexpected
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec
from modelseal.types import Array

# More scores than any classifier shows; a bound keeps a hostile file from asking for memory.
MAX_CLASSES = 1_000_000

# The whole numbers of a header: what every language reads back exactly as 64 bits.
WHOLE_NUMBERS = range(-(2**63), 2**63)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

# A caller may have compared margin / move with the factor, where the product is compared here:
# the two differ by a few rounding errors of float64, 2e-16 each.
_FACTOR_SLACK = 1e-9


def check_names(names: tuple[str, ...], classes: int) -> None:
    """Makes sure that every class has a name, or none has."""
    if len(names) not in {0, classes}:
        raise unexpected(f"one name for each of {classes} classes", len(names), field="names")
    for number, name in enumerate(names):
        check_text(name, field=f"names[{number}]")


def check_expected(expected: Answers, spec: OutputSpec, *, count: int, classes: int) -> None:
    """Makes sure that expected answers are what a spec reveals of so many samples and classes."""
    form = form_of(spec, classes)
    if expected.kind is not form.kind:
        raise unexpected(form.kind.value, expected.kind.value, field="expected")
    _check_part(expected.labels, form.labels, count=count, field="expected.labels")
    _check_part(expected.values, form.values, count=count, field="expected.values")
    if expected.labels is not None:
        labels: Array = expected.labels
        known = (labels >= 0) & (labels < classes)
        check_each(known, labels, wanted=f"a label below {classes}", field="expected.labels")
    try:
        again = spec.read(expected)
    except EndpointError as error:
        raise InvalidArgumentError(str(error), field="expected") from error
    if expected.values is not None:
        values: Array = expected.values
        same = np.asarray(values == again.values)
        check_each(same, values, wanted=f"a value as {spec} shows it", field="expected.values")


def form_of(spec: OutputSpec, classes: int) -> Answers:
    """What a spec shows of one row of so many scores, for its kind and shape."""
    check_range(classes, range(1, MAX_CLASSES + 1), field="classes")
    try:
        return spec.reveal(np.zeros((1, classes)))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="spec") from error


def check_text(text: str, *, field: str) -> None:
    """Makes sure that a text is not empty and can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise unexpected("valid Unicode", repr(text), field=field) from error
    if not text:
        raise unexpected("a text", "an empty one", field=field)


def check_parameter(value: object, *, field: str) -> None:
    """Makes sure that a value is a text, a 64-bit whole number or a finite number."""
    match value:
        case str() if value:
            return check_text(value, field=field)
        case int() if not isinstance(value, bool) and value in WHOLE_NUMBERS:
            return None
        case float() if isfinite(value):
            return None
    raise unexpected(
        "a text, a whole number of 64 bits or a finite number", repr(value), field=field
    )


def check_range(value: object, allowed: range, *, field: str) -> None:
    """Makes sure that a whole number is in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        wanted = f"a whole number from {allowed.start} to {allowed.stop - 1}"
        raise unexpected(wanted, repr(value), field=field)


def check_moment(text: str, *, field: str) -> None:
    """Makes sure that a text is a moment in UTC to the second, as RFC 3339 writes it."""
    try:
        valid = bool(_MOMENT.fullmatch(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        valid = False
    if not valid:
        raise unexpected("a moment such as 2026-11-23T10:00:00Z", repr(text), field=field)


def check_column(column: Array, count: int, *, kind: str, field: str) -> None:
    """Makes sure that there is one number for each sample, of numpy's kind `f` or `iu`."""
    if column.shape != (count,) or column.dtype.kind not in kind:
        wanted = f"{count} {'floating-point' if kind == 'f' else 'whole'} numbers"
        raise unexpected(wanted, f"{column.dtype} of shape {column.shape}", field=field)


def _check_part(part: Array | None, like: Array | None, *, count: int, field: str) -> None:
    wanted = None if like is None else (count, like.shape[1])
    came = None if part is None else part.shape
    if wanted != came:
        raise unexpected(f"an array of shape {wanted}", came, field=field)
    if part is None or like is None:
        return
    if part.dtype.kind not in ("f" if like.dtype.kind == "f" else "iu"):
        raise unexpected(f"numbers like {like.dtype}", f"those of {part.dtype}", field=field)


def check_each(valid: Array, numbers: Array, *, wanted: str, field: str) -> None:
    """Names the first number that is not valid."""
    wrong = np.argwhere(~valid)
    if len(wrong):
        place = "".join(f"[{index}]" for index in wrong[0])
        raise unexpected(wanted, numbers[tuple(wrong[0])], field=f"{field}{place}")


def check_stability(margins: Array, moves: Array, factor: float) -> None:
    """Makes sure that every margin keeps its distance from the largest harmless move."""
    positive = np.isfinite(margins) & (margins > 0)
    check_each(positive, margins, wanted="a positive finite number", field="margins")
    finite = np.isfinite(moves) & (moves >= 0)
    check_each(finite, moves, wanted="a finite number from 0", field="moves")
    if not (isfinite(factor) and factor >= 1):
        raise unexpected("a finite number from 1", factor, field="factor")
    kept = margins >= moves.astype(np.float64) * factor * (1 - _FACTOR_SLACK)
    wanted = f"a margin of at least {factor!r} times the sample's move"
    check_each(kept, margins, wanted=wanted, field="margins")


def check_families(families: Sequence[str]) -> None:
    """Makes sure that no family of changes comes twice."""
    for number, family in enumerate(families):
        if family in families[:number]:
            field = f"power[{number}].family"
            raise unexpected("each family once", f"{family!r} twice", field=field)


def check_digest(text: str, *, field: str) -> None:
    """Makes sure that a text is a SHA-256 digest with its name before it."""
    if not _DIGEST.fullmatch(text):
        wanted = "sha256: and 64 lower-case hexadecimal digits"
        raise unexpected(wanted, repr(text), field=field)
