import pytest
from caffe_schema import Network
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.research.protobuf import DEEPEST, parse_prototext

WORDS = st.text("abc_ #{}:;", max_size=9)


@given(
    names=st.lists(WORDS, max_size=4),
    dims=st.lists(st.integers(0, 10**8), max_size=4),
    one_line=st.booleans(),
)
def test_what_the_library_writes_is_read_as_it_was(names, dims, one_line):
    made = Network(input=names, input_dim=dims)
    for name in names:
        made.layer.add(name=name).convolution_param.kernel_size.extend(dims)
    read = parse_prototext(text_format.MessageToString(made, as_one_line=one_line))
    assert read.texts("input") == names
    assert read.numbers("input_dim") == dims
    assert [layer.texts("name") for layer in read.messages("layer")] == [[each] for each in names]
    for layer in read.messages("layer"):
        (own,) = layer.messages("convolution_param")
        assert own.numbers("kernel_size") == dims


def test_every_way_of_writing_is_read():
    read = parse_prototext(
        "# a comment\nname: 'it\\'s' ; a < b: 1, b: [2, 3] > a: { b: -1.5e-3 } c: [] d: MAX"
    )
    first, second = read.messages("a")
    assert first.numbers("b") == [1, 2, 3]
    assert second.texts("b") == ["-1.5e-3"]
    assert (read.texts("c"), read.texts("d"), read.texts("none")) == ([], ["MAX"], [])
    assert read.texts("name") == ["it\\'s"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\n}", r"line 2: a name was wanted, but is '}'"),
        ("a {", r"} was wanted, but the text ends"),
        ("a < b: 1 }", r"line 1: a name was wanted, but is '}'"),
        ("a 1", r"line 1: : was wanted, but is '1'"),
        ("a:", r"a name or number or text was wanted, but the text ends"),
        ("\n\na: !", r"line 3: '!' was not expected"),
        ('a: "b', r"line 1: '\"' was not expected"),
        ("a: [1 2]", r"line 1: , was wanted, but is '2'"),
        ("a: [1, ", r"a name or number or text was wanted, but the text ends"),
        ("a {" * (DEEPEST + 1), rf"line 1: messages are more than {DEEPEST} deep"),
    ],
)
def test_what_is_no_such_text_is_refused(text, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        parse_prototext(text)


def test_values_of_another_kind_are_refused():
    read = parse_prototext("a { b: 1.5 } c: 1234567890")
    with pytest.raises(InvalidArgumentError, match="a needs a value, but is a message"):
        read.texts("a")
    with pytest.raises(InvalidArgumentError, match="c needs a message, but is a value"):
        read.messages("c")
    with pytest.raises(InvalidArgumentError, match=r"b needs a whole number, but is 1\.5"):
        read.messages("a")[0].numbers("b")
    with pytest.raises(InvalidArgumentError, match="c needs a whole number, but is 1234567890"):
        read.numbers("c")


@given(text=st.text('ab1{}<>:;,[]"# \n', max_size=30))
def test_any_text_is_a_message_or_refused(text):
    try:
        read = parse_prototext(text)
    except InvalidArgumentError:
        return
    assert all(name in text for name in read.fields)
