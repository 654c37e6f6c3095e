"""What many answers to the same samples show, and which sample is asked next."""

from collections.abc import Callable
from math import inf, log

import numpy as np

from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.recorded import RecordedEndpoint
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint, tell_power
from modelseal.types import Codes, Mask
from modelseal.verdict import Evidence, Finding, Outcome, Statistics, Tally, Verdict, judge
from modelseal.verification.e_process import average, from_log, weigh_alarm, weigh_trust
from modelseal.verification.judge import Stop, examine, of
from modelseal.verification.policy import MISSED, Levels, Manners, apply
from modelseal.verification.querier import Asker, Depth, Unasked, patience

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


def sum_up(tallies: Tallies, *, stop: Stop | None) -> Verdict:
    """The verdict that the answers support.

    Args:
        tallies: What was found of every sample.
        stop: Why no further question was asked; nothing if all was settled.
    """
    fingerprint, evidence = tallies.fingerprint, tallies.evidence()
    outcome = judge(evidence, samples=len(fingerprint), chosen=tallies.chosen)
    statistics = measure(tallies)
    match outcome:
        case Outcome.INTACT:
            reason = intact_by_statistics(tallies, evidence)
        case Outcome.TAMPERED:
            reason = tampered_by_statistics(evidence, statistics)
        case Outcome.UNDECIDED:
            reason = undecided_by_statistics(tallies, evidence, stop)
    return Verdict(
        outcome=outcome,
        samples=len(fingerprint),
        evidence=evidence,
        reason=reason,
        chosen=tallies.chosen,
        statistics=statistics,
    )


def measure(tallies: Tallies) -> Statistics:
    """What the test found, in numbers."""
    levels = tallies.levels
    value = from_log(tallies.highest)
    return Statistics(
        # The logarithm decides; rounding it must not say otherwise.
        e_value=max(value, levels.bar) if tallies.proven else min(value, levels.bar * (1 - 1e-9)),
        bar=levels.bar,
        queries=tallies.queries,
        false_alarm_bound=levels.alpha,
        missed_bound=MISSED,
        look=levels.look,
    )


def intact_by_statistics(tallies: Tallies, evidence: tuple[Evidence, ...]) -> str:
    """Why a model is intact, how its answers varied, and what that rules out."""
    differing = int(tallies.counts[Finding.DIFFERS].sum())
    whole = len(evidence) == len(tallies.fingerprint)
    power = tell_power(tallies.fingerprint.power) if whole else ""
    ruled_out = f"; rules out, as tried at sealing: {power}" if power else ""
    return (
        f"{of(len(evidence), tallies.fingerprint)} are still answered as enrolled: {differing} of "
        f"{tallies.queries} answers differed{tell_others(tallies, evidence)}{ruled_out}"
    )


def tell_others(tallies: Tallies, evidence: tuple[Evidence, ...]) -> str:
    """How many of the samples were enrolled with answers that are not the sealed network's."""
    enrolment = tallies.fingerprint.enrollment
    count = sum(enrolment.otherwise[entry.sample] for entry in evidence) if enrolment else 0
    return (
        f"; {count} of these samples were enrolled with other answers than those of the sealed "
        "network, so that what was changed before is not found"
        if count
        else ""
    )


def tampered_by_statistics(evidence: tuple[Evidence, ...], statistics: Statistics) -> str:
    """Why a model is tampered with: how unlikely that is by chance, and the first sample."""
    differing = [entry for entry in evidence if entry.finding is Finding.DIFFERS]
    first = differing[0]
    tally = first.tally
    often = f" {tally.differing} of {tally.asked} times" if tally else ""
    return (
        f"the answers have changed since the enrolment, which chance does with a probability of "
        f"{statistics.p_value:.1g} at the most: sample {first.sample} was to answer "
        f"{first.expected}, but answered otherwise{often}, such as {first.shown}"
    )


def undecided_by_statistics(
    tallies: Tallies, evidence: tuple[Evidence, ...], stop: Stop | None
) -> str:
    """Why nothing can be said: what is not settled, why, and the first such sample."""
    unclear = [entry for entry in evidence if entry.finding is Finding.UNCLEAR]
    missing = len(tallies.wanted) - len(evidence)
    unasked = f", and {missing} were not asked" if missing else ""
    since = f" since {stop.value}" if stop else ""
    first = f": sample {unclear[0].sample}: {unclear[0].reason}" if unclear else ""
    return f"{of(len(unclear), tallies.fingerprint)} are not settled{unasked}{since}{first}"


