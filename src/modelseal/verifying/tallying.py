"""What many answers to the same samples show, and which sample is asked next."""

from math import inf, log

import numpy as np

from modelseal.fingerprint.record import Fingerprint
from modelseal.shapes import Mask
from modelseal.verdict import Evidence, Finding, Tally
from modelseal.verifying.examining import examine
from modelseal.verifying.sequential import average, weigh_alarm, weigh_trust
from modelseal.verifying.terms import MISSED, Levels

PATIENCE = 8
"""After so many questions to suspicious samples another one has its turn.

About as many prove that a sample which never differed at enrolment has changed.
"""


class Tallies:
    """What was found by now of every sample.

    An answer that cannot be judged counts against a sample like one that differs where trust is
    weighed, and as nothing where an alarm is: silence makes neither an alarm nor an intact model.

    Args:
        fingerprint: What is asked.
        levels: What is compared with what.
        chosen: The numbers of the samples that are asked, if not all are.
    """

    def __init__(
        self, fingerprint: Fingerprint, levels: Levels, *, chosen: tuple[int, ...] | None
    ) -> None:
        count = len(fingerprint)
        self.fingerprint = fingerprint
        self.levels = levels
        self.chosen = chosen
        self.wanted = np.arange(count) if chosen is None else np.array(chosen)
        self.counts = {finding: np.zeros(count, np.int64) for finding in Finding}
        self.alarms = np.zeros(count)
        """The logarithm of the e-value of each sample against "as at enrolment"."""
        self.peaks = np.zeros(count)
        """The highest that it ever was."""
        self.trusted = np.zeros(count, bool)
        """Whether it is settled that the most frequent answer of a sample is the enrolled one."""
        self.highest = 0.0
        """The logarithm of the highest e-value of all samples together."""
        self.queries = 0
        self.latest: dict[int, dict[Finding, Evidence]] = {}

    def take(self, number: int, answer: object) -> Finding:
        """Takes the answer to one sample."""
        entry = examine(self.fingerprint, number, answer)
        self.latest.setdefault(number, {})[entry.finding] = entry
        self.counts[entry.finding][number] += 1
        self.queries += 1
        self.weigh(number)
        return entry.finding

    def weigh(self, number: int) -> None:
        """Computes anew what the answers to one sample say."""
        one = slice(number, number + 1)
        agreeing, differing, unclear = (self.counts[finding][one] for finding in Finding)
        self.alarms[one] = weigh_alarm(differing, agreeing, self.levels.bounds[one])
        self.peaks[number] = max(self.peaks[number], self.alarms[number])
        trust = weigh_trust(differing + unclear, agreeing, self.levels.estimates[one])
        self.trusted[number] |= trust[0] >= -log(MISSED)
        self.highest = max(self.highest, average(self.alarms[self.wanted]))

    @property
    def proven(self) -> bool:
        """Whether tampering is proven by all samples together."""
        return self.highest >= log(self.levels.bar)

    @property
    def differing(self) -> Mask:
        """Which samples prove it: an average reaches the bar only if one of them does."""
        return np.asarray(self.proven & (self.peaks >= log(self.levels.bar)))

    @property
    def open(self) -> Mask:
        """Which samples are still to be asked."""
        found = self.trusted | self.differing
        wanted = np.zeros_like(found)
        wanted[self.wanted] = True
        return np.asarray(wanted & ~found)

    def evidence(self) -> tuple[Evidence, ...]:
        """One entry for each sample that was asked, in the order in which they first were."""
        return tuple(map(self.sum_up, self.latest))

    def sum_up(self, number: int) -> Evidence:
        """What all answers to one sample show together."""
        agreeing, differing, unclear = (int(self.counts[finding][number]) for finding in Finding)
        tally = Tally(agreeing=agreeing, differing=differing, unclear=unclear)
        finding = self.find(number)
        seen = self.latest[number]
        # Where an answer differed, that one says most.
        telling = seen.get(Finding.DIFFERS) or next(iter(seen.values()))
        return Evidence(
            sample=number,
            finding=finding,
            expected=telling.expected,
            shown=telling.shown,
            reason=explain(tally, seen) if finding is Finding.UNCLEAR else "",
            tally=tally,
        )

    def find(self, number: int) -> Finding:
        """What all answers to one sample come to."""
        if self.differing[number]:
            return Finding.DIFFERS
        return Finding.AGREES if self.trusted[number] else Finding.UNCLEAR


def explain(tally: Tally, seen: dict[Finding, Evidence]) -> str:
    """Why nothing is settled of a sample."""
    if tally.unclear == tally.asked:
        return seen[Finding.UNCLEAR].reason
    unclear = f" and {tally.unclear} could not be judged" if tally.unclear else ""
    return f"{tally.differing} of {tally.asked} answers differed{unclear}, which settles nothing"


class Turns:
    """Which sample is asked next: each in turn in a new random order every time.

    Between two of them those that look changed have up to eight turns, the most suspicious one
    first: one changed sample among many is then proven in few questions. That the choice hangs on
    the answers costs nothing, because the e-values hold for any.

    Args:
        generator: The source of the order.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.waiting: list[int] = []
        self.patience = 0

    def choose(self, tallies: Tallies) -> int | None:
        """The number of the next sample; None if no sample is open."""
        open_ones = tallies.open
        if not open_ones.any():
            return None
        suspicion = np.where(open_ones & (tallies.alarms > 0), tallies.alarms, -inf)
        if self.patience and suspicion.max() > -inf:
            self.patience -= 1
            return int(suspicion.argmax())
        self.patience = PATIENCE
        self.waiting = [number for number in self.waiting if open_ones[number]]
        if not self.waiting:
            self.waiting = self.generator.permutation(np.flatnonzero(open_ones)).tolist()
        return self.waiting.pop()
