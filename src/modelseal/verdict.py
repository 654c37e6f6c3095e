"""What is said of a served model, and on what evidence."""

from dataclasses import dataclass
from enum import Enum

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
class Evidence:
    """What one sample was expected to answer and what came.

    Args:
        sample: The sample's number in the fingerprint, from 0.
        finding: Whether the answer agrees, differs, or cannot be judged.
        expected: The expected answer as short text.
        shown: The answer that came as short text; empty if it cannot be judged.
        reason: Why the answer cannot be judged; empty otherwise.

    Raises:
        InvalidArgumentError: An answer that cannot be judged has no reason, or another has one.
    """

    sample: int
    finding: Finding
    expected: str
    shown: str = ""
    reason: str = ""

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

    Raises:
        InvalidArgumentError: The evidence does not support the outcome, or speaks of a sample
            twice or of one that the fingerprint does not hold or that was not chosen.
    """

    outcome: Outcome
    samples: int
    evidence: tuple[Evidence, ...]
    reason: str
    chosen: tuple[int, ...] | None = None

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

    def count(self, finding: Finding) -> int:
        """How many asked samples led to this finding."""
        return sum(entry.finding is finding for entry in self.evidence)


def judge(
    evidence: tuple[Evidence, ...], *, samples: int, chosen: tuple[int, ...] | None = None
) -> Outcome:
    """The outcome that evidence supports.

    One sample that differs proves tampering, because a sample's margin is larger than any
    harmless move. Intact needs every sample of the check to agree: all that the fingerprint holds,
    or those that were chosen before any was asked. Anything else is undecided.

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
