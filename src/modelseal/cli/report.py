"""`modelseal report`: makes tables, figures and a page of what an evaluation found."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

import modelseal as ms

_ResultsFolder: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="RESULTS", help="The folder of `evaluate`.", show_default=False),
]
Folder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="The folder to make, or an older report to replace.",
        show_default=False,
    ),
]
_ShowSamples: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--samples", help="Show some samples. Those of an evaluation are never used again."
    ),
]


def report(results: _ResultsFolder, *, output: Folder, samples: _ShowSamples = False) -> None:
    """Make tables, figures and a page of what an evaluation found."""
    from modelseal.cli.console import Paper, reporting

    with reporting() as tell:
        found = ms.report(results, output, show_samples=samples, progress=tell)
    told = f"{len(found.sets)} sets of samples, {len(found.trials)} trials"
    Paper().write(f"{output / 'report.html'}: {told}")
    if found.missing:
        Paper().write(f"{found.missing:,} results are missing: the evaluation has not finished")
