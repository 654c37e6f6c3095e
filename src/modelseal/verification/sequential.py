"""The sequential test of an enrolled fingerprint: asked again and again until it is settled."""

from dataclasses import dataclass
from math import inf, log

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.enums import Depth
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.fingerprint import Enrollment, Fingerprint
from modelseal.types import Mask, PerInput, Progress
from modelseal.verdict import Evidence, Finding, Outcome, Statistics, Tally, Verdict, judge
from modelseal.verification.e_process import (
    HALF,
    average,
    bound_all,
    estimate,
    from_log,
    spend_alpha,
    weigh_alarm,
    weigh_trust,
)
from modelseal.verification.judge import Stop
from modelseal.verification.querier import Querier, QueryPolicy, Unasked

MISSED = 0.01
"""The highest probability that a sample whose most frequent answer has changed passes.

A smaller one costs little: each factor of ten takes three or four more answers of every sample.
"""

_QUERIES = 50
"""How many queries there are at the most for each sample, by default.

Eight settle a sample that never differed at enrollment; one that differs in a fifth of all cases
is settled by 50 in nine of ten cases.
"""

_TURNS = 8
"""After so many queries to suspicious samples another one has its turn.

About as many prove that a sample which never differed at enrollment has changed.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SequentialPolicy:
    """How an enrolled fingerprint, whose answers vary, is judged.

    Args:
        alpha: The highest rate of false alarms, above 0 and below 1. Half of it is for an
            enrollment that misleads. By default that of the enrollment.
        queries: The most queries, from 1; by default 50 for each sample.
        look: The number of this check in a schedule of many, from 1: all of them together then
            raise a false alarm with a probability of at most alpha. By default what a ledger
            counts; without one the check stands alone.

    Raises:
        InvalidArgumentError: A number is out of its range; `field` names it.
    """

    alpha: float | None = None
    queries: int | None = None
    look: int | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise InvalidArgumentError(
                f"expected a number above 0 and below 1, got {self.alpha!r}", field="alpha"
            )
        for field, number in (("queries", self.queries), ("look", self.look)):
            if number is not None and number < 1:
                raise InvalidArgumentError(f"expected a number from 1, got {number}", field=field)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Levels:
    """What answers are compared with: a policy as it applies to the samples of an enrollment."""

    alpha: float
    bar: float
    bounds: PerInput
    estimates: PerInput
    queries: int
    look: int | None


def find_levels(policy: SequentialPolicy, enrollment: Enrollment, *, samples: int) -> _Levels:
    """What answers are compared with when so many samples of an enrollment are asked."""
    alpha = enrollment.alpha if policy.alpha is None else policy.alpha
    half, differing = alpha / 2, np.array(enrollment.differing)
    bounds = bound_all(differing, enrollment.repeats, risk=half, samples=enrollment.asked)
    if (bounds > HALF).any():
        worst = int(bounds.argmax())
        raise InvalidArgumentError(
            f"expected more than {enrollment.repeats} queries of each sample at enrollment for a "
            f"rate of false alarms of {alpha:g}, got {differing[worst]} differing answers of "
            f"sample {worst}, which bounds their share by {bounds[worst]:.2g} and not 0.5",
            field="alpha",
        )
    return _Levels(
        alpha=alpha,
        bar=1 / (half if policy.look is None else spend_alpha(half, policy.look)),
        bounds=bounds,
        estimates=estimate(differing, enrollment.repeats),
        queries=policy.queries or _QUERIES * samples,
        look=policy.look,
    )


class Tallies:
    """What was found by now of every sample.

    An answer that cannot be judged counts against a sample like one that differs where trust is
    weighed, and as nothing where an alarm is: silence makes neither an alarm nor an intact model.
    """

    def __init__(
        self, fingerprint: Fingerprint, levels: _Levels, *, chosen: tuple[int, ...] | None
    ) -> None:
        count = len(fingerprint)
        self.fingerprint = fingerprint
        self.levels = levels
        self.chosen = chosen
        self.wanted = np.arange(count) if chosen is None else np.array(chosen)
        self.counts = {finding: np.zeros(count, np.int64) for finding in Finding}
        self.alarms = np.zeros(count)
        # Logarithms of each sample's e-value against "as at enrollment", and the highest it was.
        self.peaks = np.zeros(count)
        self.trusted = np.zeros(count, bool)
        # The logarithm of the highest e-value of all samples together.
        self.highest = 0.0
        self.queries = 0
        self.latest: dict[int, dict[Finding, Evidence]] = {}

    def take(self, entry: Evidence) -> None:
        """Takes what one answer shows, and weighs all answers to its sample anew."""
        number = entry.sample
        self.latest.setdefault(number, {})[entry.finding] = entry
        self.counts[entry.finding][number] += 1
        self.queries += 1
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

    @property
    def statistics(self) -> Statistics:
        """What the test found, in numbers."""
        levels, value = self.levels, from_log(self.highest)
        return Statistics(
            # The logarithm decides; rounding it must not say otherwise.
            e_value=max(value, levels.bar) if self.proven else min(value, levels.bar * (1 - 1e-9)),
            bar=levels.bar,
            queries=self.queries,
            false_alarm_bound=levels.alpha,
            missed_bound=MISSED,
            look=levels.look,
        )

    def evidence(self) -> tuple[Evidence, ...]:
        """One entry for each sample that was asked, in the order in which they first were."""
        return tuple(map(self._sum_up, self.latest))

    def _sum_up(self, number: int) -> Evidence:
        agreeing, differing, unclear = (int(self.counts[finding][number]) for finding in Finding)
        tally = Tally(agrees=agreeing, differs=differing, unclear=unclear)
        finding = Finding.AGREES if self.trusted[number] else Finding.UNCLEAR
        if self.differing[number]:
            finding = Finding.DIFFERS
        seen = self.latest[number]
        # Where an answer differed, that one says most.
        telling = seen.get(Finding.DIFFERS) or next(iter(seen.values()))
        return Evidence(
            sample=number,
            finding=finding,
            expected=telling.expected,
            shown=telling.shown,
            reason=_why_unsettled(tally, seen) if finding is Finding.UNCLEAR else "",
            tally=tally,
        )


def _why_unsettled(tally: Tally, seen: dict[Finding, Evidence]) -> str:
    if tally.unclear == tally.asked:
        return seen[Finding.UNCLEAR].reason
    unclear = f" and {tally.unclear} could not be judged" if tally.unclear else ""
    return f"{tally.differs} of {tally.asked} answers differed{unclear}, which settles nothing"


class Turns:
    """Which sample is asked next: each in turn in a new random order every time.

    Between two of them those that look changed have up to eight turns, the most suspicious one
    first: one changed sample among many is then proven in few queries. That the choice hangs on
    the answers costs nothing, because the e-values hold for any.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._waiting: list[int] = []
        self._left = 0

    def choose(self, tallies: Tallies) -> int | None:
        """The number of the next sample; None if no sample is open."""
        open_ones = tallies.open
        if not open_ones.any():
            return None
        suspicion = np.where(open_ones & (tallies.alarms > 0), tallies.alarms, -inf)
        if self._left and suspicion.max() > -inf:
            self._left -= 1
            return int(suspicion.argmax())
        self._left = _TURNS
        self._waiting = [number for number in self._waiting if open_ones[number]]
        if not self._waiting:
            self._waiting = self._generator.permutation(np.flatnonzero(open_ones)).tolist()
        return self._waiting.pop()


