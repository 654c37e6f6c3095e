"""The document of `inspect --json`, described in `docs/reference/json-documents.md`."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

from modelseal.fingerprint.record import Fingerprint
from modelseal.types import PerInput
from modelseal.verdict import Noticed

SCHEMA = "modelseal.inspection/1"


def inspection_document(fingerprint: Fingerprint, *, file: Path) -> dict[str, object]:
    """What a fingerprint is for and how it was made; never what its samples are."""
    domain, origin = fingerprint.domain, fingerprint.origin
    return {
        "schema": SCHEMA,
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
        "power": [Noticed.model_validate(limit).model_dump() for limit in fingerprint.power],
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
        **_enrolment(fingerprint),
    }


def _enrolment(fingerprint: Fingerprint) -> dict[str, object]:
    document: dict[str, object] = {}
    enrolment = fingerprint.enrollment
    if fingerprint.neighbours is not None:
        document["neighbours"] = int((fingerprint.neighbours != 0).sum())
    if enrolment is not None:
        document["enrolment"] = {
            "endpoint": enrolment.endpoint,
            "created": enrolment.created,
            "alpha": enrolment.alpha,
            "repeats": enrolment.repeats,
            "asked": enrolment.asked,
            "differing": list(enrolment.differing),
            "otherwise": list(enrolment.otherwise),
        }
    return document


def spread(values: PerInput) -> dict[str, float | None]:
    """The smallest, the middle and the largest value; nothing in place of an infinity."""
    numbers = {"min": values.min(), "median": np.median(values), "max": values.max()}
    return {
        name: float(number) if np.isfinite(number) else None for name, number in numbers.items()
    }
