"""The verdict that evidence supports, with its reason in one sentence."""

from enum import Enum

from modelseal.fingerprint.power import tell_power
from modelseal.fingerprint.record import Fingerprint
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge

NO_ANSWERS = 3
"""After so many questions in a row without an answer the endpoint is left alone."""


class Stop(Enum):
    """Why no further sample was asked."""

    PROOF = "tampering was proven"
    SILENCE = f"{NO_ANSWERS} times in a row no answer came"
    TIME = "the time limit was over"


def conclude(
    fingerprint: Fingerprint, evidence: tuple[Evidence, ...], stop: Stop | None = None
) -> Verdict:
    """The verdict that the evidence supports, with its reason in one sentence.

    Args:
        fingerprint: What was asked.
        evidence: One entry for each sample that was asked, in the order of asking.
        stop: Why no further sample was asked; nothing if all were.
    """
    outcome = judge(evidence, samples=len(fingerprint))
    match outcome:
        case Outcome.INTACT:
            reason = intact(fingerprint, evidence)
        case Outcome.TAMPERED:
            reason = tampered(evidence)
        case Outcome.UNDECIDED:
            reason = undecided(fingerprint, evidence, stop)
    return Verdict(outcome=outcome, samples=len(fingerprint), evidence=evidence, reason=reason)


def intact(fingerprint: Fingerprint, evidence: tuple[Evidence, ...]) -> str:
    """Why a model is intact, what is known of how its answers vary, and what that rules out.

    What the samples were seen to notice holds for all of them together, and all were asked.
    """
    answers = fingerprint.origin.harmless_answers
    known = (
        f"none of {answers} answers of harmless variants differed at sealing"
        if answers
        else "how many answers harmless differences change was never measured"
    )
    power = tell_power(fingerprint.power)
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


def undecided(fingerprint: Fingerprint, evidence: tuple[Evidence, ...], stop: Stop | None) -> str:
    """Why nothing can be said: what is missing, why, and the first sample that is unclear."""
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    missing = len(fingerprint) - len(evidence)
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
