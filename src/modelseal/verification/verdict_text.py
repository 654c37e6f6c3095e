"""What a verdict says in whatever form it is written: facts, tables and their meaning."""

from importlib.metadata import version
from math import floor

import numpy as np

from modelseal.fingerprint.fingerprint import Fingerprint, format_level
from modelseal.tabular import Row, Table
from modelseal.types import PerInput
from modelseal.verdict import Evidence, Finding, Noticed, Outcome, Verdict, VerdictDocument

SEALED = {
    Outcome.INTACT: "Every sample of this check was answered as the sealed model answers it. That "
    "is strong evidence, no proof.",
    Outcome.TAMPERED: "A sample was answered otherwise than the sealed model answers it in any "
    "harmless way of running it that was tried at sealing: the weights, their precision or the "
    "preprocessing were changed.",
    Outcome.UNDECIDED: "Answers are missing or malformed, or not all samples were asked. Nothing "
    "is known of the model, and it must not be taken for intact.",
}

# Of a deployment whose answers vary.
ENROLLED = {
    Outcome.INTACT: "For every sample of this check the answer that was enrolled is still the most "
    "frequent one. That is strong evidence, no proof, and what was changed before the enrollment "
    "is not found.",
    Outcome.TAMPERED: "The answers differ from those of the enrolled deployment more often than "
    "chance explains, at the rate of false alarms that is stated: the model, its precision, its "
    "preprocessing or the machines that it runs on were changed since the enrollment.",
    Outcome.UNDECIDED: "Answers are missing or malformed, or as many queries as are allowed "
    "settled nothing. Nothing is known of the model, and it must not be taken for intact.",
}

_COUNTED = {Finding.AGREES: "agree", Finding.DIFFERS: "differ", Finding.UNCLEAR: "are unclear"}


def describe_meaning(document: VerdictDocument, outcome: Outcome) -> str:
    """What an outcome of this check says, which need not be that of the document."""
    meaning = (ENROLLED if document.statistics else SEALED)[outcome]
    if outcome is Outcome.INTACT and document.asked < document.samples:
        meaning += f" It is about {document.asked} of {document.samples} samples; what these alone "
        meaning += "notice was not measured."
    return meaning


def _describe_counts(verdict: Verdict) -> str:
    counts = ", ".join(f"{verdict.count(finding)} {word}" for finding, word in _COUNTED.items())
    return f"{len(verdict.evidence)} of {verdict.samples} samples asked: {counts}"


def describe_basis(verdict: Verdict) -> str:
    """On what a verdict rests, in one line beside its reason."""
    found = verdict.statistics
    if found is not None:
        look = f", over all looks of which this is number {found.look}" if found.look else ""
        return (
            f"{found.queries} queries: e-value {found.e_value:.3g} of {found.bar:.4g} for an "
            f"alarm, p-value {found.p_value:.2g}; false alarms at most "
            f"{100 * found.false_alarm_bound:g} %{look}"
        )
    answers = verdict.provenance.harmless_answers
    if answers is None or verdict.outcome is not Outcome.INTACT:
        return _describe_counts(verdict)
    if not answers:
        return "how many answers harmless differences change was never measured"
    return f"none of {answers} answers of harmless variants differed at sealing"


def facts_of(document: VerdictDocument) -> dict[str, str]:
    """What a verdict is about, by name: the same facts in every form, all of them as text."""
    return {
        "fingerprint": document.fingerprint,
        "weights digest": document.weights_digest,
        **({"signed by": document.signed_by} if document.signed_by else {}),
        "endpoint": document.endpoint,
        "time": document.time,
        "modelseal": document.modelseal,
        "outcome": document.outcome.value,
        "reason": document.reason,
        **statistics_of(document),
    }


def statistics_of(document: VerdictDocument) -> dict[str, str]:
    """What was counted of answers that vary, by name; empty if they were taken for fixed."""
    return {
        name.replace("_", " "): f"{value:.6g}" if isinstance(value, float) else str(value)
        for name, value in sorted((document.statistics or {}).items())
        if value is not None
    }


