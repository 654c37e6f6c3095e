import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.endpoints import recorded
from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers, Kind

INPUTS = np.arange(12, dtype=np.uint8).reshape(4, 3)
HEADING = {"schema": "modelseal.record/1", "samples": 4}


@pytest.fixture
def recording(tmp_path):
    """Writes lines, objects or text, and gives the endpoint that reads them."""

    def write(*lines, inputs=INPUTS):
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(texts), encoding="utf-8")
        return RecordedEndpoint(path, inputs)

    return write


def test_answers_are_found_by_the_inputs_content_in_any_order(recording):
    endpoint = recording(*({"sample": n, "labels": [n, 9]} for n in (2, 0, 3, 1)))
    shown = endpoint.ask(INPUTS[[3, 0, 3]])
    assert (shown.kind, shown.values) == (Kind.LABELS, None)
    assert shown.labels.tolist() == [[3, 9], [0, 9], [3, 9]]


def test_headings_blank_repeated_and_failed_lines_and_times_change_nothing(recording):
    answer = {"sample": 0, "labels": [3]}
    failed = {"sample": 0, "error": "", "time": ""}
    endpoint = recording(
        HEADING, "", answer, "  \r", answer | {"time": "2026-11-26T12:00:00.000Z"}, failed, ""
    )
    assert endpoint.ask(INPUTS[:1]).labels.tolist() == [[3]]


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[]", '{"sample": 0, "sample": 1, "labels": [3]}'),
        *('{"sample": 0, "scores": [NaN]}', '{"sample": 0, "scores": [1e999]}', HEADING),
        *({"schema": "modelseal.record/2"}, {"labels": [3]}, {"sample": 4, "labels": [3]}),
        *({"sample": -1, "labels": [3]}, {"sample": True, "labels": [3]}),
        *({"sample": "0", "labels": [3]}, {"sample": 0}, {"sample": 0, "label": 3}),
        *({"sample": 0, "scores": [1], "labels": [3]}, {"sample": 0, "labels": 3}),
        *({"sample": 0, "labels": []}, {"sample": 0, "labels": [3.0]}),
        *({"sample": 0, "labels": [True]}, {"sample": 0, "labels": [2**63]}),
        *({"sample": 0, "scores": ["1"]}, {"sample": 0, "scores": [[1]]}),
        {"sample": 0, "labels": [3], "probabilities": [0.5, 0.5]},
        *({"sample": 1, "labels": [3], "time": 3}, {"sample": 1, "error": None}),
        {"sample": 1, "labels": [3], "digits": -1},
        {"sample": 1, "labels": [3], "digits": True},
        *({"sample": 1, "labels": [3], "digits": None}, {"sample": 1, "labels": [3], "other": 1}),
    ],
    ids=str,
)
def test_a_malformed_line_is_refused_with_its_number(recording, line):
    with refuses(BadFileError, field="line 2"):
        recording({"sample": 1, "labels": [3]}, line)


def test_bytes_that_are_no_text_are_refused_with_the_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"sample": 0, "labels": [3]}\n\x80\x81')
    with refuses(BadFileError, field="line 2", file=path):
        RecordedEndpoint(path, INPUTS)


@pytest.mark.parametrize(
    "line",
    [
        *({"sample": 0, "labels": [4]}, {"sample": 0, "labels": [3, 4]}),
        *({"sample": 0, "scores": [3]}, {"sample": 0, "labels": [3], "probabilities": [1]}),
    ],
)
def test_lines_that_contradict_one_another_give_no_answer(recording, line):
    endpoint = recording({"sample": 0, "labels": [3]}, line, {"sample": 1, "labels": [5]})
    assert endpoint.ask(INPUTS[1:2]).labels.tolist() == [[5]]
    with pytest.raises(EndpointError, match="sample 0: two lines contradict one another"):
        endpoint.ask(INPUTS[:2])


