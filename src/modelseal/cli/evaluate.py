"""`modelseal evaluate`, and `report`, which shows what it found."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

import modelseal as ms
from modelseal.cli import options


def evaluate(
    plan: options.PlanFile,
    *,
    output: options.ResultFolder,
    workers: options.WorkerCount = 1,
    ray: options.RayAddress = None,
) -> None:
    """Try samples of every method against changed and harmless networks, as a plan says."""
    from modelseal.cli.console import Terminal, show_progress, warn
    from modelseal.cli.exit_codes import Exit
    from modelseal.cli.render import show_results

    try:
        with show_progress() as report:
            found = ms.evaluate(plan, output, workers=workers, ray=ray, progress=report)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"interrupted; the same command goes on with what is kept in {output}"
        ) from error
    show_results(Terminal(), found, folder=output)
    for failure in found.failures:
        warn(f"{failure.task}: {failure.problem}")
    if found.failures:
        raise typer.Exit(Exit.WRONG_USE)


_ResultsFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="The folder of `evaluate`.", show_default=False)
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
    from modelseal.cli.console import Terminal, show_progress

    with show_progress() as tell:
        found = ms.report(results, output, show_samples=samples, progress=tell)
    told = f"{len(found.sets)} sets of samples, {len(found.trials)} trials"
    Terminal().write(f"{output / 'report.html'}: {told}")
    if found.missing:
        Terminal().write(f"{found.missing:,} results are missing: the evaluation has not finished")
