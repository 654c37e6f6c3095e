"""The verdict that the answers of an enrolled endpoint support, with its reason in one sentence."""

from modelseal.fingerprint.power import tell_power
from modelseal.verdict import Evidence, Finding, Outcome, Statistics, Verdict, judge
from modelseal.verifying.concluding import Stop, of
from modelseal.verifying.sequential import from_log
from modelseal.verifying.tallying import Tallies
from modelseal.verifying.terms import MISSED


def sum_up(tallies: Tallies, *, stop: Stop | None) -> Verdict:
    """The verdict that the answers support.

    Args:
        tallies: What was found of every sample.
        stop: Why no further question was asked; nothing if all was settled.
    """
    fingerprint, evidence = tallies.fingerprint, tallies.evidence()
    outcome = judge(evidence, samples=len(fingerprint), chosen=tallies.chosen)
    statistics = measure(tallies)
    match outcome:
        case Outcome.INTACT:
            reason = intact(tallies, evidence)
        case Outcome.TAMPERED:
            reason = tampered(evidence, statistics)
        case Outcome.UNDECIDED:
            reason = undecided(tallies, evidence, stop)
    return Verdict(
        outcome=outcome,
        samples=len(fingerprint),
        evidence=evidence,
        reason=reason,
        chosen=tallies.chosen,
        statistics=statistics,
    )


def measure(tallies: Tallies) -> Statistics:
    """What the test found, in numbers."""
    levels = tallies.levels
    value = from_log(tallies.highest)
    return Statistics(
        # The logarithm decides; rounding it must not say otherwise.
        e_value=max(value, levels.bar) if tallies.proven else min(value, levels.bar * (1 - 1e-9)),
        bar=levels.bar,
        queries=tallies.queries,
        false_alarm_bound=levels.alpha,
        missed_bound=MISSED,
        look=levels.look,
    )


def intact(tallies: Tallies, evidence: tuple[Evidence, ...]) -> str:
    """Why a model is intact, how its answers varied, and what that rules out."""
    differing = int(tallies.counts[Finding.DIFFERS].sum())
    whole = len(evidence) == len(tallies.fingerprint)
    power = tell_power(tallies.fingerprint.power) if whole else ""
    ruled_out = f"; rules out, as tried at sealing: {power}" if power else ""
    return (
        f"{of(len(evidence), tallies.fingerprint)} are still answered as enrolled: {differing} of "
        f"{tallies.queries} answers differed{tell_others(tallies, evidence)}{ruled_out}"
    )


def tell_others(tallies: Tallies, evidence: tuple[Evidence, ...]) -> str:
    """How many of the samples were enrolled with answers that are not the sealed network's."""
    enrolment = tallies.fingerprint.enrolment
    count = sum(enrolment.otherwise[entry.sample] for entry in evidence) if enrolment else 0
    return (
        f"; {count} of these samples were enrolled with other answers than those of the sealed "
        "network, so that what was changed before is not found"
        if count
        else ""
    )


def tampered(evidence: tuple[Evidence, ...], statistics: Statistics) -> str:
    """Why a model is tampered with: how unlikely that is by chance, and the first sample."""
    differing = [entry for entry in evidence if entry.finding is Finding.DIFFERS]
    first = differing[0]
    tally = first.tally
    often = f" {tally.differing} of {tally.asked} times" if tally else ""
    return (
        f"the answers have changed since the enrolment, which chance does with a probability of "
        f"{statistics.p_value:.1g} at the most: sample {first.sample} was to answer "
        f"{first.expected}, but answered otherwise{often}, such as {first.shown}"
    )


def undecided(tallies: Tallies, evidence: tuple[Evidence, ...], stop: Stop | None) -> str:
    """Why nothing can be said: what is not settled, why, and the first such sample."""
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    missing = len(tallies.wanted) - len(evidence)
    unasked = f", and {missing} were not asked" if missing else ""
    since = f" since {stop.value}" if stop else ""
    first = f": sample {unclear[0].sample}: {unclear[0].reason}" if unclear else ""
    return f"{of(len(unclear), tallies.fingerprint)} are not settled{unasked}{since}{first}"