def test_samples_of_one_content_share_their_lines(recording):
    twins = INPUTS[[0, 1, 0]]
    assert recording({"sample": 2, "labels": [3]}, inputs=twins).ask(twins[:1]).labels == [[3]]
    endpoint = recording({"sample": 2, "labels": [3]}, {"sample": 0, "labels": [4]}, inputs=twins)
    with pytest.raises(EndpointError, match="contradict"):
        endpoint.ask(twins[:1])


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([{"sample": 0, "labels": [3]}, {"sample": 1, "scores": [3]}], INPUTS[:2]),
        ([{"sample": 0, "labels": [3]}], INPUTS[[0, 2]]),
        ([{"sample": 0, "labels": [3]}], INPUTS[:1] + 1),
        ([{"sample": 0, "labels": [3]}], INPUTS[:1].astype(np.float32)),
    ],
    ids=["other forms", "no line", "no sample", "another type"],
)
def test_what_has_no_answer_of_one_form_is_an_error_of_the_file(recording, lines, codes):
    with pytest.raises(EndpointError, match=r"answers\.jsonl: "):
        recording(*lines).ask(codes)


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(tmp_path, recording, monkeypatch):
    for path in (tmp_path / "none.jsonl", tmp_path):
        with refuses(BadFileError, file=path):
            RecordedEndpoint(path, INPUTS)
    monkeypatch.setattr(recorded, "LARGEST", 40)
    assert recording(" " * 40)
    with refuses(BadFileError):
        recording(" " * 41)


numbers = st.floats(-1e6, 1e6, width=32)


@st.composite
def shown_answers(draw):
    kind = draw(st.sampled_from(Kind))
    shape = (4, draw(st.integers(1, 5)))
    size = shape[0] * shape[1]
    labels = np.array(draw(st.lists(st.integers(0, 999), min_size=size, max_size=size)))
    values = np.array(draw(st.lists(numbers, min_size=size, max_size=size)), np.float32)
    if kind is not Kind.LABELS:
        return Answers(kind=kind, values=values.reshape(shape))
    with_values = values.reshape(shape) if draw(st.booleans()) else None
    return Answers(kind=kind, labels=labels.reshape(shape), values=with_values)


@given(answers=shown_answers())
def test_what_was_recorded_is_answered_exactly(tmp_path_factory, answers):
    path = tmp_path_factory.mktemp("recording") / "a.jsonl"
    record(answers, path)
    shown = RecordedEndpoint(path, INPUTS).ask(INPUTS)
    assert shown.kind is answers.kind
    assert np.array_equal(np.asarray(shown.labels), np.asarray(answers.labels))
    assert np.array_equal(np.asarray(shown.values), np.asarray(answers.values))


LABELS = Answers(kind=Kind.LABELS, labels=np.array([[3], [4]]))


def test_recording_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old", encoding="utf-8")
    record(LABELS, path)
    lines = '{"sample": 0, "labels": [3]}\n{"sample": 1, "labels": [4]}\n'
    assert path.read_text(encoding="utf-8") == lines
    assert list(tmp_path.iterdir()) == [path]
    rounded = Answers(kind=Kind.PROBABILITIES, values=np.array([[0.5, 0.5]]), digits=1)
    record(rounded, path)
    assert json.loads(path.read_text()) == {"sample": 0, "probabilities": [0.5, 0.5], "digits": 1}


def test_an_interrupted_recording_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt("now")

    path = tmp_path / "a.jsonl"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match="now"):
        record(LABELS, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_finite_is_not_recorded(tmp_path):
    answers = Answers(kind=Kind.SCORES, values=np.array([[1.0], [np.nan]]))
    with refuses(EndpointError):
        record(answers, tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a.jsonl", "file/a.jsonl", "folder"])
def test_a_place_that_cannot_be_written_is_said_and_left_as_it_is(tmp_path, name):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with refuses(BadFileError, file=tmp_path / name):
        record(LABELS, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
