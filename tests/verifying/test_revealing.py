import json

import evidence
import pytest

from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import file_digest
from modelseal.verification.evidence import read_bundle, read_records, write_bundle

MADE = evidence.made()
HEADING = {
    "schema": "modelseal.record/1",
    "fingerprint": file_digest(MADE),
    "endpoint": "http://a",
    "neighbours": False,
}


def test_a_bundle_holds_what_was_asked_and_nothing_of_the_other_samples():
    bundle = evidence.bundle_of(MADE, evidence.lines_of(MADE, numbers=[4, 1]))
    text = write_bundle(bundle).decode()
    assert [asked.number for asked in bundle.asked] == [1, 4]
    assert bundle.asked[0].answers[0].time == evidence.TIME
    salts = evidence.salts_of(MADE)
    for number in range(len(MADE)):
        assert (salts.salt(number).hex() in text) == (number in {1, 4})
    assert salts.secret not in text


def test_a_bundle_is_read_back_as_it_was_written():
    text = write_bundle(evidence.bundle_of(MADE, evidence.lines_of(MADE)))
    assert write_bundle(read_bundle(text, name="b")) == text


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"{" * 10_000])
def test_what_is_no_bundle_is_refused(text):
    with pytest.raises(BadFileError, match=r"^b: "):
        read_bundle(text, name="b")


def test_the_lines_of_a_record_are_read_with_their_times_and_errors():
    lines = [
        HEADING,
        {"sample": 2, "labels": [3], "time": evidence.TIME},
        {"sample": 2, "error": "no answer came", "time": evidence.TIME},
        {"sample": 0, "labels": [3], "probabilities": [0.5], "digits": 2},
    ]
    text = "\n".join(map(json.dumps, lines)) + "\n\n"
    records = read_records(text.encode(), MADE, name="r")
    assert [shown.error for shown in records[2]] == [None, "no answer came"]
    (shown,) = records[0]
    assert (shown.labels, shown.probabilities, shown.digits) == ((3,), (0.5,), 2)
    assert (shown.time, shown.scores) == (None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "recorded answers were wanted, but none came"),
        ("\n\n", "recorded answers were wanted, but none came"),
        ("x", "line 1: JSON was wanted"),
        ('{"sample": 6, "labels": [1]}', "line 1: sample: 0 to 5 was wanted, but 6 came"),
        ('{"sample": true, "labels": [1]}', "line 1: sample: 0 to 5 was wanted"),
        ('{"labels": [1]}', "line 1: sample: 0 to 5 was wanted, but nothing came"),
        ('{"sample": 1, "labels": [1.5]}', r"line 1: labels\[0\]: "),
        ('{"sample": 1, "labels": []}', "line 1: labels: "),
        ('{"sample": 1, "scores": [NaN]}', "line 1: finite numbers were wanted"),
        ('{"sample": 1, "image": 1}', "line 1: image: unknown key"),
        ('{"schema": 1}', "line 1: sample: 0 to 5 was wanted, but nothing came"),
        ('{"sample": 1, "labels": [1]}\n{"schema": 1}', "line 2: sample: 0 to 5 was wanted"),
    ],
)
def test_a_malformed_record_is_refused_with_its_line(text, problem):
    with pytest.raises(BadFileError, match=rf"^r: {problem}"):
        read_records(text.encode(), MADE, name="r")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"fingerprint": "sha256:" + "0" * 64}, "a record of this fingerprint was wanted"),
        ({"fingerprint": None}, "a record of this fingerprint was wanted"),
        ({"neighbours": True}, "those to neighbours are among them"),
    ],
)
def test_a_record_of_something_else_is_no_evidence(changes, problem):
    lines = [HEADING | changes, *evidence.lines_of(MADE)]
    with pytest.raises(BadFileError, match=problem):
        evidence.bundle_of(MADE, lines)
