"""Recorded answers and evidence bundles of fingerprints for tests."""

import json
from typing import Any

import sealed

from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.verification.commitment import Salts
from modelseal.verification.evidence import Bundle, Shown, make_bundle, read_records

TIME = "2026-11-23T10:00:00Z"
NAMES = ("ant", "bee", "cat", "dog", "elk")


def salts_file(made: Fingerprint) -> Salts:
    parts = {"schema": "modelseal.salts/1", "fingerprint": made.digest, "time": TIME}
    return Salts.model_validate(parts | {"secret": "5" * 64})


def lines_of(made: Fingerprint, *, numbers: Any = None, **changes: Any) -> list[dict[str, Any]]:
    """The expected answers of some samples as recorded lines, but for what is changed."""
    rows = range(len(made)) if numbers is None else numbers
    expected = made.expected
    assert expected.labels is not None
    return [
        {"sample": row, "labels": expected.labels[row].tolist(), "time": TIME, **changes}
        for row in rows
    ]


def bundle_of(
    made: Fingerprint, lines: list[dict[str, Any]], *, odd: dict[int, dict[str, Any]] | None = None
) -> Bundle:
    """An evidence bundle of recorded lines, and of odd answers that no record could hold."""
    text = "\n".join(json.dumps(line) for line in lines).encode()
    records = dict(read_records(text, made, name="record"))
    for sample, answer in (odd or {}).items():
        whole = {**dict.fromkeys(Shown.model_fields), **answer}
        records[sample] = [Shown.model_validate_json(json.dumps(whole))]
    return make_bundle(
        made,
        records,
        salts=salts_file(made),
        endpoint="http://a",
        time=TIME,
    )


def made(**changes: Any) -> Fingerprint:
    return sealed.fingerprint(count=6, names=NAMES, **changes)
