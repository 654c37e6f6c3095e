"""What people are told, as lines and tables."""

from collections.abc import Mapping, Sequence
from math import floor
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from modelseal.cli.paper import Paper, plain
from modelseal.cli.repeating import enrolment_facts, tell_statistics
from modelseal.domain import Domain
from modelseal.fingerprint.power import Limit, tell_level, tell_power
from modelseal.fingerprint.record import Fingerprint
from modelseal.shapes import PerInput
from modelseal.verdict import Evidence, Finding, Outcome, Verdict

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


def tell_inspection(paper: Paper, fingerprint: Fingerprint) -> None:
    """Writes what a fingerprint is for and how it was made; never what its samples are."""
    tell_facts(paper, facts(fingerprint))
    if fingerprint.power:
        tell_limits(paper, fingerprint.power)


def tell_facts(paper: Paper, known: Mapping[str, str]) -> None:
    """Writes facts by name, in two columns on a terminal and a line each elsewhere."""
    if not paper.is_terminal:
        for name, value in known.items():
            paper.write(f"{name}: {value}")
        return
    table = Table.grid(padding=(0, 2))
    for name, value in known.items():
        table.add_row(Text(name, "bold"), Text(plain(value)))
    paper.print(table)


def tell_limits(paper: Paper, limits: Sequence[Limit]) -> None:
    """Writes a table of the smallest change of each family that was noticed at sealing."""
    table = Table("change", "from", "noticed", "share, at 95 % confidence")
    for limit in limits:
        level = "" if limit.level is None else f"{tell_level(limit.level)} {limit.unit}"
        count = f"{limit.noticed} of {limit.draws}"
        share = "the only one" if limit.fixed else f"{floored(limit.at_least)} or more"
        table.add_row(*(Text(plain(each)) for each in (limit.family, level, count, share)))
    paper.print(table)


def floored(share: float) -> str:
    """A lower bound as a percentage, never rounded up."""
    return f"{floor(1000 * share) / 10:.1f} %"


def facts(fingerprint: Fingerprint) -> Mapping[str, str]:
    """What can be said of a fingerprint, by name."""
    origin = fingerprint.origin
    settings = {name: value for name, value in origin.parameters.items() if name != SKIPPED}
    return {
        "for": tell_domain(fingerprint.domain),
        "classes": tell_classes(fingerprint),
        "shown": str(fingerprint.spec),
        "samples": str(len(fingerprint)),
        "method": f"{origin.method}, seed {origin.seed}",
        "parameters": pairs(settings),
        "margins": spread(fingerprint.margins),
        "moves": f"{spread(fingerprint.moves)}; a margin is at least {fingerprint.factor:g} moves",
        "PSNR": f"{spread(fingerprint.psnr)}, in dB",
        "variants": ", ".join(origin.variants) or "none",
        **not_tried(fingerprint),
        "false alarms": tell_alarms(fingerprint),
        "power": "as in the table" if fingerprint.power else "never measured",
        "weights": origin.weights_digest,
        "packages": pairs(origin.packages),
        "made": origin.created,
        **enrolment_facts(fingerprint),
    }


def tell_domain(domain: Domain) -> str:
    """What a valid input is, in one phrase."""
    shape = " x ".join(map(str, domain.shape))
    low, high = domain.bounds
    levels = f"on {domain.levels} levels" if domain.levels else "without levels"
    return f"inputs of shape {shape} from {low:g} to {high:g} {levels}"


def tell_classes(fingerprint: Fingerprint) -> str:
    """How many classes there are, and their names."""
    names = f": {', '.join(fingerprint.names)}" if fingerprint.names else ", without names"
    return f"{fingerprint.classes}{names}"


def tell_alarms(fingerprint: Fingerprint) -> str:
    """What is known of how often a harmless difference raises an alarm."""
    answers = fingerprint.origin.harmless_answers
    if not answers:
        return "never measured"
    bound = f"{fingerprint.false_alarm_bound:.2g} for re-hostings like those tried"
    return f"none in {answers} harmless answers; rule-of-three bound {bound}"


def not_tried(fingerprint: Fingerprint) -> Mapping[str, str]:
    """The harmless variants that could not be tried, by what they are called; empty if none."""
    skipped = fingerprint.origin.parameters.get(SKIPPED)
    return {} if skipped is None else {"not tried": str(skipped)}


def pairs(values: Mapping[str, str | int | float]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def spread(values: PerInput) -> str:
    """The smallest, the middle and the largest value in one line."""
    return f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"


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
