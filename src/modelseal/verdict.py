"""What is said of a served model, on what evidence, and the document that says so."""

from dataclasses import asdict, dataclass, field
from enum import Enum
from importlib.metadata import version
from math import isfinite
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.fingerprint import Limit

_SCHEMA = "modelseal.verdict/1"


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
    """How many answers to one sample led to which finding; at least one in all."""

    agrees: int
    differs: int
    unclear: int

    def __post_init__(self) -> None:
        if min(self.agrees, self.differs, self.unclear) < 0 or not self.asked:
            raise InvalidArgumentError(f"expected at least one answer, got {self}")

    @property
    def asked(self) -> int:
        """How many queries there were."""
        return self.agrees + self.differs + self.unclear


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """What a sequential test found, for an endpoint whose answers vary.

    `e_value` is how much the answers speak for tampering at the most: were nothing changed, it
    would ever reach 1/x with a probability of x at the most. `bar` is an alarm. The two bounds
    are the highest probabilities of a false alarm, over all looks of a schedule, and of passing
    a sample whose most frequent answer is another one.
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
            raise InvalidArgumentError(f"expected statistics within their ranges, got {self}")

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
    tally: Annotated[Tally | None, Field(exclude_if=lambda tally: tally is None)] = None

    def __post_init__(self) -> None:
        if (self.finding is Finding.UNCLEAR) != bool(self.reason):
            raise InvalidArgumentError(
                f"expected a reason for unclear alone, got {self.reason!r} for {self.finding.value}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Which check a verdict is of: what was asked, of whom and when, and what is known of it.

    `fingerprint` is the file as it was given, `power` what all samples together noticed at
    sealing, and `harmless_answers` how many of these were compared then, if that is known.
    """

    fingerprint: str = ""
    endpoint: str = ""
    weights_digest: str = ""
    signed_by: str | None = None
    time: str = ""
    false_alarm_bound: float = 1.0
    power: tuple[Limit, ...] = ()
    harmless_answers: int | None = None


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
        provenance: Which check it is of.

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
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        asked = [entry.sample for entry in self.evidence]
        allowed = set(range(self.samples))
        if self.chosen is not None:
            allowed &= set(self.chosen)
        if len(set(asked)) < len(asked) or not set(asked) <= allowed:
            raise InvalidArgumentError(
                f"expected samples among {sorted(allowed)}, each once at most, got {asked}"
            )
        supported = judge(self.evidence, samples=self.samples, chosen=self.chosen)
        if self.outcome is not supported:
            raise InvalidArgumentError(
                f"expected {supported.value}, as the evidence says, got {self.outcome.value}"
            )
        if self.statistics:
            _check_statistics(self.statistics, self.evidence, self.outcome)

    def count(self, finding: Finding) -> int:
        """How many asked samples led to this finding."""
        return sum(entry.finding is finding for entry in self.evidence)

    @property
    def rules_out(self) -> tuple[Limit, ...]:
        """What an intact model's samples were seen to notice, if all of them were asked."""
        whole = self.outcome is Outcome.INTACT and len(self.evidence) == self.samples
        return self.provenance.power if whole else ()

    def to_json(self) -> dict[str, object]:
        """The document `modelseal.verdict/1`, ready for `json.dumps`."""
        return VerdictDocument.of(self).model_dump(mode="json", by_alias=True)


def _check_statistics(
    statistics: Statistics, evidence: tuple[Evidence, ...], outcome: Outcome
) -> None:
    if statistics.alarm != (outcome is Outcome.TAMPERED):
        raise InvalidArgumentError(
            f"expected {outcome.value}, as the evidence says, got an e-value of "
            f"{statistics.e_value:g} at a bar of {statistics.bar:g}"
        )
    counted = sum(entry.tally.asked if entry.tally else 0 for entry in evidence)
    if counted != statistics.queries:
        raise InvalidArgumentError(
            f"expected tallies of {statistics.queries} queries, got {counted}"
        )


def judge(
    evidence: tuple[Evidence, ...], *, samples: int, chosen: tuple[int, ...] | None = None
) -> Outcome:
    """The outcome that evidence supports.

    One sample that differs proves tampering, because a sample's margin is larger than any
    harmless move, or because a test of many answers found so. Intact needs every sample of the
    check to agree: all that the fingerprint holds, or those that were chosen before any was asked.
    Anything else is undecided.

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


class Noticed(BaseModel):
    """The smallest change of one family that was noticed at sealing, as documents say it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    family: str
    unit: str | None
    level: float | None
    noticed: int
    draws: int
    fixed: bool
    at_least: float


class Judged(BaseModel):
    """What every document of a verdict says; keys that it does not know are passed over."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    modelseal: str
    time: str
    endpoint: str
    weights_digest: str
    outcome: Outcome
    reason: str
    samples: int
    asked: int
    agrees: int
    differs: int
    unclear: int
    evidence: tuple[Evidence, ...]


class VerdictDocument(Judged):
    """The document of a verdict, as `docs/reference/json-documents.md` describes it."""

    schema_: Annotated[Literal["modelseal.verdict/1"], Field(alias="schema")]
    fingerprint: str
    signed_by: str | None
    chosen: int
    false_alarm_bound: float
    rules_out: tuple[Noticed, ...]
    statistics: Annotated[
        dict[str, float | int | None] | None, Field(exclude_if=lambda found: found is None)
    ] = None

    @classmethod
    def of(cls, verdict: Verdict) -> "VerdictDocument":
        """The document of this verdict."""
        found, provenance = verdict.statistics, verdict.provenance
        return cls.model_validate(
            {
                **judged(verdict),
                "schema": _SCHEMA,
                "fingerprint": provenance.fingerprint,
                "signed_by": provenance.signed_by,
                "chosen": verdict.samples if verdict.chosen is None else len(verdict.chosen),
                "false_alarm_bound": provenance.false_alarm_bound,
                "rules_out": tuple(map(Noticed.model_validate, verdict.rules_out)),
                "statistics": found and {**asdict(found), "p_value": found.p_value},
            }
        )


def judged(verdict: Verdict) -> dict[str, object]:
    """The values that every document of a verdict has."""
    return {
        "modelseal": version("modelseal"),
        "time": verdict.provenance.time,
        "endpoint": verdict.provenance.endpoint,
        "weights_digest": verdict.provenance.weights_digest,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "samples": verdict.samples,
        "asked": len(verdict.evidence),
        **{finding.value: verdict.count(finding) for finding in Finding},
        "evidence": verdict.evidence,
    }