def ask_repeatedly(
    querier: Querier, tallies: Tallies, *, depth: Depth, progress: Progress
) -> Verdict:
    """Asks the samples of an enrolled fingerprint one after another, each as often as it takes."""
    turns, most, silent = Turns(querier.generator), tallies.levels.queries, 0
    while tallies.queries < most:
        number = turns.choose(tallies)
        if number is None or (tallies.proven and depth is Depth.FIRST_PROOF):
            return _conclude(tallies, stop=None)
        reply = querier.ask(number)
        if isinstance(reply, Unasked) or reply.evidence is None:
            return _conclude(tallies, stop=Stop.TIME)
        tallies.take(reply.evidence)
        progress("verify", tallies.queries, most)
        silent = silent + 1 if reply.silent else 0
        if silent >= querier.patience:
            return _conclude(tallies, stop=Stop.SILENCE)
    return _conclude(tallies, stop=Stop.BUDGET)


def check_sequential(
    endpoint: Endpoint, policy: QueryPolicy, sequential: SequentialPolicy, enrollment: Enrollment
) -> None:
    """Makes sure, before samples are spent, that an enrolled fingerprint can be asked so."""
    check_fresh(endpoint)
    if policy.concurrency > 1:
        raise InvalidArgumentError(
            "expected 1 for an enrolled fingerprint, each of whose answers says what is asked "
            f"next, got {policy.concurrency}",
            field="concurrency",
        )
    find_levels(sequential, enrollment, samples=1)


