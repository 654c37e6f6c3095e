from contextlib import suppress

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refusals import refuses

from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import like_probabilities
from modelseal.outputs.specs import (
    OutputSpec,
    Probabilities,
    RawScores,
    TopLabels,
    TopProbabilities,
    parse_spec,
)

CLASSES = 6
SPECS = [
    TopLabels(),
    TopLabels(3),
    TopLabels(CLASSES),
    TopProbabilities(1, 2),
    TopProbabilities(3, 4),
    Probabilities(2),
    Probabilities(5),
    RawScores(0.001),
    RawScores(2.0),
]
every_spec = pytest.mark.parametrize("spec", SPECS, ids=str)
rows = hnp.arrays(np.float64, (3, CLASSES), elements=st.floats(-12, 12, width=32))
# No two scores are equal, and no probability is too small to be told from another.
clear = hnp.arrays(
    np.float64, (3, CLASSES), elements=st.integers(-400, 400).map(lambda n: n / 100), unique=True
)
directions = hnp.arrays(np.float64, (3, CLASSES), elements=st.floats(-1, 1, width=32))


def equal(first, second):
    return first.kind is second.kind and all(
        (a is None and b is None) or np.array_equal(a, b)
        for a, b in ((first.labels, second.labels), (first.values, second.values))
    )


@every_spec
def test_a_spec_is_read_back_from_its_text(spec):
    assert isinstance(spec, OutputSpec)
    assert parse_spec(str(spec)) == spec


@every_spec
@settings(max_examples=25)
@given(scores=rows)
def test_what_was_revealed_is_read_as_it_is(spec, scores):
    assume(isinstance(spec, TopLabels) or not like_probabilities(scores).any())
    shown = spec.reveal(scores)
    assert equal(spec.read(shown), shown)
    assert spec.agree(shown, spec.read(shown)).all()


@every_spec
@settings(max_examples=25)
@given(scores=clear)
def test_raw_scores_are_read_as_what_would_be_revealed_of_them(spec, scores):
    assume(not like_probabilities(scores).any())
    read = spec.read(Answers(kind=Kind.SCORES, values=scores))
    assert equal(read, spec.reveal(scores))


@every_spec
@settings(max_examples=25)
@given(scores=rows, direction=directions, size=st.floats(0, 1))
def test_a_move_below_the_margin_changes_no_answer(spec, scores, direction, size):
    others = scores + direction * size * spec.margin(scores)[:, None]
    silent = spec.move(scores, others) < spec.margin(scores)
    agrees = spec.agree(spec.reveal(scores), spec.reveal(others))
    assert agrees[silent].all()


@every_spec
@settings(max_examples=25)
@given(scores=clear, direction=directions)
def test_scores_within_half_the_margin_give_the_same_answer(spec, scores, direction):
    # A rounding error of the scores themselves must not count: 1e-15 of at most 12.
    assume((spec.margin(scores) > 1e-12).all())
    others = scores + 0.499 * direction * spec.margin(scores)[:, None]
    assert (spec.move(scores, others) < spec.margin(scores)).all()
    assert spec.agree(spec.reveal(scores), spec.reveal(others)).all()


@every_spec
@settings(max_examples=25)
@given(scores=rows, others=rows)
def test_each_input_is_measured_alone(spec, scores, others):
    for row in range(len(scores)):
        one, other = scores[[row]], others[[row]]
        assert spec.margin(scores)[row] == spec.margin(one)[0]
        assert spec.move(scores, others)[row] == spec.move(one, other)[0]
        assert equal(spec.reveal(scores).take(np.array([row])), spec.reveal(one))


@pytest.mark.parametrize(
    ("spec", "scores", "change"),
    [
        (TopLabels(), [[3.0, 2.5, 0.0]], [[0.0, 1.0, 0.0]]),
        (TopLabels(2), [[3.0, 2.5, 2.25]], [[0.0, -1.0, 0.0]]),
        (RawScores(0.5), [[3.0, 2.5, 2.25]], [[0.0, 0.0, 1.0]]),
    ],
    ids=str,
)
def test_a_change_just_above_the_margin_can_change_the_answer(spec, scores, change):
    scores, change = np.array(scores), np.array(change)
    expected, margin = spec.reveal(scores), spec.margin(scores)[:, None]
    assert spec.agree(expected, spec.reveal(scores + 0.999 * margin * change)).all()
    assert not spec.agree(expected, spec.reveal(scores + 1.001 * margin * change)).any()


