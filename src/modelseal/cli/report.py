"""`modelseal report`: makes tables, figures and a page of what an evaluation found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from modelseal.evaluation.store import Results

ResultsFolder: TypeAlias = Annotated[
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
ShowSamples: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--samples", help="Show some samples. Those of an evaluation are never used again."
    ),
]


def report(results: ResultsFolder, *, output: Folder, samples: ShowSamples = False) -> None:
    """Make tables, figures and a page of what an evaluation found."""
    from modelseal.cli.console import reporting
    from modelseal.extras import require_torch
    from modelseal.reports.build import check_folder, publish

    check_folder(output, source=results)
    require_drawing()
    require_torch("Reading results")
    from modelseal.errors import BadFileError
    from modelseal.evaluation.gallery import show_samples
    from modelseal.evaluation.metrics import summarise
    from modelseal.evaluation.store import read_results
    from modelseal.reports.build import assemble

    found = read_results(results)
    if not found.sets:
        raise BadFileError(results, "results were wanted, but there are none yet")
    summaries = summarise(
        found.sets, found.trials, found.suspicions, samples=found.plan.samples.count
    )
    exhibits = show_samples(results, found.sets) if samples else {}
    with reporting() as tell:
        files = assemble(summaries, exhibits=exhibits, missing=found.missing, progress=tell)
    publish(output, files, source=results)
    tell_result(output, found)


def tell_result(output: Path, found: "Results") -> None:
    """Says where the report is, of how much, and whether anything is missing."""
    from modelseal.cli.console import Paper
    from modelseal.reports.build import tell_missing

    told = f"{len(found.sets)} sets of samples, {len(found.trials)} trials"
    Paper().write(f"{output / 'report.html'}: {told}")
    if found.missing:
        Paper().write(tell_missing(found.missing))


def require_drawing() -> None:
    """Makes sure that figures can be drawn and pages written.

    Raises:
        MissingExtraError: A package is not installed.
    """
    from importlib import import_module

    from modelseal.errors import MissingExtraError

    for name in ("matplotlib", "jinja2"):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise MissingExtraError("A report", "report") from error
