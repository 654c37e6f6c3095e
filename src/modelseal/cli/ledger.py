"""What each stage of long work cost, for `--verbose`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from modelseal.cli.paper import Paper
from modelseal.cli.progress import Progress

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.models.loading import Model


class Ledger:
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
        report: Progress,
        *,
        count: Callable[[], float],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.pass_on = report
        self.count = count
        self.clock = clock
        self.stage = ""
        self.begun = (0.0, 0.0)
        self.costs: dict[str, tuple[float, float]] = {}

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
            self.costs[self.stage] = (self.clock() - seconds, self.count() - work)
        self.stage = ""


@contextmanager
def keeping_ledger(report: Progress, network: "Model") -> Iterator[Ledger]:
    """Gives a ledger that counts what a network is asked meanwhile."""
    from modelseal.models.counting import counting

    with counting(network.network) as counter:
        ledger = Ledger(report, count=lambda: counter.work)
        yield ledger
        ledger.close()


def tell_costs(ledger: Ledger, fingerprint: "Fingerprint") -> None:
    """Writes to standard error what each stage cost, and each accepted candidate."""
    paper = Paper(stderr=True)
    parameters = fingerprint.origin.parameters
    each, accepted = float(parameters["work"]), int(parameters["accepted"])
    for stage, (seconds, work) in ledger.costs.items():
        # Other processes, and a run before this one, are not seen from here.
        done = each * accepted if stage == "generate" else work
        paper.write(f"{stage}: {seconds:.1f} s, {done:.0f} forward-equivalents")
    paper.write(f"{each:g} forward-equivalents for each of {accepted} accepted candidates")
