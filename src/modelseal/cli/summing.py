"""What people are told at the end of an evaluation: one line for each subject."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from modelseal.cli.paper import Paper, plain

if TYPE_CHECKING:
    from modelseal.evaluation.storing import Results

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
