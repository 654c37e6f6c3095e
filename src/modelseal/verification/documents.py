"""What a verdict's document holds: the one that `--json` writes, by type."""

from typing import NotRequired, TypedDict


class Entry(TypedDict):
    """What one sample showed."""

    sample: int
    finding: str
    expected: str
    shown: str
    reason: str


class Noticed(TypedDict):
    """The smallest change of one family that was noticed at sealing."""

    family: str
    unit: str | None
    level: float | None
    noticed: int
    draws: int
    fixed: bool
    at_least: float


class Record(TypedDict):
    """A verdict with its evidence, as `docs/reference/json-documents.md` describes it."""

    modelseal: str
    time: str
    fingerprint: str
    weights_digest: str
    signed_by: str | None
    endpoint: str
    outcome: str
    reason: str
    samples: int
    chosen: int
    asked: int
    agrees: int
    differs: int
    unclear: int
    false_alarm_bound: float
    rules_out: list[Noticed]
    evidence: list[Entry]
    statistics: NotRequired[dict[str, object]]


def state(record: Record) -> dict[str, str]:
    """What a verdict is about, by name: the same facts on every form, all of them as text."""
    return {
        "fingerprint": record["fingerprint"],
        "weights digest": record["weights_digest"],
        **({"signed by": record["signed_by"]} if record["signed_by"] else {}),
        "endpoint": record["endpoint"],
        "time": record["time"],
        "modelseal": record["modelseal"],
        "outcome": record["outcome"],
        "reason": record["reason"],
        **state_statistics(record),
    }


def state_statistics(record: Record) -> dict[str, str]:
    """What was counted of answers that vary, by name; empty if they were taken for fixed."""
    found = record.get("statistics", {})
    return {
        name.replace("_", " "): f"{value:.6g}" if isinstance(value, float) else str(value)
        for name, value in sorted(found.items())
        if isinstance(value, bool | int | float | str)
    }


def unasked(record: Record) -> list[int]:
    """The numbers of the samples that were not asked, in rising order."""
    asked = {entry["sample"] for entry in record["evidence"]}
    return [number for number in range(record["samples"]) if number not in asked]


SEALED = {
    "intact": "Every sample of this check was answered as the sealed model answers it. That is "
    "strong evidence, no proof.",
    "tampered": "A sample was answered otherwise than the sealed model answers it in any harmless "
    "way of running it that was tried at sealing: the weights, their precision or the "
    "preprocessing were changed.",
    "undecided": "Answers are missing or malformed, or not all samples were asked. Nothing is "
    "known of the model, and it must not be taken for intact.",
}
"""Of a model whose answers do not vary."""

ENROLLED = {
    "intact": "For every sample of this check the answer that was enrolled is still the most "
    "frequent one. That is strong evidence, no proof, and what was changed before the enrolment "
    "is not found.",
    "tampered": "The answers differ from those of the enrolled deployment more often than chance "
    "explains, at the rate of false alarms that is stated: the model, its precision, its "
    "preprocessing or the machines that it runs on were changed since the enrolment.",
    "undecided": "Answers are missing or malformed, or as many questions as are allowed settled "
    "nothing. Nothing is known of the model, and it must not be taken for intact.",
}
"""Of a deployment whose answers vary, and which is compared with its enrolment."""


def tell_meaning(record: Record, outcome: str) -> str:
    """What an outcome of this check says.

    Args:
        record: What `--json` writes.
        outcome: The outcome, which need not be that of the record.
    """
    meaning = (ENROLLED if "statistics" in record else SEALED)[outcome]
    asked, samples = record["asked"], record["samples"]
    if outcome == "intact" and asked < samples:
        meaning += f" It is about {asked} of {samples} samples; what these alone notice was not "
        meaning += "measured."
    return meaning
