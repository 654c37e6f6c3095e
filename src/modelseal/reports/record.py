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