def check_fresh(endpoint: Endpoint) -> None:
    """Makes sure that each answer is a draw of its own."""
    if isinstance(endpoint, RecordedEndpoint):
        raise InvalidArgumentError(
            "expected a service that answers each query anew, since it is counted how often "
            "answers differ, got recorded answers",
            field="endpoint",
        )


def _conclude(tallies: Tallies, *, stop: Stop | None) -> Verdict:
    fingerprint, evidence = tallies.fingerprint, tallies.evidence()
    outcome = judge(evidence, samples=len(fingerprint), chosen=tallies.chosen)
    statistics = tallies.statistics
    match outcome:
        case Outcome.INTACT:
            reason = _intact(tallies, evidence)
        case Outcome.TAMPERED:
            reason = _tampered(evidence, statistics)
        case Outcome.UNDECIDED:
            reason = _undecided(tallies, evidence, stop)
    return Verdict(
        outcome=outcome,
        samples=len(fingerprint),
        evidence=evidence,
        reason=reason,
        chosen=tallies.chosen,
        statistics=statistics,
    )


def _intact(tallies: Tallies, evidence: tuple[Evidence, ...]) -> str:
    enrollment = tallies.fingerprint.enrollment
    count = sum(enrollment.otherwise[entry.sample] for entry in evidence) if enrollment else 0
    others = (
        f"; {count} of these samples were enrolled with other answers than those of the sealed "
        "network, so that what was changed before is not found"
    )
    differing = int(tallies.counts[Finding.DIFFERS].sum())
    return (
        f"{len(evidence)} of {len(tallies.fingerprint)} samples are still answered as enrolled: "
        f"{differing} of {tallies.queries} answers differed{others if count else ''}"
    )


def _tampered(evidence: tuple[Evidence, ...], statistics: Statistics) -> str:
    first = next(entry for entry in evidence if entry.finding is Finding.DIFFERS)
    tally = first.tally
    often = f" {tally.differs} of {tally.asked} times" if tally else ""
    return (
        f"the answers have changed since the enrollment, which chance does with a probability of "
        f"{statistics.p_value:.1g} at the most: sample {first.sample} was to answer "
        f"{first.expected}, but answered otherwise{often}, such as {first.shown}"
    )


def _undecided(tallies: Tallies, evidence: tuple[Evidence, ...], stop: Stop | None) -> str:
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    missing = len(tallies.wanted) - len(evidence)
    unasked = f", and {missing} were not asked" if missing else ""
    since = f" since {stop.value}" if stop else ""
    first = f": sample {unclear[0].sample}: {unclear[0].reason}" if unclear else ""
    samples = len(tallies.fingerprint)
    return f"{len(unclear)} of {samples} samples are not settled{unasked}{since}{first}"
