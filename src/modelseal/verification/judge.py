"""What one answer shows: whether it is usable, and whether it is the expected one."""

from enum import Enum
from typing import Protocol, cast, runtime_checkable

import numpy as np

from modelseal.errors import EndpointError
from modelseal.fingerprint.record import Fingerprint, tell_power
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import finite
from modelseal.outputs.specs import OutputSpec
from modelseal.types import Array
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge

CLASSES_SHOWN = 3
"""How many classes the text of an answer mentions where all of them have a number."""


@runtime_checkable
class Known(Protocol):
    """What answers are judged by: a fingerprint, or what was revealed of one."""

    @property
    def spec(self) -> OutputSpec:
        """What the endpoint shows of its scores."""
        ...

    @property
    def classes(self) -> int:
        """How many scores the network has."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every class; empty if they have none."""
        ...

    @property
    def expected(self) -> Answers:
        """What the sealed network shows of each sample."""
        ...


def examine(fingerprint: Known, number: int, answer: object) -> Evidence:
    """What the answer to one sample shows."""
    expected = fingerprint.expected.take(np.array([number]))
    try:
        # Numbers close to the largest that there are may overflow when they are compared.
        with np.errstate(over="ignore"):
            shown = fingerprint.spec.read(usable(answer, fingerprint.classes))
            agrees = fingerprint.spec.agree(expected, shown)[0]
    except EndpointError as error:
        return Evidence(
            sample=number,
            finding=Finding.UNCLEAR,
            expected=tell(expected, expected, fingerprint.names),
            reason=str(error) or "no answer came",
        )
    return Evidence(
        sample=number,
        finding=Finding.AGREES if agrees else Finding.DIFFERS,
        expected=tell(expected, shown, fingerprint.names),
        shown=tell(shown, expected, fingerprint.names),
    )


def usable(answer: object, classes: int) -> Answers:
    """The answer itself if it is one answer of a network with so many classes.

    Nothing is taken for granted: an endpoint may be anybody's class.

    Raises:
        EndpointError: It is not.
    """
    if isinstance(answer, EndpointError):
        raise answer
    if not isinstance(answer, Answers):
        raise EndpointError(f"an answer was wanted, but a {type(answer).__name__} came")
    fitting = (answer.labels is not None) == (answer.kind is Kind.LABELS)
    if not (fitting and isinstance(answer.kind, Kind)):
        raise EndpointError(f"an answer of parts that fit was wanted, but {answer.kind} came")
    if answer.labels is None:
        check_row(answer.values, "f", range(classes, classes + 1), what="scores")
        return answer
    check_row(answer.labels, "iu", range(1, classes + 1), what="labels")
    if answer.values is not None:
        width = answer.labels.shape[1]
        check_row(answer.values, "f", range(width, width + 1), what="values")
    if answer.labels.min() < 0 or answer.labels.max() >= classes:
        unknown = [int(label) for label in answer.labels[0] if not 0 <= label < classes]
        raise EndpointError(f"labels 0 to {classes - 1} were wanted, but {unknown[0]} came")
    return answer


def check_row(part: object, kinds: str, widths: range, *, what: str) -> None:
    """Makes sure that a part of an answer is one row of numbers.

    Args:
        part: What should be an array of shape (1, width).
        kinds: The kinds of number in numpy's letters: `f` for floating point, `iu` for whole.
        widths: The widths that are allowed.
        what: What the numbers are called.

    Raises:
        EndpointError: It is not.
    """
    if not isinstance(part, np.ndarray) or part.dtype.kind not in kinds:
        came = part.dtype if isinstance(part, np.ndarray) else type(part).__name__
        raise EndpointError(f"{what} as numbers were wanted, but {came} came")
    if part.ndim != 2 or len(part) != 1 or part.shape[1] not in widths:
        wanted = widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
        raise EndpointError(
            f"one row of {wanted} {what} was wanted, but an array of shape {part.shape} came"
        )
    # Where labels alone are compared, nobody looks at the numbers beside them.
    if part.dtype.kind == "f":
        finite(part)


