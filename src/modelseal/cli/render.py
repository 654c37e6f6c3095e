"""What the verbs show of fingerprints, verdicts and results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table as RichTable
from rich.text import Text

from modelseal.cli.console import Terminal, plain
from modelseal.domain import Domain
from modelseal.fingerprint.fingerprint import Enrollment, Fingerprint, Limit, format_power
from modelseal.tabular import Table
from modelseal.types import PerInput
from modelseal.verdict import Finding, Noticed, Outcome, Verdict
from modelseal.verification.verdict_text import describe_basis, evidence_table, noticed_table

if TYPE_CHECKING:
    from modelseal.evaluation.results import Results


def show_enrolled(terminal: Terminal, enrolled: Fingerprint, *, file: str, asked: int) -> None:
    """Writes what came of an enrollment, in a few lines."""
    enrollment = enrolled.enrollment
    if enrollment is None:
        return
    terminal.write(f"{file}: {len(enrolled)} samples", style="bold")
    terminal.write(f"{len(enrolled)} of {asked} samples are answered steadily")
    terminal.write(_describe_steadiness(enrollment))


def _describe_steadiness(enrollment: Enrollment) -> str:
    """How often answers differed at enrollment, in one phrase."""
    answers = enrollment.repeats * len(enrollment.differing)
    return (
        f"{sum(enrollment.differing)} of {answers} answers differed, {max(enrollment.differing)} "
        f"of {enrollment.repeats} at the most for one sample"
    )


def describe_others(enrollment: Enrollment) -> str:
    """What is said of answers that are not those of the sealed network; empty if there are none."""
    others, samples = sum(enrollment.otherwise), len(enrollment.otherwise)
    return (
        f"{others} of {samples} samples are answered otherwise than by the sealed network: "
        "enrolled as they are; if this deployment was changed already, that change is not found "
        "any more"
        if others
        else ""
    )


def _enrollment_facts(fingerprint: Fingerprint) -> Mapping[str, str]:
    """What can be said of an enrollment and of neighbours, by name; empty if there are none."""
    facts, enrollment = {}, fingerprint.enrollment
    if fingerprint.neighbours is not None:
        found = int((fingerprint.neighbours != 0).sum())
        facts["neighbours"] = f"{found} in all, of {len(fingerprint)} samples"
    if enrollment is not None:
        facts["enrolled"] = f"{enrollment.endpoint}, {enrollment.created}"
        facts["steadiness"] = _describe_steadiness(enrollment)
        facts["as sealed"] = describe_others(enrollment) or "all samples are answered as sealed"
        facts["alpha"] = f"{enrollment.alpha:g}, {enrollment.asked} samples asked"
    return facts


COLOURS = {
    Outcome.INTACT: "bold green",
    Outcome.TAMPERED: "bold red",
    Outcome.UNDECIDED: "bold yellow",
}

FINDINGS = {
    Finding.AGREES.value: "green",
    Finding.DIFFERS.value: "red",
    Finding.UNCLEAR.value: "yellow",
}

_SKIPPED = "skipped"
"""The parameter under which sealing notes the harmless variants that could not be tried."""


def show_verdict(terminal: Terminal, verdict: Verdict, *, every: bool) -> None:
    """Writes the verdict in two lines, with a table of what it rules out or what was found."""
    outcome = Text(verdict.outcome.value.upper(), COLOURS[verdict.outcome])
    # On a terminal words stay whole; elsewhere lines do, for whoever searches the text.
    whole = not terminal.is_terminal
    terminal.print(Text.assemble(outcome, f": {plain(verdict.reason)}"), soft_wrap=whole)
    terminal.write(describe_basis(verdict))
    if verdict.provenance.signed_by:
        terminal.write(f"the fingerprint is signed by {verdict.provenance.signed_by}")
    if verdict.rules_out:
        _show_limits(terminal, verdict.rules_out)
    if verdict.evidence and (every or verdict.outcome is not Outcome.INTACT):
        _show_table(terminal, evidence_table(verdict.evidence))


def _show_limits(terminal: Terminal, limits: Sequence[Limit]) -> None:
    """Writes a table of the smallest change of each family that was noticed at sealing."""
    _show_table(terminal, noticed_table(tuple(map(Noticed.model_validate, limits))))


def _show_table(terminal: Terminal, table: Table) -> None:
    """Writes a table; what is found of samples has its colour."""
    drawn = RichTable(*table.head)
    for row in table.rows:
        drawn.add_row(*(Text(plain(cell), FINDINGS.get(cell, "")) for cell in row))
    terminal.print(drawn)


def show_inspection(terminal: Terminal, fingerprint: Fingerprint) -> None:
    """Writes what a fingerprint is for and how it was made; never what its samples are."""
    for heading, facts in _list_facts(fingerprint).items():
        if terminal.is_terminal:
            terminal.write(heading, style="bold")
        _show_facts(terminal, facts)
    if fingerprint.power:
        if terminal.is_terminal:
            terminal.write("What it notices", style="bold")
        _show_limits(terminal, fingerprint.power)


def _show_facts(terminal: Terminal, facts: Mapping[str, str]) -> None:
    """Writes facts by name, in two columns on a terminal and a line each elsewhere."""
    if not terminal.is_terminal:
        for name, value in facts.items():
            terminal.write(f"{name}: {value}")
        return
    table = RichTable.grid(padding=(0, 2, 0, 0))
    table.add_column(width=14)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(f"  {name}", Text(plain(value)))
    terminal.print(table)


def _list_facts(fingerprint: Fingerprint) -> dict[str, dict[str, str]]:
    """What can be said of a fingerprint, by heading and name."""
    origin, domain = fingerprint.origin, fingerprint.domain
    names = f": {', '.join(fingerprint.names)}" if fingerprint.names else ", without names"
    settings = {name: value for name, value in origin.parameters.items() if name != _SKIPPED}
    return {
        "What it is for": {
            "inputs": _describe_domain(domain).removeprefix("inputs of "),
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
            **_not_tried(fingerprint),
            "margins": _spread(fingerprint.margins),
            "moves": f"{_spread(fingerprint.moves)}; margins are at least "
            f"{fingerprint.factor:g} times as large",
            "PSNR": f"{_spread(fingerprint.psnr)}, in dB",
            "false alarms": _describe_alarms(fingerprint),
            "power": "see below" if fingerprint.power else "not measured",
        },
        **_list_enrollment(fingerprint),
    }


def _list_enrollment(fingerprint: Fingerprint) -> dict[str, dict[str, str]]:
    facts = dict(_enrollment_facts(fingerprint))
    return {"What was enrolled": facts} if facts else {}


def _describe_alarms(fingerprint: Fingerprint) -> str:
    answers = fingerprint.origin.harmless_answers
    if not answers:
        return "not measured"
    bound = f"{fingerprint.false_alarm_bound:.2g} for variants like those tried"
    return f"none in {answers} harmless answers; rule-of-three bound {bound}"


def _join_pairs(values: Mapping[str, str | int | float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _spread(values: PerInput) -> str:
    return f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"


def _describe_domain(domain: Domain) -> str:
    """What a valid input is, in one phrase."""
    shape = " x ".join(map(str, domain.shape))
    low, high = domain.bounds
    levels = f"on {domain.levels} levels" if domain.levels else "without levels"
    return f"inputs of shape {shape} from {low:g} to {high:g} {levels}"


def _not_tried(fingerprint: Fingerprint) -> Mapping[str, str]:
    """The harmless variants that could not be tried, by what they are called; empty if none."""
    skipped = fingerprint.origin.parameters.get(_SKIPPED)
    return {} if skipped is None else {"not tried": str(skipped)}


def show_made(terminal: Terminal, fingerprint: Fingerprint, *, file: Path, chosen: str) -> None:
    """Writes what was made, in a few lines."""
    terminal.write(f"{file}: {len(fingerprint)} samples", style="bold")
    terminal.write(chosen)
    terminal.write(
        f"margin {fingerprint.margins.min():.3g} or more, largest harmless move "
        f"{fingerprint.moves.max():.3g}, median PSNR {np.median(fingerprint.psnr):.1f} dB"
    )
    for name, value in _not_tried(fingerprint).items():
        terminal.write(f"{name}: {value}")
    if fingerprint.power:
        terminal.write(f"notices, as tried: {format_power(fingerprint.power)}")


def describe_accepted(fingerprint: Fingerprint) -> str:
    """How many candidates passed calibration, as sealing notes it."""
    parameters = fingerprint.origin.parameters
    return f"{parameters['accepted']} of {parameters['candidates']} candidates passed calibration"


COLUMNS = ("network", "method", "shown", "samples", "trials", "detection", "alarms")


def show_results(terminal: Terminal, results: "Results", *, folder: Path) -> None:
    """Writes what was found for each subject, and which changes were not applied."""
    rows = list_rows(results)
    if terminal.is_terminal:
        table = RichTable(*COLUMNS)
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        terminal.print(table)
    else:
        for row in rows:
            named = zip(COLUMNS[3:], row[3:], strict=True)
            values = ", ".join(f"{name} {cell}" for name, cell in named)
            terminal.write(f"{' '.join(row[:3])}: {values}")
    for line in list_refusals(results):
        terminal.write(line)
    terminal.write(f"{folder}: {len(results.trials)} trials", style="bold")


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
