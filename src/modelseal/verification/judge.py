"""What one answer shows, and what all answers to a check together come to."""

from dataclasses import dataclass
from enum import Enum
from typing import cast

import numpy as np

from modelseal.errors import EndpointError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import finite
from modelseal.outputs.specs import OutputSpec
from modelseal.types import Array
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge

NO_ANSWERS = 3
"""After so many queries in a row without an answer the endpoint is left alone."""

_CLASSES_SHOWN = 3
"""How many classes the text of an answer mentions where all of them have a number."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Revealed:
    """What was revealed of a fingerprint, as far as answers are judged by it."""

    spec: OutputSpec
    classes: int
    names: tuple[str, ...]
    expected: Answers


def examine(fingerprint: Fingerprint | Revealed, number: int, answer: object) -> Evidence:
    """What the answer to one sample shows."""
    expected = fingerprint.expected.take(np.array([number]))
    try:
        shown = read_answer(fingerprint, answer)
        with np.errstate(over="ignore"):
            agrees = fingerprint.spec.agree(expected, shown)[0]
    except EndpointError as error:
        return Evidence(
            sample=number,
            finding=Finding.UNCLEAR,
            expected=describe_answer(expected, expected, fingerprint.names),
            reason=str(error) or "no answer came",
        )
    return Evidence(
        sample=number,
        finding=Finding.AGREES if agrees else Finding.DIFFERS,
        expected=describe_answer(expected, shown, fingerprint.names),
        shown=describe_answer(shown, expected, fingerprint.names),
    )


def read_answer(fingerprint: Fingerprint | Revealed, answer: object) -> Answers:
    """One answer in the form of the spec.

    Nothing is taken for granted: an endpoint may be anybody's class.
    """
    if isinstance(answer, EndpointError):
        raise answer
    if not isinstance(answer, Answers):
        raise EndpointError(f"expected an answer, got a {type(answer).__name__}")
    _check_parts(answer, fingerprint.classes)
    # Numbers close to the largest that there are may overflow when they are compared.
    with np.errstate(over="ignore"):
        return fingerprint.spec.read(answer)


def _check_parts(answer: Answers, classes: int) -> None:
    fitting = (answer.labels is not None) == (answer.kind is Kind.LABELS)
    if not (fitting and isinstance(answer.kind, Kind)):
        raise EndpointError(f"expected an answer of parts that fit, got {answer.kind}")
    if answer.labels is None:
        _check_row(answer.values, "f", range(classes, classes + 1), what="scores")
        return
    _check_row(answer.labels, "iu", range(1, classes + 1), what="labels")
    if answer.values is not None:
        width = answer.labels.shape[1]
        _check_row(answer.values, "f", range(width, width + 1), what="values")
    if answer.labels.min() < 0 or answer.labels.max() >= classes:
        unknown = [int(label) for label in answer.labels[0] if not 0 <= label < classes]
        raise EndpointError(f"expected labels 0 to {classes - 1}, got {unknown[0]}")


def _check_row(part: object, kinds: str, widths: range, *, what: str) -> None:
    """Checks one row of numbers; kinds are numpy's: `f` for floating point, `iu` for whole."""
    if not isinstance(part, np.ndarray) or part.dtype.kind not in kinds:
        got = part.dtype if isinstance(part, np.ndarray) else type(part).__name__
        raise EndpointError(f"expected {what} as numbers, got {got}")
    if part.ndim != 2 or len(part) != 1 or part.shape[1] not in widths:
        wanted = widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
        raise EndpointError(
            f"expected one row of {wanted} {what}, got an array of shape {part.shape}"
        )
    # Where labels alone are compared, nobody looks at the numbers beside them.
    if part.dtype.kind == "f":
        finite(part)


def describe_answer(answer: Answers, other: Answers, names: tuple[str, ...]) -> str:
    """One answer as short text, with the class names.

    Where every class has a number, the text mentions those that differ most from the other
    answer, or the highest if none differs.
    """
    classes, numbers, more = answer.labels, answer.values, ""
    if classes is None:
        values, others = cast(Array, answer.values)[0], cast(Array, other.values)[0]
        order = np.lexsort((-values, -np.abs(values.astype(np.float64) - others)))
        more = ", …" if len(order) > _CLASSES_SHOWN else ""
        classes = order[None, :_CLASSES_SHOWN]
        numbers = values[classes]
    words = [names[label] if names else str(label) for label in classes[0]]
    if numbers is not None:
        words = [f"{word}: {number:.12g}" for word, number in zip(words, numbers[0], strict=True)]
    return ", ".join(words) + more


class Stop(Enum):
    """Why no further sample was asked."""

    PROOF = "tampering was proven"
    SILENCE = f"{NO_ANSWERS} times in a row no answer came"
    TIME = "the time limit was over"
    BUDGET = "as many questions were asked as are allowed"


def conclude(
    fingerprint: Fingerprint,
    evidence: tuple[Evidence, ...],
    stop: Stop | None = None,
    *,
    chosen: tuple[int, ...] | None = None,
) -> Verdict:
    """The verdict that the evidence supports, with its reason in one sentence."""
    samples = len(fingerprint)
    outcome = judge(evidence, samples=samples, chosen=chosen)
    match outcome:
        case Outcome.INTACT:
            reason = f"{len(evidence)} of {samples} samples answered as expected"
        case Outcome.TAMPERED:
            reason = _tampered(evidence)
        case Outcome.UNDECIDED:
            missing = (samples if chosen is None else len(chosen)) - len(evidence)
            reason = _undecided(evidence, samples=samples, missing=missing, stop=stop)
    return Verdict(
        outcome=outcome, samples=samples, evidence=evidence, reason=reason, chosen=chosen
    )


def _tampered(evidence: tuple[Evidence, ...]) -> str:
    differing = [entry for entry in evidence if entry.finding is Finding.DIFFERS]
    first = differing[0]
    return (
        f"{len(differing)} of {len(evidence)} asked samples answered otherwise: sample "
        f"{first.sample} was to answer {first.expected}, but answered {first.shown}"
    )


def _undecided(
    evidence: tuple[Evidence, ...], *, samples: int, missing: int, stop: Stop | None
) -> str:
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    unasked = f"{missing} were not asked since {stop.value}" if missing and stop else ""
    if not unclear:
        kept = f"{len(evidence)} of {samples} samples answered as expected"
        return f"{kept}, but {unasked or 'the others were not asked'}"
    return (
        f"{len(unclear)} of {samples} samples gave no clear answer"
        f"{unasked and f', and {unasked}'}: sample {unclear[0].sample}: {unclear[0].reason}"
    )
