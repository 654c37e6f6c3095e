"""The verdict that evidence supports, with its reason in one sentence."""

from modelseal.fingerprint.power import tell_power
from modelseal.fingerprint.record import Fingerprint
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge

NO_ANSWERS = 3
"""After so many questions in a row without an answer the endpoint is left alone."""


def conclude(fingerprint: Fingerprint, evidence: tuple[Evidence, ...]) -> Verdict:
    """The verdict that the evidence supports, with its reason in one sentence."""
    outcome = judge(evidence, samples=len(fingerprint))
    sentence = {
        Outcome.INTACT: intact,
        Outcome.TAMPERED: tampered,
        Outcome.UNDECIDED: undecided,
    }[outcome]
    return Verdict(
        outcome=outcome,
        samples=len(fingerprint),
        evidence=evidence,
        reason=sentence(fingerprint, evidence),
    )


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


def tampered(fingerprint: Fingerprint, evidence: tuple[Evidence, ...]) -> str:
    """Why a model is tampered with: how many samples differ, and the first of them."""
    differing = [entry for entry in evidence if entry.finding is Finding.DIFFERS]
    first = differing[0]
    return (
        f"{len(differing)} of {len(evidence)} asked samples answered otherwise: sample "
        f"{first.sample} was to answer {first.expected}, but answered {first.shown}"
    )


def undecided(fingerprint: Fingerprint, evidence: tuple[Evidence, ...]) -> str:
    """Why nothing can be said: how many samples are unclear, and the first of them."""
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    first = unclear[0]
    stopped = (
        f", and {len(fingerprint) - len(evidence)} were not asked since "
        f"{NO_ANSWERS} times in a row no answer came"
        if len(evidence) < len(fingerprint)
        else ""
    )
    return (
        f"{of(len(unclear), fingerprint)} gave no clear answer{stopped}: "
        f"sample {first.sample}: {first.reason}"
    )


def of(number: int, fingerprint: Fingerprint) -> str:
    """So many of all samples."""
    return f"{number} of {len(fingerprint)} samples"
