"""Verdicts as documents, for what is made of them."""

from typing import Any

import sealed

from modelseal.verdict import Evidence, Finding, Provenance, Verdict, VerdictDocument, judge

SHOWN = {
    Finding.AGREES: {"shown": "cat"},
    Finding.DIFFERS: {"shown": "dog"},
    Finding.UNCLEAR: {"reason": "no answer came"},
}


def build_verdict(*findings: Finding, samples: int = 3) -> Verdict:
    """A verdict on the first samples, each with its finding, asked backwards."""
    evidence = tuple(
        Evidence(sample=number, finding=finding, expected="cat", **SHOWN[finding])
        for number, finding in reversed(list(enumerate(findings)))
    )
    made = sealed.fingerprint(count=samples)
    return Verdict(
        outcome=judge(evidence, samples=samples),
        samples=samples,
        evidence=evidence,
        reason="so it is",
        provenance=Provenance(
            fingerprint="seals/out.seal",
            endpoint="http://host/v2/models/m",
            weights_digest=made.origin.weights_digest,
            time="2026-11-23T02:00:21Z",
            false_alarm_bound=made.false_alarm_bound,
            power=sealed.LIMITS,
        ),
    )


def build_document(*findings: Finding, samples: int = 3, **changes: Any) -> VerdictDocument:
    document = VerdictDocument.of(build_verdict(*findings, samples=samples))
    return document.model_copy(update=changes)


INTACT = (Finding.AGREES, Finding.AGREES, Finding.AGREES)
TAMPERED = (Finding.AGREES, Finding.DIFFERS)
UNDECIDED = (Finding.AGREES, Finding.UNCLEAR)
