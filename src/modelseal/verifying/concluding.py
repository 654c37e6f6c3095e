"""The verdict that evidence supports, with its reason in one sentence."""

from modelseal.fingerprint.power import tell_power
from modelseal.fingerprint.record import Fingerprint
from modelseal.verdict import Evidence, Finding, Outcome, Verdict, judge

NO_ANSWERS = 3
"""After so many questions in a row without an answer the endpoint is left alone."""


def conclude(
    fingerprint: Fingerprint,
    evidence: tuple[Evidence, ...],
    *,
    chosen: tuple[int, ...] | None = None,
) -> Verdict:
    """The verdict that the evidence supports, with its reason in one sentence.

    Args:
        fingerprint: What was asked.
        evidence: What each sample showed that was asked.
        chosen: The numbers of the samples that the check is about, if not about all.
    """
    outcome = judge(evidence, samples=len(fingerprint), chosen=chosen)
    sentence = {
        Outcome.INTACT: intact,
        Outcome.TAMPERED: tampered,
        Outcome.UNDECIDED: undecided,
    }[outcome]
    wanted = len(fingerprint) if chosen is None else len(chosen)
    return Verdict(
        outcome=outcome,
        samples=len(fingerprint),
        evidence=evidence,
        reason=sentence(fingerprint, evidence, wanted),
        chosen=chosen,
    )


def intact(fingerprint: Fingerprint, evidence: tuple[Evidence, ...], wanted: int) -> str:
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
    power = tell_power(fingerprint.power) if wanted == len(fingerprint) else ""
    ruled_out = f"; rules out, as tried at sealing: {power}" if power else ""
    return f"{of(len(evidence), fingerprint)} answered as expected ({known}){ruled_out}"


def tampered(fingerprint: Fingerprint, evidence: tuple[Evidence, ...], wanted: int) -> str:
    """Why a model is tampered with: how many samples differ, and the first of them."""
    differing = [entry for entry in evidence if entry.finding is Finding.DIFFERS]
    first = differing[0]
    return (
        f"{len(differing)} of {len(evidence)} asked samples answered otherwise: sample "
        f"{first.sample} was to answer {first.expected}, but answered {first.shown}"
    )


def undecided(fingerprint: Fingerprint, evidence: tuple[Evidence, ...], wanted: int) -> str:
    """Why nothing can be said: how many samples are unclear, and the first of them."""
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    first = unclear[0]
    stopped = (
        f", and {wanted - len(evidence)} were not asked since "
        f"{NO_ANSWERS} times in a row no answer came"
        if len(evidence) < wanted
        else ""
    )
    return (
        f"{of(len(unclear), fingerprint)} gave no clear answer{stopped}: "
        f"sample {first.sample}: {first.reason}"
    )


def of(number: int, fingerprint: Fingerprint) -> str:
    """So many of all samples."""
    return f"{number} of {len(fingerprint)} samples"