def tell(answer: Answers, other: Answers, names: tuple[str, ...]) -> str:
    """One answer as short text, with the class names.

    Where every class has a number, the text mentions those that differ most from the other
    answer, or the highest if none differs.
    """
    classes, numbers, more = answer.labels, answer.values, ""
    if classes is None:
        classes = np.array([order(cast(Array, answer.values)[0], cast(Array, other.values)[0])])
        more = ", …" if classes.shape[1] > CLASSES_SHOWN else ""
        classes = classes[:, :CLASSES_SHOWN]
        numbers = np.take_along_axis(cast(Array, answer.values), classes, axis=1)
    words = [names[label] if names else str(label) for label in classes[0]]
    if numbers is not None:
        words = [f"{word}: {number:.12g}" for word, number in zip(words, numbers[0], strict=True)]
    return ", ".join(words) + more


def order(values: Array, others: Array) -> Array:
    """All classes: those that differ most first, then those with the highest value."""
    difference = np.abs(values.astype(np.float64) - others)
    return np.lexsort((-values, -difference))


NO_ANSWERS = 3
"""After so many questions in a row without an answer the endpoint is left alone."""


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
    """The verdict that the evidence supports, with its reason in one sentence.

    Args:
        fingerprint: What was asked.
        evidence: One entry for each sample that was asked, in the order of asking.
        stop: Why no further sample was asked; nothing if all were.
        chosen: The numbers of the samples that the check is about, if not about all.
    """
    outcome = judge(evidence, samples=len(fingerprint), chosen=chosen)
    missing = (len(fingerprint) if chosen is None else len(chosen)) - len(evidence)
    match outcome:
        case Outcome.INTACT:
            reason = intact(fingerprint, evidence)
        case Outcome.TAMPERED:
            reason = tampered(evidence)
        case Outcome.UNDECIDED:
            reason = undecided(fingerprint, evidence, missing=missing, stop=stop)
    return Verdict(
        outcome=outcome,
        samples=len(fingerprint),
        evidence=evidence,
        reason=reason,
        chosen=chosen,
    )


def intact(fingerprint: Fingerprint, evidence: tuple[Evidence, ...]) -> str:
    """Why a model is intact, what is known of how its answers vary, and what that rules out.

    What the samples were seen to notice holds for all of them together, so it is said only if all
    were asked.
    """
    answers = fingerprint.origin.harmless_answers
    known = (
        f"none of {answers} answers of harmless variants differed at sealing"
        if answers
        else "how many answers harmless differences change was never measured"
    )
    power = tell_power(fingerprint.power) if len(evidence) == len(fingerprint) else ""
    ruled_out = f"; rules out, as tried at sealing: {power}" if power else ""
    return f"{of(len(evidence), fingerprint)} answered as expected ({known}){ruled_out}"


def tampered(evidence: tuple[Evidence, ...]) -> str:
    """Why a model is tampered with: how many samples differ, and the first of them."""
    differing = [entry for entry in evidence if entry.finding is Finding.DIFFERS]
    first = differing[0]
    return (
        f"{len(differing)} of {len(evidence)} asked samples answered otherwise: sample "
        f"{first.sample} was to answer {first.expected}, but answered {first.shown}"
    )


def undecided(
    fingerprint: Fingerprint, evidence: tuple[Evidence, ...], *, missing: int, stop: Stop | None
) -> str:
    """Why nothing can be said: what is missing, why, and the first sample that is unclear."""
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    unasked = f"{missing} were not asked since {stop.value}" if missing and stop else ""
    if not unclear:
        kept = f"{of(len(evidence), fingerprint)} answered as expected"
        return f"{kept}, but {unasked or 'the others were not asked'}"
    first = unclear[0]
    return (
        f"{of(len(unclear), fingerprint)} gave no clear answer"
        f"{unasked and f', and {unasked}'}: sample {first.sample}: {first.reason}"
    )


def of(number: int, fingerprint: Fingerprint) -> str:
    """So many of all samples."""
    return f"{number} of {len(fingerprint)} samples"
