from typing import get_type_hints

import pytest
from recorded_verdicts import INTACT, TAMPERED, build_record

from modelseal.verification.documents import Entry, Noticed, Record, state, unasked


def test_the_types_know_every_key_of_a_document_but_those_that_may_be_added():
    record = build_record(*INTACT)
    assert set(get_type_hints(Record)) - set(record) == {"statistics"}
    assert set(record) - set(get_type_hints(Record)) == {"schema"}
    assert set(record["evidence"][0]) == set(get_type_hints(Entry))
    assert set(record["rules_out"][0]) == set(get_type_hints(Noticed))


def test_what_a_verdict_is_about_is_said_in_text():
    record = build_record(*TAMPERED)
    assert state(record) == {
        "fingerprint": "seals/out.seal",
        "weights digest": "sha256:" + "0123456789abcdef" * 4,
        "endpoint": "http://host/v2/models/m",
        "time": record["time"],
        "modelseal": record["modelseal"],
        "outcome": "tampered",
        "reason": "so it is",
    }


def test_statistics_are_told_if_there_are_any():
    known = {"e_value": 123.4567891, "alpha": 1e-6, "queries": 12, "p_value": None, "more": [1]}
    told = state(build_record(*INTACT, statistics=known))
    assert {
        name: told.get(name) for name in ("e value", "alpha", "queries", "p value", "more")
    } == {
        "e value": "123.457",
        "alpha": "1e-06",
        "queries": "12",
        "p value": None,
        "more": None,
    }


@pytest.mark.parametrize(("findings", "left"), [(INTACT, []), (TAMPERED, [2]), ((), [0, 1, 2])])
def test_samples_without_evidence_were_not_asked(findings, left):
    assert unasked(build_record(*findings)) == left
