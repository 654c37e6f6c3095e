import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from modelseal.endpoints.responses import (
    AnswerFormat,
    LabelFormat,
    Layout,
    Naming,
    Numbers,
    Rows,
    array_answers,
    check_shows,
    join,
)
from modelseal.endpoints.strict_json import read_value
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities

NAMES = ("cat", "dog", "elk", "fox")
THREE = LabelFormat(classes=3, names=NAMES[:3])
ODD = ("cat", "dog", "1")
L, N = Layout, Numbers


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_whole_numbers_are_labels_whether_or_not_they_have_a_second_axis(shape):
    shown = array_answers(np.array([4, 0, 9]).reshape(shape), count=3, shows=Kind.SCORES)
    assert (shown.kind, shown.values) == (Kind.LABELS, None)
    assert shown.labels.tolist() == [[4], [0], [9]]


@pytest.mark.parametrize("kind", [Kind.SCORES, Kind.PROBABILITIES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fractions_are_what_the_endpoint_is_said_to_show_in_their_own_type(kind, dtype):
    array = np.array([[0.25, 0.75]], dtype)
    shown = array_answers(array, count=1, shows=kind)
    assert (shown.kind, shown.labels, shown.values.dtype) == (kind, None, dtype)
    assert shown.values.tolist() == array.tolist()


@pytest.mark.parametrize(
    "array",
    [
        *(np.zeros((2, 10)), np.zeros((3, 0)), np.zeros(3), np.zeros((3, 10, 1))),
        *(np.zeros(2, int), np.zeros((3, 1, 1), int), np.zeros((3, 0), np.uint64), np.array(7)),
        *(np.array([["a"]] * 3), np.zeros((3, 2), bool), np.full((3, 1), 2**63, np.uint64)),
        *(np.full((3, 2), np.nan), np.full((3, 2), np.inf)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_that_is_no_answer_is_refused(array):
    with refuses(EndpointError):
        array_answers(array, count=3, shows=Kind.SCORES)


def test_joined_batches_keep_order_labels_and_values():
    labels = np.array([[1, 2], [3, 4], [5, 6]])
    whole = Answers(kind=Kind.LABELS, labels=labels, values=labels / 10)
    joined = join([whole.take(np.array([0])), whole.take(np.array([1, 2]))])
    assert joined.kind is Kind.LABELS
    assert np.array_equal(joined.labels, whole.labels)
    assert np.array_equal(joined.values, whole.values)
    part = Answers(kind=Kind.SCORES, values=np.ones((2, 3)))
    assert (join([part, part]).labels, len(join([part, part]))) == (None, 4)


ONES = np.ones((1, 2))


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [Answers(kind=kind, values=ONES) for kind in (Kind.SCORES, Kind.PROBABILITIES)],
        [Answers(kind=Kind.SCORES, values=np.ones((1, width))) for width in (2, 3)],
        [
            Answers(kind=Kind.LABELS, labels=ONES.astype(int), values=values)
            for values in (None, ONES)
        ],
    ],
)
def test_batches_that_do_not_show_the_same_are_refused(parts):
    with refuses(EndpointError):
        join(parts)


def test_numbers_with_a_fraction_cannot_be_labels():
    with refuses(InvalidArgumentError, field="shows"):
        check_shows(Kind.LABELS)


@pytest.mark.parametrize(
    ("settings", "label", "index"),
    [
        *(({}, 2, 2), ({}, "2", 2), ({"first": 1}, 1, 0), ({"first": 1}, "3", 2)),
        *(({"first": -1}, -1, 0), ({"names": ODD}, "dog", 1), ({"names": ODD}, "1", 2)),
        ({"names": ODD}, 1, 1),
        ({"names": ODD, "naming": Naming.INDEX}, "1", 1),
        ({"names": ODD, "naming": Naming.NAME}, "1", 2),
    ],
)
def test_a_label_is_found_by_number_or_name(settings, label, index):
    assert LabelFormat(classes=3, **settings).index(label) == index


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        *(({}, label) for label in (3, -1, 1.0, True, None, [1], "cat", "²", "9" * 5000)),
        *(({"first": 1}, 0), ({"names": ODD}, "bird"), ({"names": ODD}, "Cat")),
        *(({"names": ODD, "naming": Naming.NAME}, 1), ({"names": ("a", "a", "b")}, "a")),
    ],
)
def test_an_unknown_label_is_no_answer(settings, label):
    with refuses(EndpointError):
        LabelFormat(classes=3, **settings).index(label)


@pytest.mark.parametrize("settings", [{"names": ("a", "b")}, {"naming": Naming.NAME}])
def test_names_that_do_not_fit_the_classes_are_refused(settings):
    with refuses(InvalidArgumentError, field="names"):
        LabelFormat(classes=3, **settings)


def read_one(entry, layout=None, numbers=N.SCORES, classes=4, names=NAMES, **more):
    """What the answer to one input shows: its kind, labels and values."""
    labelling = LabelFormat(classes=classes, names=names, **more)
    answer = AnswerFormat(labels=labelling, layout=layout, numbers=numbers, rows=Rows.ONE).read(
        entry, count=1
    )
    columns = (answer.labels, answer.values)
    return answer.kind, *(None if part is None else part[0].tolist() for part in columns)


@pytest.mark.parametrize(
    ("layout", "numbers", "entry", "kind", "labels", "values"),
    [
        (None, N.SCORES, [1, -2.5, 3, 4], Kind.SCORES, None, [1, -2.5, 3, 4]),
        (None, N.PROBABILITIES, [0, 1.0, 0, 0], Kind.PROBABILITIES, None, [0, 1, 0, 0]),
        (None, N.PERCENT, [12.34, 80, 7.66, 0], Kind.PROBABILITIES, None, [0.1234, 0.8, 0.0766, 0]),
        (None, N.SCORES, 2, Kind.LABELS, [2], None),
        (None, N.SCORES, "dog", Kind.LABELS, [1], None),
        (None, N.SCORES, ["dog", "cat"], Kind.LABELS, [1, 0], None),
        (L.LABELS, N.SCORES, [3, 1], Kind.LABELS, [3, 1], None),
        (L.LABELS, N.SCORES, [3, 1, 0, 2], Kind.LABELS, [3, 1, 0, 2], None),
        (None, N.PERCENT, [70, 20, 10, 0], Kind.PROBABILITIES, None, [0.7, 0.2, 0.1, 0]),
        (L.SCORES, N.SCORES, [3, 1, 0, 2], Kind.SCORES, None, [3, 1, 0, 2]),
        (None, N.SCORES, {"dog": 1, "cat": 3}, Kind.LABELS, [0, 1], None),
        (None, N.PROBABILITIES, {"dog": 0.2, "cat": 0.7}, Kind.LABELS, [0, 1], [0.7, 0.2]),
        (None, N.SCORES, {"fox": 4, "elk": 3, "dog": 2, "cat": 1}, Kind.SCORES, None, [1, 2, 3, 4]),
        (
            None,
            N.PROBABILITIES,
            [{"label": "elk", "score": 0.1}, {"score": 0.8, "label": "fox", "more": 1}],
            Kind.LABELS,
            [3, 2],
            [0.8, 0.1],
        ),
        (None, N.SCORES, [["elk", 1], [0, 2]], Kind.LABELS, [0, 2], None),
        (
            L.COLUMNS,
            N.PERCENT,
            {"labels": [2, 0], "scores": [50, 25]},
            Kind.LABELS,
            [2, 0],
            [0.5, 0.25],
        ),
    ],
)
def test_every_layout_is_read_as_what_it_shows(layout, numbers, entry, kind, labels, values):
    assert read_one(entry, layout, numbers) == (kind, labels, values)


def test_labels_that_share_a_place_end_the_list_before_them():
    scored = {"dog": 0.3, "cat": 0.4, "elk": 0.3}
    assert read_one(scored, numbers=N.PROBABILITIES) == (Kind.LABELS, [0], [0.4])
    with pytest.raises(EndpointError, match="share the first place"):
        read_one({"dog": 0.5, "cat": 0.5})
    # All classes may share places, for the spec to judge.
    assert read_one(dict.fromkeys(NAMES, 1)) == (Kind.SCORES, None, [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("layout", "entry", "message"),
    [
        *((None, None, "got nothing"), (None, 1.5, "got 1.5"), (None, True, "got true")),
        (None, [3, 1, 0, 2], "4 whole numbers, .*: set `layout`"),
        (None, [[0.1, 0.2, 0.3, 0.4]], "a list around one: set `select` or `layout`"),
        *((None, [1, 2, 3, 10**400], "4 whole numbers"), (None, [], "got 0")),
        *((None, [1, 2, 3], "got 3"), (None, [1, 2, 3, "4"], 'got "4"')),
        *((None, [1, 2, 3, None], "got nothing"), (L.SCORES, [1, 2, 3, 10**400], "larger")),
        *((None, {}, "got 0"), (None, {"bird": 1}, "bird")),
        *((None, {"fox": 25, "1": 50}, 'got "1"'), (None, {"cat": "1"}, 'got "1"')),
        *((None, [{"label": "cat"}], "got an object"), (None, [["cat", 1, 2]], "got a list")),
        (None, [["cat", 1], ["cat", 2]], 'got "cat" twice'),
        *((None, [["cat", 1], [0, 2]], "twice"), (None, ["cat"] * 5, "got 5")),
        *((L.SCORES, {"cat": 1}, "got an object"), (L.MAP, [1, 2, 3, 4], "got a list")),
        (L.PAIRS, {"cat": 1}, "got an object"),
        (L.COLUMNS, {"labels": [0]}, "scores: .*got nothing"),
        (L.COLUMNS, {"labels": [0], "scores": [1, 2]}, "got 2"),
        *((L.LABELS, [], "got 0"), (L.LABELS, {}, "got an object")),
    ],
)
def test_what_is_laid_out_otherwise_is_no_answer(layout, entry, message):
    with pytest.raises(EndpointError, match=message):
        read_one(entry, layout)


def test_one_label_with_its_score_is_not_guessed_where_it_may_be_the_scores_of_two_classes():
    with pytest.raises(EndpointError, match="a list around one"):
        read_one([[0, 1]], classes=2, names=())
    assert read_one([[0, 1]], L.PAIRS, classes=2, names=()) == (Kind.LABELS, [0], None)
    named = read_one([["dog", 0.5]], classes=2, names=("cat", "dog"))
    assert named == (Kind.LABELS, [1], None)


def read(content, *, count=2, **settings):
    return AnswerFormat(**{"labels": THREE, **settings}).read(content, count=count)


def test_an_expression_picks_a_list_with_an_entry_for_each_input():
    answer = read({"predictions": [[1.5, 2, 3], [4.5, 5, 6]]}, select="predictions")
    assert (answer.kind, answer.values.tolist()) == (Kind.SCORES, [[1.5, 2, 3], [4.5, 5, 6]])


def test_labels_of_several_inputs_are_cut_to_the_shortest():
    assert read([{"cat": 3, "dog": 2}, {"elk": 1}]).labels.tolist() == [[0], [2]]


def test_percentages_with_too_few_digits_do_not_tell_and_are_no_other_answer():
    spec = Probabilities(4)
    expected = spec.reveal(np.log([[0.1234, 0.5678, 0.3088]]))
    exact = read([[12.34, 56.78, 30.88]], count=1, numbers=N.PERCENT)
    assert spec.agree(expected, spec.read(exact)).all()
    rounded = spec.read(read([[12, 57, 31]], count=1, numbers=N.PERCENT))
    with refuses(EndpointError):
        spec.agree(expected, rounded)


@pytest.mark.parametrize(
    ("content", "settings", "where"),
    [
        *(({}, {"select": "a"}, "a"), ({"a": {}}, {"select": "a"}, "a")),
        *(({"a": [[1, 2, 3]]}, {"select": "a"}, "a"), ([[1, 2, 3]] * 3, {}, "@")),
        ([[1.5, 2, 3], [1, 2]], {}, "@[1]"),
        ([[1.5, 2, 3], {"cat": 1}], {}, "expected answers of one form"),
        *(([0, "bird"], {}, "@[1]"), ({"a": "x"}, {"select": "sum(a)"}, "sum(a)")),
        ({"a": 10**400}, {"select": "avg([a])"}, "avg([a])"),
        *((5, {"rows": Rows.ONE, "select": "x"}, "x"), ([5], {"rows": Rows.ONE}, "@")),
    ],
)
def test_what_holds_no_answer_to_each_input_is_an_error_that_says_where(content, settings, where):
    with refuses(EndpointError) as caught:
        read(content, **settings)
    assert str(caught.value).startswith((f"{where}: ", f"{where},"))


@pytest.mark.parametrize("select", ["", "a[", "a b", "nothing(@)(", "@@"])
def test_a_malformed_expression_is_refused_before_anyone_is_asked(select):
    with refuses(InvalidArgumentError, field="select"):
        AnswerFormat(labels=THREE, select=select)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 4)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["cat", "dog", "elk", "0", "1", "3", "-1", "²"])
)
keys = st.sampled_from(["predictions", "label", "score", "labels", "scores", "cat", "dog", "1"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)
near = st.lists(
    st.lists(scalars, min_size=3, max_size=3)
    | st.dictionaries(st.sampled_from(["cat", "dog", "elk"]), scalars, min_size=1)
    | st.lists(st.fixed_dictionaries({"label": scalars, "score": scalars}), min_size=1, max_size=3)
    | st.fixed_dictionaries({"labels": st.lists(scalars), "scores": st.lists(scalars)}),
    min_size=2,
    max_size=2,
)
EXPRESSIONS = ["@", "predictions", "[*].score", "sum(@)", "to_number(@)", "keys(@)", "sort(@)"]
EXPRESSIONS += ["max(@)", "[].{label: label, score: score}", "ceil([0])"]
formats = st.builds(
    dict,
    select=st.sampled_from(EXPRESSIONS),
    layout=st.none() | st.sampled_from(Layout),
    numbers=st.sampled_from(Numbers),
    rows=st.sampled_from(Rows),
)
labellings = st.builds(
    dict,
    names=st.sampled_from([(), ("cat", "dog", "elk"), ("cat", "cat", "1")]),
    naming=st.none() | st.just(Naming.INDEX),
    first=st.integers(-2, 2),
)


def outcome(act):
    """What comes of an act: a value, or our own error. Anything else passes through."""
    try:
        return act()
    except EndpointError as error:
        return error


@settings(max_examples=700)
@given(content=values | near, how=formats, labels=labellings)
def test_whatever_a_server_says_is_an_answer_for_each_input_or_an_error(content, how, labels):
    answers = AnswerFormat(labels=LabelFormat(classes=3, **labels), **how)
    answer = outcome(lambda: answers.read(content, count=2))
    if isinstance(answer, EndpointError):
        assert str(answer).isprintable()
        return
    assert isinstance(answer, Answers)
    assert len(answer) == (1 if how["rows"] is Rows.ONE else 2)
    if answer.labels is not None:
        assert ((answer.labels >= 0) & (answer.labels < 3)).all()


@settings(max_examples=300)
@given(text=st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_bytes_come_are_an_answer_or_an_error(text):
    answer = outcome(lambda: read(read_value(text)))
    assert isinstance(answer, Answers | EndpointError)
    assert str(answer)
