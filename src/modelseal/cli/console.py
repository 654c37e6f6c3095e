"""What the program writes on: standard output and standard error."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from modelseal.fingerprint.fingerprint import Fingerprint
    from modelseal.models.loader import Model
    from modelseal.types import Progress


_UNLIMITED = 10_000
"""Columns where no terminal ends the line: it stays whole for whoever searches the text."""


class Terminal(Console):
    """Standard output or standard error: coloured and wrapped on a terminal, plain elsewhere.

    Args:
        stderr: Whether it is standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = _UNLIMITED

    def write(self, text: str, *, style: str = "") -> None:
        """Writes a line that is never cut or wrapped, with nothing in it that moves a cursor."""
        self.print(Text(plain(text), style), soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Falls silent where nobody reads any more: the exit code still has something to say."""
        self.quiet = True
        # There is no such number where the stream is none of the system's; then it needs no care.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def plain(text: str) -> str:
    r"""Text of foreign origin without control characters, which could rewrite what is on screen.

    Examples:
        >>> plain("cat\x1b[2J")
        'cat\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() else visible(letter) for letter in text)


def visible(letter: str) -> str:
    """A space for the end of a line and the like, an escape for other control characters."""
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()


def warn(sentence: str) -> None:
    """Tells the user in one line what is wrong."""
    Terminal(stderr=True).write(f"modelseal: {sentence}")


PAUSE = 1.0
"""Plain lines are at least so many seconds apart, so that short work leaves a log empty."""

STEPS = 10
"""Plain lines tell of so many steps of a stage at the most."""

_UNITS = {
    "generate": "candidates",
    "calibrate": "ways of running",
    "power": "families of changes",
    "neighbours": "samples",
    "verify": "questions",
}
"""What plain lines count, in stages whose names do not say it."""


@contextmanager
def show_progress() -> Iterator["Progress"]:
    """Gives what long work reports to."""
    terminal = Terminal(stderr=True)
    if not terminal.is_terminal:
        yield ProgressLines(terminal).report
        return
    with _show_bars(terminal) as report:
        yield report


@contextmanager
def _show_bars(terminal: Terminal) -> Iterator["Progress"]:
    """Draws a bar with the time left for each stage; all are gone at the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Drawing

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    tasks: dict[str, TaskID] = {}
    with Drawing(*columns, TimeRemainingColumn(), console=terminal, transient=True) as drawing:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = drawing.add_task(stage, total=total)
            drawing.update(tasks[stage], completed=done, total=total)

        yield report


class ProgressLines:
    """Writes a plain line now and then.

    Args:
        terminal: What it writes on.
        clock: Tells seconds.
    """

    def __init__(self, terminal: Terminal, *, clock: Callable[[], float] = monotonic) -> None:
        self.terminal = terminal
        self.clock = clock
        self.written = clock()
        self.step: dict[str, int] = {}

    def report(self, stage: str, done: int, total: int) -> None:
        """Writes a line if the stage has come a tenth further and the last one is a while ago."""
        step = STEPS * done // max(total, 1)
        now = self.clock()
        if step > self.step.get(stage, -1) and now - self.written >= PAUSE:
            self.step[stage], self.written = step, now
            self.terminal.write(f"{stage}: {done} of {total} {_UNITS.get(stage, '')}".rstrip())


class StageCosts:
    """Passes reports of progress on, and notes the seconds and the work of each stage.

    A stage lasts from its first report to that of the next one. Work is counted in forward passes
    of one input, of which a backward pass takes two.

    Args:
        report: Is told what this one is told.
        count: Tells how much work was done by now in this process.
        clock: Tells seconds.
    """

    def __init__(
        self,
        report: "Progress",
        *,
        count: Callable[[], float],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.pass_on = report
        self.count = count
        self.clock = clock
        self.stage = ""
        self.begun = (0.0, 0.0)
        self.stages: dict[str, tuple[float, float]] = {}

    def report(self, stage: str, done: int, total: int) -> None:
        """Takes a report."""
        if stage != self.stage:
            self.close()
            self.stage, self.begun = stage, (self.clock(), self.count())
        self.pass_on(stage, done, total)

    def close(self) -> None:
        """Ends the stage that is under way, if there is one."""
        if self.stage:
            seconds, work = self.begun
            self.stages[self.stage] = (self.clock() - seconds, self.count() - work)
        self.stage = ""


@contextmanager
def measure_stages(report: "Progress", network: "Model") -> Iterator[StageCosts]:
    """Gives the costs of stages, with what a network is asked meanwhile."""
    from modelseal.runtime.inference import counting

    with counting(network.network) as counter:
        costs = StageCosts(report, count=lambda: counter.work)
        yield costs
        costs.close()


def show_costs(costs: StageCosts, fingerprint: "Fingerprint") -> None:
    """Writes to standard error what each stage cost, and each accepted candidate."""
    terminal = Terminal(stderr=True)
    parameters = fingerprint.origin.parameters
    each, accepted = float(parameters["work"]), int(parameters["accepted"])
    for stage, (seconds, work) in costs.stages.items():
        # Other processes, and a run before this one, are not seen from here.
        done = each * accepted if stage == "generate" else work
        terminal.write(f"{stage}: {seconds:.1f} s, {done:.0f} forward-equivalents")
    terminal.write(f"{each:g} forward-equivalents for each of {accepted} accepted candidates")
