"""`modelseal evaluate`: runs samples of every method against changed and harmless networks."""

import modelseal as ms
from modelseal.cli.options import PlanFile, RayAddress, ResultFolder, WorkerCount


def evaluate(
    plan: PlanFile,
    *,
    output: ResultFolder,
    workers: WorkerCount = 1,
    ray: RayAddress = None,
) -> None:
    """Try samples of every method against changed and harmless networks, as a plan says."""
    import typer

    from modelseal.cli.console import Paper, complain, reporting
    from modelseal.cli.exit_codes import Exit
    from modelseal.cli.render import tell_results

    try:
        with reporting() as report:
            found = ms.evaluate(plan, output, workers=workers, ray=ray, progress=report)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"interrupted; the same command goes on with what is kept in {output}"
        ) from error
    tell_results(Paper(), found, folder=output)
    for failure in found.failures:
        complain(f"{failure.task}: {failure.problem}")
    if found.failures:
        raise typer.Exit(Exit.WRONG_USE)
