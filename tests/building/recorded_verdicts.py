"""Verdicts as documents, for what is made of them."""

from pathlib import Path
from typing import Any, cast

import sealed

from modelseal.cli.documents import verdict_document
from modelseal.verdict import Evidence, Finding, Verdict, judge
from modelseal.verification.documents import Record

SHOWN = {
    Finding.AGREES: {"shown": "cat"},
    Finding.DIFFERS: {"shown": "dog"},
    Finding.UNCLEAR: {"reason": "no answer came"},
}


def build_record(*findings: Finding, samples: int = 3, **changes: Any) -> Record:
    """The document of a verdict on the first samples, each with its finding, asked backwards."""
    evidence = tuple(
        Evidence(sample=number, finding=finding, expected="cat", **SHOWN[finding])
        for number, finding in reversed(list(enumerate(findings)))
    )
    verdict = Verdict(
        outcome=judge(evidence, samples=samples),
        samples=samples,
        evidence=evidence,
        reason="so it is",
    )
    document = verdict_document(
        verdict,
        sealed.fingerprint(count=samples, power=sealed.LIMITS),
        file=Path("seals/out.seal"),
        endpoint="http://host/v2/models/m",
    )
    return cast(Record, {**document, **changes})


INTACT = (Finding.AGREES, Finding.AGREES, Finding.AGREES)
TAMPERED = (Finding.AGREES, Finding.DIFFERS)
UNDECIDED = (Finding.AGREES, Finding.UNCLEAR)
