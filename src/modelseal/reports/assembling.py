"""Makes the files of a report."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from modelseal.evaluation.exhibits import Exhibit
from modelseal.evaluation.summary import Summary
from modelseal.reports.archive import dump
from modelseal.reports.figures import draw_figures, draw_sheet
from modelseal.reports.html import write_page
from modelseal.reports.markdown import ABOUT, write_report
from modelseal.reports.picture import Figure
from modelseal.reports.publishing import ARCHIVE
from modelseal.sealing.recipe import Progress, ignore

Exhibits: TypeAlias = Mapping[tuple[str, str], Mapping[str, Sequence[Exhibit]]]
"""Samples to show, by network and spec, then by method."""


def assemble(
    summaries: Sequence[Summary],
    *,
    exhibits: Exhibits = MappingProxyType({}),
    missing: int = 0,
    progress: Progress = ignore,
) -> Mapping[str, bytes]:
    """Every file of a report by its path in the report's folder.

    Args:
        summaries: What was counted.
        exhibits: Samples to show; by default none, since samples are secrets.
        missing: How many results an evaluation lacks that is not finished.
        progress: Is told how far the work is.
    """
    figures = []
    for done, summary in enumerate(summaries):
        progress("draw", done, len(summaries))
        figures.append(draw(summary, exhibits))
    progress("draw", len(summaries), len(summaries))
    about = f"{ABOUT} {tell_missing(missing)}" if missing else ABOUT
    drawn = [each for some in figures for each in some]
    return {
        ARCHIVE: dump(summaries),
        "report.md": write_report(summaries, figures, about=about).encode(),
        "report.html": write_page(summaries, figures, about=about).encode(),
        **{f"figures/{each.name}.png": each.png for each in drawn},
        **{f"figures/{each.name}.svg": each.light for each in drawn},
    }


def tell_missing(results: int) -> str:
    """That an evaluation lacks something, in a sentence."""
    verb = "is" if results == 1 else "are"
    return (
        f"The evaluation is not finished, or some of it failed: {results:,} of its results {verb} "
        "missing, and what is told here may change."
    )


def draw(summary: Summary, exhibits: Exhibits) -> tuple[Figure, ...]:
    """Every figure of a summary."""
    prefix = file_name(summary)
    shown = exhibits.get((summary.network, summary.spec), {})
    return (*draw_figures(summary, prefix=prefix), *draw_sheet(shown, summary, prefix=prefix))


def file_name(summary: Summary) -> str:
    """What the names of a summary's files begin with."""
    text = f"{summary.network}-{summary.spec}"
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text)
