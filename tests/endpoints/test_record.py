import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from modelseal.endpoints import recorded
from modelseal.endpoints.recorded import Heading, Recorder, check_record, resume, start
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers, Kind

HEADING = Heading(fingerprint="sha256:1f", samples=4, endpoint="http://host/v2/models/m")
LABEL = Answers(kind=Kind.LABELS, labels=np.array([[3]]))
SHOWN = [
    LABEL,
    Answers(kind=Kind.LABELS, labels=np.array([[3, 1]]), values=np.array([[0.5, 0.25]])),
    Answers(kind=Kind.PROBABILITIES, values=np.array([[0.1, 0.9]], np.float32), digits=1),
    Answers(kind=Kind.SCORES, values=np.array([[1 / 3, -1e300]])),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.jsonl"


def parts(answer):
    columns = (answer.labels, answer.values)
    return answer.kind, answer.digits, [None if c is None else c.tolist() for c in columns]


def test_the_first_line_says_of_what_the_answers_are(path):
    start(path, HEADING)
    (line,) = path.read_text().splitlines()
    heading = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", heading.pop("time"))
    assert heading == {
        "schema": "modelseal.record/1",
        "fingerprint": "sha256:1f",
        "samples": 4,
        "endpoint": "http://host/v2/models/m",
        "neighbours": False,
        "check": None,
    }


def test_a_new_record_is_for_its_owner_alone_whatever_the_mask_says(path):
    mask = os.umask(0)
    try:
        start(path, HEADING)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_answer_is_in_the_file_as_soon_as_it_is_noted_with_its_time(path):
    path.touch()
    recorder = Recorder(path, now=iter(["t0", "t1", "t2"]).__next__)
    recorder.note(2, LABEL)
    assert json.loads(path.read_text().splitlines()[-1]) == {
        "sample": 2,
        "time": "t0",
        "labels": [3],
    }
    recorder.note(0, EndpointError("status 503 came"))
    recorder.note(1, EndpointError())
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert lines == [
        {"sample": 0, "time": "t1", "error": "status 503 came"},
        {"sample": 1, "time": "t2", "error": "no answer came"},
    ]


def test_a_record_of_neighbours_and_one_of_samples_alone_do_not_go_on_as_the_other(path):
    both = replace(HEADING, neighbours=True)
    start(path, both).note(0, LABEL)
    with refuses(BadFileError, field="neighbours"):
        resume(path, HEADING)
    assert list(resume(path, both)[1].answers) == [0]
    other = path.with_name("s.jsonl")
    start(other, HEADING)
    with refuses(BadFileError, field="neighbours"):
        resume(other, both)


def test_only_one_check_at_once_goes_on_with_a_record(path):
    first = start(path, replace(HEADING, check="0123"))
    with refuses(BadFileError, file=path):
        resume(path, HEADING)
    del first
    second, past = resume(path, HEADING)
    assert past.check == "0123"
    with refuses(BadFileError, file=path):
        resume(path, HEADING)
    second.note(0, LABEL)


def test_each_line_is_brought_to_the_disk(path, monkeypatch):
    synced = []
    monkeypatch.setattr(recorded.os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    start(path, HEADING).note(0, LABEL)
    assert synced[-1] == path.stat().st_size


@pytest.mark.parametrize("answer", SHOWN, ids=lambda answer: answer.kind.value)
def test_an_answer_comes_back_as_it_was(path, answer):
    start(path, HEADING).note(3, answer)
    _, past = resume(path, HEADING)
    assert not past.cut
    assert {number: parts(each) for number, each in past.answers.items()} == {3: parts(answer)}


def test_what_failed_counts_as_not_answered_and_new_answers_come_after_the_old(path):
    first = start(path, HEADING)
    first.note(3, LABEL)
    first.note(1, EndpointError("timeout"))
    del first
    recorder, past = resume(path, HEADING)
    assert list(past.answers) == [3]
    recorder.note(1, LABEL)
    del recorder
    _, past = resume(path, HEADING)
    assert list(past.answers) == [3, 1]


def test_answers_that_contradict_one_another_are_an_error_and_no_answer(path):
    recorder = start(path, HEADING)
    for label in (3, 3, 4):
        recorder.note(0, Answers(kind=Kind.LABELS, labels=np.array([[label]])))
    del recorder
    _, past = resume(path, HEADING)
    assert isinstance(past.answers[0], EndpointError)
    assert "two lines contradict one another" in str(past.answers[0])


@pytest.mark.parametrize("length", range(1, 40))
def test_a_line_that_a_crash_cut_short_is_taken_out_and_the_rest_stays(path, length):
    recorder = start(path, HEADING)
    recorder.note(0, LABEL)
    whole = path.read_bytes()
    recorder.note(1, LABEL)
    path.write_bytes(path.read_bytes()[: len(whole) + length])
    del recorder
    recorder, past = resume(path, HEADING)
    assert (past.cut, list(past.answers)) == (True, [0])
    assert path.read_bytes() == whole
    recorder.note(1, LABEL)
    del recorder
    assert list(resume(path, HEADING)[1].answers) == [0, 1]


def test_a_line_that_lacks_nothing_but_its_end_is_kept(path):
    start(path, HEADING).note(0, LABEL)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    _, past = resume(path, HEADING)
    assert (past.cut, list(past.answers)) == (False, [0])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fingerprint": "sha256:2f"}, "fingerprint"),
        ({"endpoint": "http://other"}, "endpoint"),
        ({"schema": "modelseal.record/2"}, "schema"),
        ({"fingerprint": None}, ""),
    ],
)
def test_a_record_of_something_else_is_refused_and_left_as_it_is(path, changes, field):
    start(path, HEADING)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes) + "\n{half")
    before = path.read_bytes()
    with refuses(BadFileError, field=field):
        resume(path, HEADING)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\n", b"{", b'{"sample": 0, "labels": [3]}\n', b"[]\n"])
def test_a_file_without_a_heading_is_no_record(path, content):
    path.write_bytes(content)
    with refuses(BadFileError, file=path):
        resume(path, HEADING)
    assert path.read_bytes() == content


def test_a_malformed_line_in_the_middle_is_refused_with_its_number(path):
    recorder = start(path, HEADING)
    with path.open("a") as file:
        file.write("{half\n")
    recorder.note(0, LABEL)
    del recorder
    with refuses(BadFileError, field="line 2"):
        resume(path, HEADING)


def test_a_file_that_exists_is_never_replaced(path):
    path.write_text("old")
    with pytest.raises(BadFileError, match="--resume goes on with it"):
        start(path, HEADING)
    assert path.read_text() == "old"


def test_a_place_that_cannot_be_written_is_a_bad_file(tmp_path):
    with pytest.raises(BadFileError, match="cannot be written: No such file"):
        start(tmp_path / "none" / "r.jsonl", HEADING)
    with pytest.raises(BadFileError, match="cannot be read: No such file"):
        resume(tmp_path / "r.jsonl", HEADING)
    with pytest.raises(BadFileError, match="Is a directory"):
        Recorder(tmp_path).note(0, LABEL)


def test_a_full_disk_is_told_of():
    with pytest.raises(BadFileError, match="cannot be written: No space left on device"):
        Recorder(Path("/dev/full")).note(0, LABEL)


def test_answers_of_another_fingerprint_are_told_from_answers_of_none(path):
    start(path, HEADING)
    check_record(path, "sha256:1f")
    with refuses(BadFileError, field="fingerprint"):
        check_record(path, "sha256:2f")
    path.write_text('{"sample": 0, "labels": [3]}\n')
    check_record(path, "sha256:2f")