def unasked(document: VerdictDocument) -> list[int]:
    """The numbers of the samples that were not asked, in rising order."""
    asked = {entry.sample for entry in document.evidence}
    return [number for number in range(document.samples) if number not in asked]


def noticed_table(rules_out: tuple[Noticed, ...]) -> Table:
    """What the samples were seen to notice at sealing."""
    return Table(
        title="What the samples notice",
        note="What this verdict rules out, as far as it was tried at sealing: the smallest "
        "change of each kind that was noticed on every changed copy of the network, or how "
        "many copies were noticed; shares at 95 % confidence.",
        head=("change", "noticed from", "copies noticed", "share noticed"),
        rows=tuple(map(_noticed_row, rules_out)),
    )


def _noticed_row(limit: Noticed) -> Row:
    level = "" if limit.level is None else f"{format_level(limit.level)} {limit.unit}"
    # A lower bound is never rounded up.
    share = f"{floor(1000 * limit.at_least) / 10:.1f} % or more"
    count = f"{limit.noticed} of {limit.draws}"
    return limit.family, level, count, "the only one" if limit.fixed else share


def evidence_table(evidence: tuple[Evidence, ...], *, missing: int = 0) -> Table:
    """What each sample showed, and how many were not asked."""
    rows = [
        (str(entry.sample), entry.finding.value, entry.expected, entry.reason or entry.shown)
        for entry in evidence
    ]
    if missing:
        rows.append((f"{missing} more", "not asked", "", ""))
    return Table(
        title="Evidence",
        note="What each sample was expected to answer and what came, in the order of asking.",
        head=("sample", "finding", "expected", "shown"),
        rows=tuple(rows),
    )


_INSPECTION = "modelseal.inspection/1"


def inspect(fingerprint: Fingerprint) -> dict[str, object]:
    """What a fingerprint is for and how it was made; never what its samples are.

    Returns:
        A document of JSON's values, described in `docs/reference/json-documents.md`.
    """
    domain, origin = fingerprint.domain, fingerprint.origin
    return {
        "schema": _INSPECTION,
        "modelseal": version("modelseal"),
        "fingerprint": str(fingerprint.file),
        "domain": {
            "shape": list(domain.shape),
            "bounds": list(domain.bounds),
            "levels": domain.levels,
        },
        "classes": fingerprint.classes,
        "names": list(fingerprint.names),
        "spec": str(fingerprint.spec),
        "samples": len(fingerprint),
        "factor": fingerprint.factor,
        "margins": _spread(fingerprint.margins),
        "moves": _spread(fingerprint.moves),
        "psnr_db": _spread(fingerprint.psnr),
        "false_alarm_bound": fingerprint.false_alarm_bound,
        "power": [Noticed.model_validate(limit).model_dump() for limit in fingerprint.power],
        "origin": {
            "method": origin.method,
            "parameters": dict(origin.parameters),
            "seed": origin.seed,
            "variants": list(origin.variants),
            "harmless_answers": origin.harmless_answers,
            "weights_digest": origin.weights_digest,
            "packages": dict(origin.packages),
            "created": origin.created,
        },
        **_enrolment(fingerprint),
    }


def _enrolment(fingerprint: Fingerprint) -> dict[str, object]:
    document: dict[str, object] = {}
    enrolment = fingerprint.enrollment
    if fingerprint.neighbours is not None:
        document["neighbours"] = int((fingerprint.neighbours != 0).sum())
    if enrolment is not None:
        document["enrolment"] = {
            "endpoint": enrolment.endpoint,
            "created": enrolment.created,
            "alpha": enrolment.alpha,
            "repeats": enrolment.repeats,
            "asked": enrolment.asked,
            "differing": list(enrolment.differing),
            "otherwise": list(enrolment.otherwise),
        }
    return document


def _spread(values: PerInput) -> dict[str, float | None]:
    """The smallest, the middle and the largest value; nothing in place of an infinity."""
    numbers = {"min": values.min(), "median": np.median(values), "max": values.max()}
    return {
        name: float(number) if np.isfinite(number) else None for name, number in numbers.items()
    }
