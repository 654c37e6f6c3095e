import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints import recorded
from modelseal.endpoints.recorded import RecordedEndpoint, record
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers, Kind

INPUTS = np.arange(12, dtype=np.uint8).reshape(4, 3)


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
    assert shown.kind is Kind.LABELS
    assert shown.labels.tolist() == [[3, 9], [0, 9], [3, 9]]
    assert shown.values is None


@pytest.mark.parametrize(
    ("line", "kind", "labels", "values"),
    [
        ({"labels": [3]}, Kind.LABELS, [[3]], None),
        ({"labels": [3, 1], "probabilities": [0.5, 0.25]}, Kind.LABELS, [[3, 1]], [[0.5, 0.25]]),
        ({"probabilities": [0.5, 0.25, 0.25]}, Kind.PROBABILITIES, None, [[0.5, 0.25, 0.25]]),
        ({"scores": [1, -2.5]}, Kind.SCORES, None, [[1.0, -2.5]]),
    ],
)
def test_each_form_of_line_is_read_as_what_it_shows(recording, line, kind, labels, values):
    shown = recording({"sample": 1} | line).ask(INPUTS[1:2])
    assert shown.kind is kind
    assert (None if shown.labels is None else shown.labels.tolist()) == labels
    assert (None if shown.values is None else shown.values.tolist()) == values


def test_blank_lines_and_repeated_lines_change_nothing(recording):
    endpoint = recording("", {"sample": 0, "labels": [3]}, "  \r", {"sample": 0, "labels": [3]}, "")
    assert endpoint.ask(INPUTS[:1]).labels.tolist() == [[3]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2: JSON was wanted"),
        ("[]", "line 2: a JSON object was wanted, but a list came"),
        ('{"sample": 0, "sample": 1, "labels": [3]}', "line 2: sample: .*comes twice"),
        ('{"sample": 0, "scores": [NaN]}', "line 2: finite numbers were wanted, but NaN"),
        ('{"sample": 0, "scores": [1e999]}', "line 2: scores: finite numbers"),
        ({"labels": [3]}, "line 2: sample: 0 to 3 was wanted, but nothing came"),
        ({"sample": 4, "labels": [3]}, "line 2: sample: 0 to 3 was wanted, but 4 came"),
        ({"sample": -1, "labels": [3]}, "line 2: sample: 0 to 3 was wanted, but -1 came"),
        ({"sample": True, "labels": [3]}, "line 2: sample: 0 to 3 was wanted, but true came"),
        ({"sample": "0", "labels": [3]}, 'line 2: sample: 0 to 3 was wanted, but "0" came'),
        ({"sample": 0}, "line 2: labels, .* were wanted, not nothing"),
        ({"sample": 0, "label": 3}, "line 2: labels, .* were wanted, not label"),
        ({"sample": 0, "scores": [1], "labels": [3]}, "were wanted, not scores, labels"),
        ({"sample": 0, "labels": 3}, "line 2: labels: a list was wanted, but 3 came"),
        ({"sample": 0, "labels": []}, "line 2: labels: at least one number was wanted"),
        ({"sample": 0, "labels": [3.0]}, "line 2: labels: a whole number was wanted, but 3.0"),
        ({"sample": 0, "labels": [True]}, "line 2: labels: a whole number was wanted, but true"),
        ({"sample": 0, "labels": [2**63]}, "line 2: labels: numbers that fit int64"),
        ({"sample": 0, "scores": ["1"]}, 'line 2: scores: a number was wanted, but "1" came'),
        ({"sample": 0, "scores": [[1]]}, "line 2: scores: a number was wanted, but a list came"),
        (
            {"sample": 0, "labels": [3], "probabilities": [0.5, 0.5]},
            "line 2: probabilities: 1 numbers were wanted, but 2 came",
        ),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(recording, line, message):
    with pytest.raises(BadFileError, match=message) as caught:
        recording({"sample": 1, "labels": [3]}, line)
    assert caught.value.field == "line 2"


def test_bytes_that_are_no_text_are_refused_with_the_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"sample": 0, "labels": [3]}\n\x80\x81')
    with pytest.raises(BadFileError, match=r"a\.jsonl: line 2: JSON was wanted"):
        RecordedEndpoint(path, INPUTS)


def test_a_sample_without_a_line_has_no_answer(recording):
    endpoint = recording({"sample": 0, "labels": [3]})
    with pytest.raises(EndpointError, match=r"answers.jsonl: sample 2: an answer was wanted"):
        endpoint.ask(INPUTS[[0, 2]])


@pytest.mark.parametrize(
    "line",
    [
        {"sample": 0, "labels": [4]},
        {"sample": 0, "labels": [3, 4]},
        {"sample": 0, "scores": [3]},
        {"sample": 0, "labels": [3], "probabilities": [1]},
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


def test_lines_that_show_different_things_are_no_answer_to_one_batch(recording):
    endpoint = recording({"sample": 0, "labels": [3]}, {"sample": 1, "scores": [3]})
    with pytest.raises(EndpointError, match="answers of one form were wanted"):
        endpoint.ask(INPUTS[:2])


@pytest.mark.parametrize("codes", [INPUTS[:1] + 1, INPUTS[:1].astype(np.float32)])
def test_an_input_that_is_no_sample_has_no_answer(recording, codes):
    endpoint = recording({"sample": 0, "labels": [3]})
    with pytest.raises(EndpointError, match="an input that is none of the samples"):
        endpoint.ask(codes)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BadFileError, match=r"none.jsonl: cannot be read: No such file"):
        RecordedEndpoint(tmp_path / "none.jsonl", INPUTS)
    with pytest.raises(BadFileError, match="cannot be read: Is a directory"):
        RecordedEndpoint(tmp_path, INPUTS)


def test_a_file_beyond_the_limit_is_refused_before_it_is_parsed(recording, monkeypatch):
    monkeypatch.setattr(recorded, "LARGEST", 40)
    assert recording("x" * 0 + " " * 40).answers == {}
    with pytest.raises(BadFileError, match="at most 40 bytes were wanted"):
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


def test_recording_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old", encoding="utf-8")
    record(Answers(kind=Kind.LABELS, labels=np.array([[3], [4]])), path)
    assert path.read_text(encoding="utf-8") == (
        '{"sample": 0, "labels": [3]}\n{"sample": 1, "labels": [4]}\n'
    )
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_recording_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt("now")

    path = tmp_path / "a.jsonl"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match="now"):
        record(Answers(kind=Kind.LABELS, labels=np.array([[3]])), path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_finite_is_not_recorded(tmp_path):
    answers = Answers(kind=Kind.SCORES, values=np.array([[1.0], [np.nan]]))
    with pytest.raises(EndpointError, match="finite numbers were wanted"):
        record(answers, tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a.jsonl", "file/a.jsonl"])
def test_a_place_that_cannot_be_written_is_said(tmp_path, name):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadFileError, match=r"a.jsonl: cannot be written: \w+"):
        record(Answers(kind=Kind.LABELS, labels=np.array([[3]])), tmp_path / name)


def test_a_folder_in_the_files_place_is_kept_and_no_part_is_left(tmp_path: Path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(BadFileError, match="this is something else"):
        record(Answers(kind=Kind.LABELS, labels=np.array([[3]])), tmp_path / "a.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
