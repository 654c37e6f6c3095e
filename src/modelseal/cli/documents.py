"""The documents of `--json`, described in `docs/reference/json-documents.md`."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelseal.cli.render import enrolment_document, statistics_document, tally_document
from modelseal.files import now
from modelseal.fingerprint.record import Fingerprint, Limit
from modelseal.types import PerInput
from modelseal.verdict import Evidence, Finding, Outcome, Verdict

if TYPE_CHECKING:
    from modelseal.verification.evidence import Bundle

Document = dict[str, object]
"""Texts, finite numbers, lists and objects, ready for JSON."""

VERDICT = "modelseal.verdict/1"
"""The schema of what `verify` says."""

RECHECK = "modelseal.recheck/1"
"""The schema of what `recheck` says."""

INSPECTION = "modelseal.inspection/1"
"""The schema of what `inspect` says."""


def verdict_document(
    verdict: Verdict,
    fingerprint: Fingerprint,
    *,
    file: Path,
    endpoint: str,
    signer: str | None = None,
) -> Document:
    """The verdict with its evidence.

    Args:
        verdict: What was found.
        fingerprint: What was asked.
        file: The fingerprint's file, as the user gave it.
        endpoint: What was asked, without secrets.
        signer: What the signer of the fingerprint is called, if one was required.
    """
    return {
        "schema": VERDICT,
        "modelseal": version("modelseal"),
        "time": now(),
        "fingerprint": str(file),
        "endpoint": endpoint,
        "weights_digest": fingerprint.origin.weights_digest,
        "signed_by": signer,
        "false_alarm_bound": fingerprint.false_alarm_bound,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "samples": verdict.samples,
        "asked": len(verdict.evidence),
        **{finding.value: verdict.count(finding) for finding in Finding},
        "chosen": verdict.samples if verdict.chosen is None else len(verdict.chosen),
        "rules_out": powers(ruled_out(verdict, fingerprint)),
        "evidence": findings(verdict.evidence),
        **({"statistics": statistics_document(verdict.statistics)} if verdict.statistics else {}),
    }


def recheck_document(
    verdict: Verdict, bundle: "Bundle", *, file: Path, commitment: Path | None
) -> Document:
    """The verdict that an evidence bundle leads to.

    Args:
        verdict: What was found.
        bundle: What was checked.
        file: The bundle's file, as the user gave it.
        commitment: The commitment's file, as the user gave it; None if there was none.
    """
    return {
        "schema": RECHECK,
        "modelseal": version("modelseal"),
        "time": now(),
        "bundle": str(file),
        "commitment": None if commitment is None else str(commitment),
        "committed": bundle.commitment.time,
        "revealed": bundle.time,
        "endpoint": bundle.endpoint,
        "weights_digest": bundle.commitment.weights_digest,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "samples": verdict.samples,
        "asked": len(verdict.evidence),
        **{finding.value: verdict.count(finding) for finding in Finding},
        "evidence": findings(verdict.evidence),
    }


def ruled_out(verdict: Verdict, fingerprint: Fingerprint) -> Sequence[Limit]:
    """What an intact model's samples were seen to notice, if all of them were asked."""
    whole = verdict.outcome is Outcome.INTACT and len(verdict.evidence) == verdict.samples
    return fingerprint.power if whole else ()


def findings(evidence: Sequence[Evidence]) -> list[Document]:
    """What each asked sample showed, in the order of asking."""
    return [
        {
            "sample": entry.sample,
            "finding": entry.finding.value,
            "expected": entry.expected,
            "shown": entry.shown,
            "reason": entry.reason,
            **tally_document(entry),
        }
        for entry in evidence
    ]


def powers(limits: Sequence[Limit]) -> list[Document]:
    """The smallest change of each family that was noticed at sealing."""
    return [
        {
            "family": limit.family,
            "unit": limit.unit,
            "level": limit.level,
            "noticed": limit.noticed,
            "draws": limit.draws,
            "fixed": limit.fixed,
            "at_least": limit.at_least,
        }
        for limit in limits
    ]


def inspection_document(fingerprint: Fingerprint, *, file: Path) -> Document:
    """What a fingerprint is for and how it was made; never what its samples are."""
    domain, origin = fingerprint.domain, fingerprint.origin
    return {
        "schema": INSPECTION,
        "modelseal": version("modelseal"),
        "fingerprint": str(file),
        "domain": {
            "shape": list(domain.shape),
            "bounds": list(domain.bounds),
            "levels": domain.levels,
        },
        "classes": fingerprint.classes,
        "names": list(fingerprint.names),
        "spec": str(fingerprint.spec),
        "samples": len(fingerprint),
        "factor": fingerprint.factor,
        "margins": spread(fingerprint.margins),
        "moves": spread(fingerprint.moves),
        "psnr_db": spread(fingerprint.psnr),
        "false_alarm_bound": fingerprint.false_alarm_bound,
        "power": powers(fingerprint.power),
        "origin": {
            "method": origin.method,
            "parameters": dict(origin.parameters),
            "seed": origin.seed,
            "variants": list(origin.variants),
            "harmless_answers": origin.harmless_answers,
            "weights_digest": origin.weights_digest,
            "packages": dict(origin.packages),
            "created": origin.created,
        },
        **enrolment_document(fingerprint),
    }


def spread(values: PerInput) -> Document:
    """The smallest, the middle and the largest value; nothing in place of an infinity."""
    numbers = {"min": values.min(), "median": np.median(values), "max": values.max()}
    return {
        name: float(number) if np.isfinite(number) else None for name, number in numbers.items()
    }