@given(rows)
def test_the_margin_of_probabilities_is_their_distance_to_another_digit(scores):
    probabilities = scipy.special.softmax(scores, axis=1)
    margin = Probabilities(3).margin(scores)[:, None]
    assume((margin > 1e-9).all())
    for sign in (-1, 1):
        near = (probabilities + sign * 0.999 * margin).round(3)
        assert np.array_equal(near, probabilities.round(3))
    far = [(probabilities + sign * 1.001 * margin).round(3) for sign in (-1, 1)]
    changed = (far[0] != probabilities.round(3)) | (far[1] != probabilities.round(3))
    assert changed.any(axis=1).all()


@given(rows)
def test_the_margin_of_top_probabilities_is_the_worse_of_label_and_digit(scores):
    probabilities = scipy.special.softmax(scores, axis=1)
    highest = -np.sort(-probabilities, axis=1)
    gap = highest[:, 0] - highest[:, 1]
    units = highest[:, 0] * 1000
    digit = np.abs(units - (np.floor(units) + 0.5)) / 1000
    margin = TopProbabilities(1, 3).margin(scores)
    assert np.allclose(margin, np.minimum(gap, digit), rtol=0, atol=1e-12)


@given(rows, rows)
def test_moves_are_the_largest_changes(scores, others):
    raw = [
        max(abs(b - a) for a, b in zip(*two, strict=True))
        for two in zip(scores, others, strict=True)
    ]
    assert RawScores(1.0).move(scores, others).tolist() == raw
    first, second = scipy.special.softmax(scores, axis=1), scipy.special.softmax(others, axis=1)
    change = np.abs(first - second).max(axis=1)
    assert np.allclose(Probabilities(3).move(scores, others), change, rtol=0, atol=1e-12)
    labels = TopLabels(2).move(first, second)
    assert np.allclose(TopProbabilities(2, 3).move(scores, others), labels, rtol=0, atol=1e-12)


PROBABILITIES = np.array([[0.125, 0.5, 0.0625, 0.25, 0.0625, 0.0]])


@pytest.mark.parametrize(
    ("spec", "shown", "wanted"),
    [
        (TopLabels(), {"kind": Kind.LABELS, "labels": [[1, 3, 0]]}, "1"),
        (TopLabels(2), {"kind": Kind.LABELS, "labels": [[1, 3, 0]]}, "1, 3"),
        (TopLabels(2), {"kind": Kind.PROBABILITIES, "values": PROBABILITIES}, "1, 3"),
        (
            TopProbabilities(1, 1),
            {"kind": Kind.LABELS, "labels": [[1, 3]], "values": [[0.49, 0.26]]},
            "1: 0.5",
        ),
        (
            TopProbabilities(2, 1),
            {"kind": Kind.PROBABILITIES, "values": PROBABILITIES + 0.001},
            "1: 0.5, 3: 0.3",
        ),
        (
            Probabilities(1),
            {"kind": Kind.PROBABILITIES, "values": PROBABILITIES},
            "0.1, 0.5, 0.1, 0.2, 0.1, 0",
        ),
    ],
)
def test_an_endpoint_may_show_more_than_is_compared(spec, shown, wanted):
    parts = {key: value if key == "kind" else np.array(value) for key, value in shown.items()}
    assert spec.read(Answers(**parts)).describe(0) == wanted


