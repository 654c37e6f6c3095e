"""How enrolled fingerprints are asked and told of: from options to terms, from tests to text."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from modelseal.cli.paper import Paper
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.enrolment import Enrolment
from modelseal.fingerprint.record import Fingerprint
from modelseal.verdict import Evidence, Statistics

if TYPE_CHECKING:
    from modelseal.verifying import Manners, Terms


def with_terms(
    manners: "Manners", fingerprint: Fingerprint, *, terms: "Terms", neighbours: bool
) -> "Manners":
    """Manners with the terms for an enrolled fingerprint, or the neighbours of another one.

    Args:
        manners: How to ask.
        fingerprint: What is asked.
        terms: What the options say.
        neighbours: Whether neighbours shall be asked as well.

    Raises:
        InvalidArgumentError: The options are for other fingerprints.
    """
    from modelseal.verifying.manners import Faces

    options = {"alpha": terms.alpha, "queries": terms.queries, "look": terms.look}
    for name, value in options.items():
        if value is not None and fingerprint.enrolment is None:
            raise InvalidArgumentError(
                f"--{name} is for fingerprints that were enrolled, but this one was only sealed"
            )
    # Where none were found, the row of each sample holds zeros.
    if neighbours and (fingerprint.neighbours is None or not fingerprint.neighbours.any()):
        raise InvalidArgumentError(
            "--neighbours needs a fingerprint with neighbours, as seal --neighbours makes it"
        )
    faces = Faces.ALL if neighbours else Faces.ITSELF
    return replace(manners, terms=terms, faces=faces)


def tell_statistics(paper: Paper, statistics: Statistics) -> None:
    """Writes what a test found, in one line."""
    look = f", over all looks of which this is number {statistics.look}" if statistics.look else ""
    paper.write(
        f"{statistics.queries} questions: e-value {statistics.e_value:.3g} of {statistics.bar:.4g} "
        f"for an alarm, p-value {statistics.p_value:.2g}; false alarms at most "
        f"{100 * statistics.false_alarm_bound:g} %{look}"
    )


def tell_enrolled(paper: Paper, enrolled: Fingerprint, *, file: str, asked: int) -> None:
    """Writes what came of an enrolment, in a few lines.

    Args:
        paper: What it is written on.
        enrolled: The enrolled fingerprint.
        file: Where it was written.
        asked: How many samples were asked.
    """
    enrolment = enrolled.enrolment
    if enrolment is None:
        return
    paper.write(f"{file}: {len(enrolled)} samples", style="bold")
    paper.write(f"{len(enrolled)} of {asked} samples are answered steadily")
    paper.write(tell_steadiness(enrolment))


def tell_steadiness(enrolment: Enrolment) -> str:
    """How often answers differed at enrolment, in one phrase."""
    answers = enrolment.repeats * len(enrolment.differing)
    return (
        f"{sum(enrolment.differing)} of {answers} answers differed, {max(enrolment.differing)} of "
        f"{enrolment.repeats} at the most for one sample"
    )


def warn_of_others(enrolment: Enrolment) -> str:
    """What is said of answers that are not those of the sealed network; empty if there are none."""
    others, samples = sum(enrolment.otherwise), len(enrolment.otherwise)
    return (
        f"{others} of {samples} samples are answered otherwise than by the sealed network: "
        "enrolled as they are; if this deployment was changed already, that change is not found "
        "any more"
        if others
        else ""
    )


def enrolment_facts(fingerprint: Fingerprint) -> Mapping[str, str]:
    """What can be said of an enrolment and of neighbours, by name; empty if there are none."""
    facts, enrolment = {}, fingerprint.enrolment
    if fingerprint.neighbours is not None:
        found = int((fingerprint.neighbours != 0).sum())
        facts["neighbours"] = f"{found} in all, of {len(fingerprint)} samples"
    if enrolment is not None:
        facts["enrolled"] = f"{enrolment.endpoint}, {enrolment.created}"
        facts["steadiness"] = tell_steadiness(enrolment)
        facts["as sealed"] = warn_of_others(enrolment) or "all samples are answered as sealed"
        facts["alpha"] = f"{enrolment.alpha:g}, {enrolment.asked} samples asked"
    return facts


def statistics_document(statistics: Statistics) -> dict[str, object]:
    """What a test found, for JSON."""
    return {
        "e_value": statistics.e_value,
        "p_value": statistics.p_value,
        "bar": statistics.bar,
        "queries": statistics.queries,
        "false_alarm_bound": statistics.false_alarm_bound,
        "missed_bound": statistics.missed_bound,
        "look": statistics.look,
    }


def tally_document(entry: Evidence) -> dict[str, object]:
    """How often a sample was asked again and what came, for JSON; empty if it was asked once."""
    tally = entry.tally
    if tally is None:
        return {}
    counts = {"agrees": tally.agreeing, "differs": tally.differing, "unclear": tally.unclear}
    return {"tally": counts}


def enrolment_document(fingerprint: Fingerprint) -> dict[str, object]:
    """What can be said of an enrolment and of neighbours, for JSON; empty if there are none."""
    document: dict[str, object] = {}
    enrolment = fingerprint.enrolment
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
