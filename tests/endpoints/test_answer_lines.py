import json

import numpy as np
import pytest

from modelseal.endpoints.jsonl import read_entry, to_line
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind

HEADING = b'{"schema": "modelseal.record/1", "samples": 4}'
ANSWER = {"sample": 1, "labels": [3]}


@pytest.mark.parametrize(
    "line", [b"", b" \r", b'{"sample": 1, "error": "x"}', b'{"sample": 1, "error": "", "time": ""}']
)
def test_lines_without_an_answer_hold_none(line):
    assert read_entry(line, 4, heading=False) is None


def test_a_heading_is_one_only_in_the_first_line():
    assert read_entry(HEADING, 4, heading=True) is None
    with pytest.raises(EndpointError, match="sample: 0 to 3 was wanted, but nothing came"):
        read_entry(HEADING, 4, heading=False)
    with pytest.raises(EndpointError, match="sample: 0 to 3 was wanted, but nothing came"):
        read_entry(b'{"schema": "modelseal.record/2"}', 4, heading=True)


@pytest.mark.parametrize("more", [{}, {"time": "2026-11-26T12:00:00.000Z"}, {"digits": 3}])
def test_what_stands_beside_an_answer_is_no_part_of_it(more):
    sample, shown = read_entry(json.dumps(ANSWER | more).encode(), 4, heading=False)
    assert (sample, shown.labels.tolist(), shown.digits) == (1, [[3]], more.get("digits"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"time": 3}, "time: a text was wanted, but 3 came"),
        ({"error": None}, "error: a text was wanted, but nothing came"),
        ({"digits": -1}, "digits: 0 to 400 was wanted, but -1 came"),
        ({"digits": True}, "digits: 0 to 400 was wanted, but true came"),
        ({"digits": None}, "digits: 0 to 400 was wanted, but nothing came"),
        ({"other": 1}, "were wanted, not labels, other"),
    ],
)
def test_what_stands_beside_an_answer_and_is_malformed_is_refused(more, message):
    with pytest.raises(EndpointError, match=message):
        read_entry(json.dumps(ANSWER | more).encode(), 4, heading=False)


def test_digits_are_written_where_there_are_any():
    values = np.array([[0.5, 0.5]])
    shown = Answers(kind=Kind.PROBABILITIES, values=values, digits=1)
    assert json.loads(to_line(shown, 0)) == {"sample": 0, "probabilities": [0.5, 0.5], "digits": 1}