def shorter(answers, digits, *, cut):
    """What an endpoint that prints fewer digits shows in the place of these answers."""
    values = answers.values.round(digits)
    if cut:
        values = np.floor(answers.values * 10**digits + 1e-9) / 10**digits
    return Answers(kind=answers.kind, labels=answers.labels, values=values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("spec", [Probabilities(4), TopProbabilities(1, 4), TopProbabilities(3, 4)])
@settings(max_examples=50)
@given(scores=clear, digits=st.integers(1, 3))
def test_an_endpoint_that_shows_fewer_digits_never_differs(spec, cut, dtype, scores, digits):
    expected = spec.reveal(scores[:1])
    for whole in (expected, Probabilities(8).reveal(scores[:1])):
        came = shorter(whole, digits, cut=cut)
        came = Answers(kind=came.kind, labels=came.labels, values=came.values.astype(dtype))
        with suppress(EndpointError):
            assert spec.agree(expected, spec.read(came)).all()


@pytest.mark.parametrize("spec", [Probabilities(4), TopProbabilities(2, 4)])
def test_fewer_digits_than_are_compared_decide_nothing_if_they_fit(spec):
    expected = spec.reveal(np.log([[0.6234, 0.2345, 0.1421]]))
    for shown in ([[0.623, 0.235, 0.142]], [[0.62, 0.23, 0.14]]):
        read = spec.read(Answers(kind=Kind.PROBABILITIES, values=np.array(shown)))
        with refuses(EndpointError):
            spec.agree(expected, read)
        assert read.take(np.array([0])).digits == read.digits


@pytest.mark.parametrize("spec", [Probabilities(4), TopProbabilities(2, 4)])
@pytest.mark.parametrize(
    "shown",
    [
        [[0.613, 0.245, 0.142]],  # few digits, but too far away for these
        [[0.6235, 0.2344, 0.1421]],
        [[0.62299999, 0.235, 0.14200001]],  # all digits
        [[1.0, 0.0, 0.0]],
        [[0.235, 0.623, 0.142]],
    ],
)
def test_an_answer_that_fewer_digits_do_not_explain_differs(spec, shown):
    expected = spec.reveal(np.log([[0.6234, 0.2345, 0.1421]]))
    every = Answers(kind=Kind.PROBABILITIES, values=np.array(shown))
    labels = np.argsort(-every.values, axis=1)
    best = np.take_along_axis(every.values, labels, axis=1)
    came = Answers(kind=Kind.LABELS, labels=labels, values=best)
    shows_labels = isinstance(spec, TopProbabilities)
    assert not spec.agree(expected, spec.read(came if shows_labels else every)).any()


LABELS, SCORES, PROBABLE = Kind.LABELS, Kind.SCORES, Kind.PROBABILITIES


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (TopLabels(2), (LABELS, [[1]], None)),
        (TopLabels(2), (LABELS, [[1, 1]], None)),
        (TopLabels(2), (LABELS, [[1, -1]], None)),
        (TopLabels(), (PROBABLE, None, [[0.5, 0.5]])),
        (TopLabels(2), (SCORES, None, [[3.0, 1.0, 1.0]])),
        (TopLabels(), (SCORES, None, [[np.nan, 1.0]])),
        (TopLabels(), (SCORES, None, [[1.0, -np.inf]])),
        (TopLabels(3), (SCORES, None, [[0.0, 1.0]])),
        (TopProbabilities(1, 2), (LABELS, [[1]], None)),
        (TopProbabilities(1, 2), (LABELS, [[1]], [[7.0]])),
        (TopProbabilities(1, 2), (LABELS, [[1]], [[-0.1]])),
        (TopProbabilities(1, 2), (LABELS, [[1]], [[np.nan]])),
        (TopProbabilities(3, 2), (SCORES, None, [[0.0, 1.0]])),
        (TopProbabilities(1, 2), (PROBABLE, None, [[0.4, 0.4, 0.2]])),
        (Probabilities(2), (LABELS, [[1]], None)),
        *((Probabilities(4), (PROBABLE, None, [[a, b]])) for a, b in ((0.5, 0.6), (0.5, 0.4))),
        *((Probabilities(4), (PROBABLE, None, [[a, b]])) for a, b in ((1.5, -0.5), (np.nan, 1.0))),
        (RawScores(1.0), (LABELS, [[1]], None)),
        (RawScores(1.0), (PROBABLE, None, [[0.5, 0.5]])),
        (RawScores(1.0), (SCORES, None, [[np.inf, 0.5]])),
        (RawScores(1.0), (SCORES, None, [[0.7, 0.2, 0.1]])),
    ],
)
def test_an_answer_that_does_not_hold_what_is_compared_is_refused(spec, shown):
    kind, *parts = shown
    labels, values = (None if part is None else np.array(part) for part in parts)
    with refuses(EndpointError):
        spec.read(Answers(kind=kind, labels=labels, values=values))


@pytest.mark.parametrize("spec", [Probabilities(3), RawScores(1.0)])
def test_answers_of_another_number_of_classes_do_not_tell(spec):
    few, many = (spec.reveal(np.arange(float(n))[None]) for n in (2, 3))
    with refuses(EndpointError):
        spec.agree(many, few)


def test_one_class_alone_has_no_rival():
    assert TopLabels().read(Answers(kind=Kind.SCORES, values=np.zeros((1, 1)))).describe(0) == "0"


@pytest.mark.parametrize(
    ("field", "texts"),
    [
        ("", ["", "top1:1", "topk", "topk:five", "topprobs:3", "probs:4.5"]),
        ("count", ["topk:0", "topprobs:0:3"]),
        ("digits", ["probs:13", "probs:0", "probs:-1", "topprobs:3:0"]),
        ("tolerance", ["scores:0", "scores:nan", "scores:inf", "scores:-1"]),
    ],
)
def test_a_text_that_is_no_spec_is_refused(field, texts):
    for text in texts:
        with refuses(InvalidArgumentError, field=field):
            parse_spec(text)
