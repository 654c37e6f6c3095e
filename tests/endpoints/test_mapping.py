import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelseal.endpoints.responses import AnswerMapping, Labelling, Layout, Naming, Numbers, Rows
from modelseal.endpoints.strict_json import read_value
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import Probabilities

LABELLING = Labelling(classes=3, names=("cat", "dog", "elk"))


def read(content, *, count=2, **settings):
    return AnswerMapping(**{"labelling": LABELLING, **settings}).read(content, count=count)


def test_an_expression_picks_a_list_with_an_entry_for_each_input():
    answer = read({"predictions": [[1.5, 2, 3], [4.5, 5, 6]]}, select="predictions")
    assert (answer.kind, answer.values.tolist()) == (Kind.SCORES, [[1.5, 2, 3], [4.5, 5, 6]])


def test_an_expression_can_pick_the_entry_of_the_one_input():
    content = {"results": [{"name": "dog", "p": 60}, {"name": "cat", "p": 40}]}
    select = "results[].{label: name, score: p}"
    answer = read(content, count=1, select=select, rows=Rows.ONE, numbers=Numbers.PERCENT)
    assert (answer.labels.tolist(), answer.values.tolist()) == ([[1, 0]], [[0.6, 0.4]])


def test_labels_of_several_inputs_are_cut_to_the_shortest():
    answer = read([{"cat": 3, "dog": 2}, {"elk": 1}])
    assert answer.labels.tolist() == [[0], [2]]


def test_percentages_with_too_few_digits_do_not_tell_and_are_no_other_answer():
    spec = Probabilities(4)
    expected = spec.reveal(np.log([[0.1234, 0.5678, 0.3088]]))
    exact = read([[12.34, 56.78, 30.88]], count=1, numbers=Numbers.PERCENT)
    assert spec.agree(expected, spec.read(exact)).all()
    rounded = spec.read(read([[12, 57, 31]], count=1, numbers=Numbers.PERCENT))
    with pytest.raises(EndpointError, match="4 digits were wanted, but 2 came"):
        spec.agree(expected, rounded)


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ({}, {"select": "a"}, "a: an answer was wanted, but nothing came"),
        ({"a": {}}, {"select": "a"}, "a: a list was wanted, but an object came"),
        ({"a": [[1, 2, 3]]}, {"select": "a"}, "a: 2 answers were wanted, but 1 came"),
        ([[1, 2, 3]] * 3, {}, "@: 2 answers were wanted, but 3 came"),
        ([[1.5, 2, 3], [1, 2]], {}, r"@\[1\]: 3 scores were wanted, but 2 came"),
        ([[1.5, 2, 3], {"cat": 1}], {}, "answers of one form were wanted"),
        ([0, "bird"], {}, r"@\[1\]: the name of a class was wanted, but 'bird' came"),
        ({"a": "x"}, {"select": "sum(a)"}, r"sum\(a\): no answer was found there: "),
        ({"a": 10**400}, {"select": "avg([a])"}, "no answer was found there"),
        (5, {"rows": Rows.ONE, "select": "x"}, "x: an answer was wanted"),
        ([5], {"rows": Rows.ONE}, "3 scores were wanted, but 1 came"),
    ],
)
def test_what_holds_no_answer_to_each_input_is_an_error_that_says_where(content, settings, message):
    with pytest.raises(EndpointError, match=message):
        read(content, **settings)


@pytest.mark.parametrize("select", ["", "a[", "a b", "nothing(@)(", "@@"])
def test_a_malformed_expression_is_refused_before_anyone_is_asked(select):
    with pytest.raises(InvalidArgumentError, match="a JMESPath expression was wanted"):
        AnswerMapping(labelling=LABELLING, select=select)


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
mappings = st.builds(
    dict,
    select=st.sampled_from(
        [
            "@",
            "predictions",
            "[*].score",
            "sum(@)",
            "to_number(@)",
            "keys(@)",
            "sort(@)",
            "max(@)",
            "[].{label: label, score: score}",
            "ceil([0])",
        ]
    ),
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


@settings(max_examples=1500)
@given(content=values | near, how=mappings, labelling=labellings)
def test_whatever_a_server_says_is_an_answer_for_each_input_or_an_error(content, how, labelling):
    mapping = AnswerMapping(labelling=Labelling(classes=3, **labelling), **how)
    answer = outcome(lambda: mapping.read(content, count=2))
    if isinstance(answer, EndpointError):
        assert str(answer).isprintable()
        return
    assert isinstance(answer, Answers)
    assert len(answer) == (1 if how["rows"] is Rows.ONE else 2)
    if answer.labels is not None:
        assert ((answer.labels >= 0) & (answer.labels < 3)).all()


@settings(max_examples=500)
@given(text=st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_bytes_come_are_an_answer_or_an_error(text):
    answer = outcome(lambda: read(read_value(text)))
    assert isinstance(answer, Answers | EndpointError)
    assert str(answer)
