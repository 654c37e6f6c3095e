"""What is said of a served model, and on what evidence."""

from dataclasses import dataclass
from enum import Enum
from math import isfinite

from modelseal.errors import InvalidArgumentError


class Outcome(Enum):
    """The three answers; "could not decide" is never taken for intact."""

    INTACT = "intact"
    TAMPERED = "tampered"
    UNDECIDED = "undecided"


class Finding(Enum):
    """What asking one sample showed."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What asking one sample again and again came to.

    Args:
        agreeing: How many answers were the expected one.
        differing: How many were another one.
        unclear: How many could not be judged.

    Raises:
        InvalidArgumentError: A number is negative, or there was no question.
    """

    agreeing: int
    differing: int
    unclear: int

    def __post_init__(self) -> None:
        if min(self.agreeing, self.differing, self.unclear) < 0 or not self.asked:
            raise InvalidArgumentError(f"at least one question was wanted, but {self} came")

    @property
    def asked(self) -> int:
        """How many questions there were."""
        return self.agreeing + self.differing + self.unclear


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """What a sequential test found, for an endpoint whose answers vary.

    Args:
        e_value: How much the answers speak for tampering at the most: were nothing changed, it
            would ever reach 1/x with a probability of x at the most. From 0 and finite.
        bar: What it must reach for an alarm, above 1.
        queries: How many questions were asked.
        false_alarm_bound: The probability of a false alarm at the most, with that of an enrolment
            that misleads and, of a schedule, that of all its looks.
        missed_bound: The probability at the most that a sample whose most frequent answer is
            another one passes.
        look: The number of this look of a schedule, from 1; None for a check that stands alone.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    e_value: float
    bar: float
    queries: int
    false_alarm_bound: float
    missed_bound: float
    look: int | None = None

    def __post_init__(self) -> None:
        risks = (self.false_alarm_bound, self.missed_bound)
        numbers = isfinite(self.e_value) and self.e_value >= 0 and isfinite(self.bar)
        counts = self.queries >= 0 and (self.look is None or self.look >= 1)
        if not (numbers and counts and self.bar > 1 and all(0 < risk < 1 for risk in risks)):
            raise InvalidArgumentError(f"statistics within their ranges were wanted, not {self}")

    @property
    def p_value(self) -> float:
        """1 / e-value, and at most 1: valid whenever the asking was stopped, by Ville."""
        return 1 / max(self.e_value, 1.0)

    @property
    def alarm(self) -> bool:
        """Whether the bar was reached."""
        return self.e_value >= self.bar


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What one sample was expected to answer and what came.

    Args:
        sample: The sample's number in the fingerprint, from 0.
        finding: Whether the answer agrees, differs, or cannot be judged.
        expected: The expected answer as short text.
        shown: The answer that came as short text; empty if it cannot be judged.
        reason: Why the answer cannot be judged; empty otherwise.
        tally: What came of asking again and again, where that was done: then the finding is what
            the test made of all answers.

    Raises:
        InvalidArgumentError: An answer that cannot be judged has no reason, or another has one.
    """

    sample: int
    finding: Finding
    expected: str
    shown: str = ""
    reason: str = ""
    tally: Tally | None = None

    def __post_init__(self) -> None:
        if (self.finding is Finding.UNCLEAR) != bool(self.reason):
            raise InvalidArgumentError(
                "a reason is wanted for unclear and for nothing else, "
                f"but {self.finding.value} came with {self.reason!r}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Intact, tampered or undecided, with its evidence.

    Args:
        outcome: The answer.
        samples: How many samples the fingerprint holds.
        evidence: One entry for each sample that was asked, in the order of asking.
        reason: One sentence for a person.
        chosen: The numbers of the samples that this check was about, if not about all.
        statistics: What a sequential test found, if samples were asked again and again.

    Raises:
        InvalidArgumentError: The evidence does not support the outcome, or speaks of a sample
            twice or of one that the fingerprint does not hold or that was not chosen, or the test
            did not say so.
    """

    outcome: Outcome
    samples: int
    evidence: tuple[Evidence, ...]
    reason: str
    chosen: tuple[int, ...] | None = None
    statistics: Statistics | None = None

    def __post_init__(self) -> None:
        asked = [entry.sample for entry in self.evidence]
        if len(set(asked)) < len(asked) or not set(asked) <= set(range(self.samples)):
            raise InvalidArgumentError(
                f"each of {self.samples} samples was wanted once at most, but {asked} came"
            )
        if self.chosen is not None and not set(asked) <= set(self.chosen) <= set(
            range(self.samples)
        ):
            raise InvalidArgumentError(
                f"samples among the chosen {list(self.chosen)} of {self.samples} were wanted, "
                f"but {asked} came"
            )
        supported = judge(self.evidence, samples=self.samples, chosen=self.chosen)
        if self.outcome is not supported:
            raise InvalidArgumentError(
                f"the evidence supports {supported.value}, not {self.outcome.value}"
            )
        if self.statistics:
            check_statistics(self.statistics, self.evidence, self.outcome)

    def count(self, finding: Finding) -> int:
        """How many asked samples led to this finding."""
        return sum(entry.finding is finding for entry in self.evidence)


def check_statistics(
    statistics: Statistics, evidence: tuple[Evidence, ...], outcome: Outcome
) -> None:
    """Makes sure that a test and what is said of its samples belong together.

    Raises:
        InvalidArgumentError: There is an alarm without tampering or the other way round, or the
            questions do not add up.
    """
    if statistics.alarm != (outcome is Outcome.TAMPERED):
        raise InvalidArgumentError(
            f"an e-value of {statistics.e_value:g} at a bar of {statistics.bar:g} does not "
            f"support {outcome.value}"
        )
    counted = sum(entry.tally.asked if entry.tally else 0 for entry in evidence)
    if counted != statistics.queries:
        raise InvalidArgumentError(
            f"tallies of {statistics.queries} questions were wanted, but they count {counted}"
        )


def judge(
    evidence: tuple[Evidence, ...], *, samples: int, chosen: tuple[int, ...] | None = None
) -> Outcome:
    """The outcome that evidence supports.

    One sample that differs proves tampering, because a sample's margin is larger than any
    harmless move, or because a test of many answers found so. Intact needs every sample of the
    check to agree: all that the fingerprint holds, or those that were chosen before any was asked.
    Anything else is undecided.

    Args:
        evidence: One entry for each sample that was asked.
        samples: How many samples the fingerprint holds, at least 1.
        chosen: The numbers of the samples that the check is about, if not about all.

    Examples:
        >>> judge((), samples=8)
        <Outcome.UNDECIDED: 'undecided'>
    """
    if any(entry.finding is Finding.DIFFERS for entry in evidence):
        return Outcome.TAMPERED
    agreeing = {entry.sample for entry in evidence if entry.finding is Finding.AGREES}
    unclear = any(entry.finding is Finding.UNCLEAR for entry in evidence)
    wanted = set(range(samples) if chosen is None else chosen)
    if agreeing == wanted and wanted and not unclear:
        return Outcome.INTACT
    return Outcome.UNDECIDED
