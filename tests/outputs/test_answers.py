import numpy as np
import pytest
from refusals import refuses

from modelseal.errors import InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind

LABELS = np.array([[3, 1], [0, 2], [1, 0]])
VALUES = np.array([[0.75, 0.25], [0.5, 0.125], [0.625, 0.25]])

FORMS = {
    "labels": Answers(kind=Kind.LABELS, labels=LABELS),
    "labels with values": Answers(kind=Kind.LABELS, labels=LABELS, values=VALUES),
    "probabilities": Answers(kind=Kind.PROBABILITIES, values=VALUES),
    "scores": Answers(kind=Kind.SCORES, values=VALUES),
}


@pytest.mark.parametrize("answers", FORMS.values(), ids=FORMS.keys())
def test_taking_rows_keeps_kind_and_order(answers):
    taken = answers.take(np.array([2, 0]))
    assert (len(answers), len(taken), taken.kind) == (3, 2, answers.kind)
    for before, after in ((answers.labels, taken.labels), (answers.values, taken.values)):
        assert (before is None) == (after is None)
        assert before is None or np.array_equal(after, before[[2, 0]])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("labels", "0, 2"),
        ("labels with values", "0: 0.5, 2: 0.125"),
        ("probabilities", "0.5, 0.125"),
        ("scores", "0.5, 0.125"),
    ],
)
def test_an_answer_is_described_by_its_numbers(form, text):
    assert FORMS[form].describe(1) == text


@pytest.mark.parametrize(
    ("kind", "labels", "values", "field"),
    [
        (Kind.LABELS, None, None, "labels"),
        (Kind.LABELS, None, VALUES, "labels"),
        (Kind.SCORES, LABELS, None, "labels"),
        (Kind.SCORES, None, None, "values"),
        (Kind.PROBABILITIES, None, None, "values"),
        (Kind.LABELS, LABELS, VALUES[:2], "values"),
    ],
)
def test_parts_that_do_not_fit_are_refused(kind, labels, values, field):
    # The types of the constructor would refuse some first here, but are not checked elsewhere.
    answers = object.__new__(Answers)
    for name, part in {"kind": kind, "labels": labels, "values": values}.items():
        object.__setattr__(answers, name, part)
    with refuses(InvalidArgumentError, field=field):
        answers.__post_init__()