def verify_repeatedly(
    fingerprint: Fingerprint,
    asker: Asker,
    *,
    generator: np.random.Generator,
    depth: Depth = Depth.FIRST_PROOF,
    progress: Callable[[int, int], None],
) -> Verdict:
    """Asks an endpoint the samples of an enrolled fingerprint, each as often as it takes.

    Each question is a sample or one of its neighbours, by chance, so that a table of canned
    answers to the samples does not pass. They are asked one after another.

    Args:
        fingerprint: An enrolled one.
        asker: Asks the endpoint; its manners say how sure a verdict must be.
        generator: The source of the order, and of which neighbour is asked.
        depth: Whether to stop when tampering is proven, or when every sample is settled.
        progress: Told after each question how many there were, and how many are allowed.

    Returns:
        Tampered if the answers differ too often for the enrolled deployment; intact if for every
        sample the enrolled answer is still the most frequent one; undecided if the questions that
        are allowed settle neither, or no answers come.

    Raises:
        InvalidArgumentError: The fingerprint cannot be asked so, as `check` says.
    """
    levels = check(fingerprint, asker.endpoint, asker.manners)
    tallies, turns = Tallies(fingerprint, levels, chosen=asker.manners.chosen), Turns(generator)
    longest, silent = patience(asker.endpoint), 0.0
    while tallies.queries < levels.queries:
        number = turns.choose(tallies)
        if number is None or (tallies.proven and depth is Depth.FIRST_PROOF):
            return sum_up(tallies, stop=None)
        answer = ask_face(asker, number, generator)
        if isinstance(answer, Unasked):
            return sum_up(tallies, stop=Stop.TIME)
        tallies.take(number, answer)
        progress(tallies.queries, levels.queries)
        silent = silent + 1 if isinstance(answer, EndpointError) else 0.0
        if silent >= longest < inf:
            return sum_up(tallies, stop=Stop.SILENCE)
    return sum_up(tallies, stop=Stop.BUDGET)


def check(fingerprint: Fingerprint, endpoint: Endpoint, manners: Manners) -> Levels:
    """What answers are compared with, once it is known that a fingerprint can be asked so.

    Nothing is asked: whoever spends samples, or keeps a record, looks first whether that is of use.

    Args:
        fingerprint: What is going to be asked.
        endpoint: Whom.
        manners: How.

    Raises:
        InvalidArgumentError: The fingerprint is not enrolled, or was asked too little at enrolment
            for these terms; or the endpoint is a file of answers; or answers are known from
            earlier, or several questions shall be asked at once, or natural inputs among the
            samples.
    """
    if fingerprint.enrollment is None:
        raise InvalidArgumentError("an enrolled fingerprint was wanted, but this one is not")
    check_fresh(endpoint)
    if manners.known:
        raise InvalidArgumentError(
            "no answers of earlier were wanted, since an enrolled fingerprint is asked anew each "
            f"time, but those to {len(manners.known)} samples came"
        )
    if manners.concurrency > 1:
        raise InvalidArgumentError(
            "one question at a time was wanted, since each answer of an enrolled fingerprint says "
            f"what is asked next, but {manners.concurrency} came",
            field="concurrency",
        )
    if manners.cover:
        raise InvalidArgumentError(
            "no natural inputs for cover were wanted, since the samples of an enrolled fingerprint "
            f"are asked again and again, but {len(manners.cover)} came"
        )
    samples = len(fingerprint if manners.chosen is None else manners.chosen)
    return apply(manners.terms, fingerprint.enrollment, samples=samples)


def check_fresh(endpoint: Endpoint) -> None:
    """Makes sure that each answer is a draw of its own.

    Raises:
        InvalidArgumentError: The endpoint is a file, which says the same however often it is
            asked: one answer would count as many.
    """
    if isinstance(endpoint, RecordedEndpoint):
        raise InvalidArgumentError(
            "a service that answers each question anew was wanted, since how often answers differ "
            "is counted, but recorded answers came"
        )


def ask_face(asker: Asker, number: int, generator: np.random.Generator) -> object:
    """Asks a sample or one of its neighbours, by chance, when its turn has come.

    Chance, and not a fixed turn, makes every question alike, so that one bound holds for all.

    Returns:
        An answer of whatever form, the EndpointError that stands for none, or why nothing was
        asked.
    """
    unasked = asker.take_turn(number)
    if unasked is not None:
        return unasked
    answer = asker.send(choose_face(asker.fingerprint, number, generator))
    asker.note(number, answer)
    return answer


def choose_face(fingerprint: Fingerprint, number: int, generator: np.random.Generator) -> Codes:
    """A sample or one of its neighbours, by chance."""
    faces = fingerprint.faces(number)
    return faces[[generator.integers(len(faces))]]
