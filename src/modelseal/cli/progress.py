"""Progress of long work on standard error: bars on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeAlias

from modelseal.cli.paper import Paper

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told the stage, how many steps of it are done, and of how many."""

PAUSE = 1.0
"""Plain lines are at least so many seconds apart, so that short work leaves a log empty."""

STEPS = 10
"""Plain lines tell of so many steps of a stage at the most."""

UNITS = {
    "generate": "candidates",
    "calibrate": "ways of running",
    "power": "families of changes",
    "neighbours": "samples",
    "verify": "questions",
}
"""What plain lines count, in stages whose names do not say it."""


@contextmanager
def reporting() -> Iterator[Progress]:
    """Gives what long work reports to."""
    paper = Paper(stderr=True)
    if not paper.is_terminal:
        yield Lines(paper).report
        return
    with bars(paper) as report:
        yield report


@contextmanager
def bars(paper: Paper) -> Iterator[Progress]:
    """Draws a bar with the time left for each stage; all are gone at the end."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Drawing

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    tasks: dict[str, TaskID] = {}
    with Drawing(*columns, TimeRemainingColumn(), console=paper, transient=True) as drawing:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = drawing.add_task(stage, total=total)
            drawing.update(tasks[stage], completed=done, total=total)

        yield report


class Lines:
    """Writes a plain line now and then.

    Args:
        paper: What it writes on.
        clock: Tells seconds.
    """

    def __init__(self, paper: Paper, *, clock: Callable[[], float] = monotonic) -> None:
        self.paper = paper
        self.clock = clock
        self.written = clock()
        self.step: dict[str, int] = {}

    def report(self, stage: str, done: int, total: int) -> None:
        """Writes a line if the stage has come a tenth further and the last one is a while ago."""
        step = STEPS * done // max(total, 1)
        now = self.clock()
        if step > self.step.get(stage, -1) and now - self.written >= PAUSE:
            self.step[stage], self.written = step, now
            self.paper.write(f"{stage}: {done} of {total} {UNITS.get(stage, '')}".rstrip())
