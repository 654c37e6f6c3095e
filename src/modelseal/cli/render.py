"""How enrolled fingerprints are asked and told of: from options to terms, from tests to text."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table
from rich.text import Text

from modelseal.cli.console import Paper, plain
from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import Enrollment, Fingerprint, Limit, tell_level, tell_power
from modelseal.types import PerInput
from modelseal.verdict import Evidence, Finding, Outcome, Statistics, Verdict

if TYPE_CHECKING:
    from modelseal.evaluation.results import Results
    from modelseal.verification.policy import Manners, Terms


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
    from modelseal.verification.policy import Faces

    options = {"alpha": terms.alpha, "queries": terms.queries, "look": terms.look}
    for name, value in options.items():
        if value is not None and fingerprint.enrollment is None:
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
    enrolment = enrolled.enrollment
    if enrolment is None:
        return
    paper.write(f"{file}: {len(enrolled)} samples", style="bold")
    paper.write(f"{len(enrolled)} of {asked} samples are answered steadily")
    paper.write(tell_steadiness(enrolment))


def tell_steadiness(enrolment: Enrollment) -> str:
    """How often answers differed at enrolment, in one phrase."""
    answers = enrolment.repeats * len(enrolment.differing)
    return (
        f"{sum(enrolment.differing)} of {answers} answers differed, {max(enrolment.differing)} of "
        f"{enrolment.repeats} at the most for one sample"
    )


def warn_of_others(enrolment: Enrollment) -> str:
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
    facts, enrolment = {}, fingerprint.enrollment
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


COLOURS = {
    Outcome.INTACT: "bold green",
    Outcome.TAMPERED: "bold red",
    Outcome.UNDECIDED: "bold yellow",
    Finding.AGREES: "green",
    Finding.DIFFERS: "red",
    Finding.UNCLEAR: "yellow",
}

COUNTED = {Finding.AGREES: "agree", Finding.DIFFERS: "differ", Finding.UNCLEAR: "are unclear"}
"""What is said of so many samples."""

SKIPPED = "skipped"
"""The parameter under which sealing notes the harmless variants that could not be tried."""


def tell_verdict(paper: Paper, verdict: Verdict) -> None:
    """Writes the verdict, its reason and how many samples led to which finding."""
    outcome = Text(verdict.outcome.value.upper(), COLOURS[verdict.outcome])
    paper.print(Text.assemble(outcome, f": {plain(verdict.reason)}"), soft_wrap=True)
    counts = ", ".join(f"{verdict.count(finding)} {word}" for finding, word in COUNTED.items())
    paper.write(f"{len(verdict.evidence)} of {verdict.samples} samples asked: {counts}")
    if verdict.statistics:
        tell_statistics(paper, verdict.statistics)


def tell_findings(paper: Paper, evidence: Sequence[Evidence]) -> None:
    """Writes a table of what each asked sample showed, in the order of asking."""
    table = Table("sample", "finding", "expected", "shown")
    for entry in evidence:
        finding = Text(entry.finding.value, COLOURS[entry.finding])
        expected, shown = (Text(plain(each)) for each in (entry.expected, answered(entry)))
        table.add_row(str(entry.sample), finding, expected, shown)
    paper.print(table)


def answered(entry: Evidence) -> str:
    """What was shown, or why nothing can be said of it."""
    return entry.reason or entry.shown


def show_inspection(paper: Paper, fingerprint: Fingerprint) -> None:
    """Writes what a fingerprint is for and how it was made; never what its samples are."""
    for heading, facts in list_facts(fingerprint).items():
        if paper.is_terminal:
            paper.write(heading, style="bold")
        show_facts(paper, facts)
    if fingerprint.power:
        if paper.is_terminal:
            paper.write("What it notices", style="bold")
        show_limits(paper, fingerprint.power)


def show_facts(paper: Paper, facts: Mapping[str, str]) -> None:
    """Writes facts by name, in two columns on a terminal and a line each elsewhere."""
    if not paper.is_terminal:
        for name, value in facts.items():
            paper.write(f"{name}: {value}")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=14)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(f"  {name}", Text(plain(value)))
    paper.print(table)


def show_limits(paper: Paper, limits: Sequence[Limit]) -> None:
    """Writes a table of the smallest change of each family that was noticed at sealing."""
    table = Table("change", "from", "noticed", "share, at 95 % confidence")
    for limit in limits:
        level = "" if limit.level is None else f"{tell_level(limit.level)} {limit.unit}"
        count = f"{limit.noticed} of {limit.draws}"
        share = "the only one" if limit.fixed else f"{_round_down(limit.at_least)} or more"
        table.add_row(*(Text(plain(each)) for each in (limit.family, level, count, share)))
    paper.print(table)


def list_facts(fingerprint: Fingerprint) -> dict[str, dict[str, str]]:
    """What can be said of a fingerprint, by heading and name."""
    origin, domain = fingerprint.origin, fingerprint.domain
    names = f": {', '.join(fingerprint.names)}" if fingerprint.names else ", without names"
    settings = {name: value for name, value in origin.parameters.items() if name != SKIPPED}
    return {
        "What it is for": {
            "inputs": tell_domain(domain).removeprefix("inputs of "),
            "classes": f"{fingerprint.classes}{names}",
            "shown": str(fingerprint.spec),
            "samples": str(len(fingerprint)),
            "weights": origin.weights_digest,
        },
        "How it was made": {
            "method": f"{origin.method}, seed {origin.seed}",
            "parameters": _join_pairs(settings),
            "packages": _join_pairs(origin.packages),
            "made": origin.created,
        },
        "What it tolerates": {
            "variants": ", ".join(origin.variants) or "none",
            **not_tried(fingerprint),
            "margins": _spread(fingerprint.margins),
            "moves": f"{_spread(fingerprint.moves)}; margins are at least "
            f"{fingerprint.factor:g} times as large",
            "PSNR": f"{_spread(fingerprint.psnr)}, in dB",
            "false alarms": _describe_alarms(fingerprint),
            "power": "see below" if fingerprint.power else "not measured",
        },
        **_list_enrolment(fingerprint),
    }


def _list_enrolment(fingerprint: Fingerprint) -> dict[str, dict[str, str]]:
    facts = dict(enrolment_facts(fingerprint))
    return {"What was enrolled": facts} if facts else {}


def _describe_alarms(fingerprint: Fingerprint) -> str:
    answers = fingerprint.origin.harmless_answers
    if not answers:
        return "not measured"
    bound = f"{fingerprint.false_alarm_bound:.2g} for variants like those tried"
    return f"none in {answers} harmless answers; rule-of-three bound {bound}"


def _round_down(share: float) -> str:
    """A lower bound as a percentage, never rounded up."""
    return f"{floor(1000 * share) / 10:.1f} %"


def _join_pairs(values: Mapping[str, str | int | float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _spread(values: PerInput) -> str:
    return f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"


def tell_domain(domain: Domain) -> str:
    """What a valid input is, in one phrase."""
    shape = " x ".join(map(str, domain.shape))
    low, high = domain.bounds
    levels = f"on {domain.levels} levels" if domain.levels else "without levels"
    return f"inputs of shape {shape} from {low:g} to {high:g} {levels}"


def not_tried(fingerprint: Fingerprint) -> Mapping[str, str]:
    """The harmless variants that could not be tried, by what they are called; empty if none."""
    skipped = fingerprint.origin.parameters.get(SKIPPED)
    return {} if skipped is None else {"not tried": str(skipped)}


def tell_made(paper: Paper, fingerprint: Fingerprint, *, file: Path, chosen: str) -> None:
    """Writes what was made, in a few lines.

    Args:
        paper: What it is written on.
        fingerprint: What was made.
        file: Where it was written.
        chosen: Of what the samples were chosen.
    """
    paper.write(f"{file}: {len(fingerprint)} samples", style="bold")
    paper.write(chosen)
    paper.write(
        f"margin {fingerprint.margins.min():.3g} or more, largest harmless move "
        f"{fingerprint.moves.max():.3g}, median PSNR {np.median(fingerprint.psnr):.1f} dB"
    )
    for name, value in not_tried(fingerprint).items():
        paper.write(f"{name}: {value}")
    if fingerprint.power:
        paper.write(f"notices, as tried: {tell_power(fingerprint.power)}")


def tell_accepted(fingerprint: Fingerprint) -> str:
    """How many candidates passed calibration, as sealing notes it."""
    parameters = fingerprint.origin.parameters
    return f"{parameters['accepted']} of {parameters['candidates']} candidates passed calibration"


COLUMNS = ("network", "method", "shown", "samples", "trials", "detection", "alarms")


def tell_results(paper: Paper, results: "Results", *, folder: Path) -> None:
    """Writes what was found for each subject, and which changes were not applied.

    Args:
        paper: What it is written on.
        results: What was found.
        folder: Where it is.
    """
    rows = list_rows(results)
    if paper.is_terminal:
        table = Table(*COLUMNS)
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        paper.print(table)
    else:
        for row in rows:
            named = zip(COLUMNS[3:], row[3:], strict=True)
            values = ", ".join(f"{name} {cell}" for name, cell in named)
            paper.write(f"{' '.join(row[:3])}: {values}")
    for line in list_refusals(results):
        paper.write(line)
    paper.write(f"{folder}: {len(results.trials)} trials", style="bold")


def list_rows(results: "Results") -> list[tuple[str, ...]]:
    """For each subject: samples, trials, mean detection of a single sample, and alarms."""
    rows: list[tuple[str, ...]] = []
    for each in results.sets:
        own = [trial for trial in results.trials if trial.subject == each.subject and trial.changed]
        shares = [sum(trial.changed) / len(trial.changed) for trial in own]
        asked = len(each.alarms) * len(each.psnr)
        rows.append(
            (
                each.subject.network,
                each.subject.method,
                each.subject.spec,
                str(len(each.psnr)),
                str(len(own)),
                f"{sum(shares) / len(shares):.3f}" if shares else "-",
                f"{sum(each.alarms.values())} of {asked}" if asked else "-",
            )
        )
    return rows


def list_refusals(results: "Results") -> list[str]:
    """A line for each change that did not reach its own goal on a network."""
    reasons: dict[tuple[str, str], dict[int, str]] = {}
    for trial in results.trials:
        if trial.reason:
            key = (trial.subject.network, trial.name)
            reasons.setdefault(key, {})[trial.seed] = trial.reason
    return [
        f"not applied to {network}: {name}, {len(seeds)} times: {next(iter(seeds.values()))}"
        for (network, name), seeds in reasons.items()
    ]
