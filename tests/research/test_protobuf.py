import numpy as np
import pytest
from caffe_schema import Network, UnpackedNetwork, fill
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.errors import InvalidArgumentError
from modelseal.research import protobuf
from modelseal.research.protobuf import (
    DEEPEST,
    Wire,
    join_floats,
    join_numbers,
    parse_prototext,
    read_message,
    read_text,
)


def view(content):
    return memoryview(bytes(content))


@pytest.mark.parametrize("network", [Network, UnpackedNetwork])
@given(sizes=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9), name=st.text())
def test_numbers_and_texts_come_back_as_the_library_wrote_them(network, sizes, name):
    made = network(name=name)
    made.input_shape.add().dim.extend(sizes)
    fields = read_message(view(made.SerializeToString()))
    assert read_text(fields.get(1, [])) == name
    assert join_numbers(read_message(fields[8][0].content).get(1, [])) == sizes


@pytest.mark.parametrize("network", [Network, UnpackedNetwork])
@given(values=st.lists(st.floats(width=32, allow_nan=False), max_size=9))
def test_floats_come_back_as_the_library_wrote_them(network, values):
    blob = network().layer.add().blobs.add()
    fill(blob, np.array(values))
    fill(blob, np.array(values), kind="double_data")
    fields = read_message(view(blob.SerializeToString()))
    assert join_floats(fields.get(5, []), Wire.FOUR_BYTES).tolist() == values
    assert join_floats(fields.get(8, []), Wire.EIGHT_BYTES).tolist() == values


@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(content):
    try:
        fields = read_message(view(content))
    except InvalidArgumentError:
        return
    values = [each for row in fields.values() for each in row]
    assert sum(len(each.content) for each in values) <= len(content)


@pytest.mark.parametrize(
    "content",
    [[0x80], [0x80] * 10 + [1], [0x0B], [0x00], [0x08], [0x0A, 5, 1], [0x0D, 1, 2], [0x09, 1, 2]],
)
def test_what_is_no_message_is_refused(content):
    with refuses(InvalidArgumentError):
        read_message(view(content))


def test_of_several_texts_the_last_one_counts_and_too_many_fields_are_refused(monkeypatch):
    fields = read_message(view(b"\x0a\x01a\x0a\x02bc"))
    assert (read_text(fields[1]), read_text([])) == ("bc", "")
    monkeypatch.setattr(protobuf, "MOST_FIELDS", 1)
    with pytest.raises(InvalidArgumentError, match="at most 1"):
        read_message(view([8, 1, 8, 2]))


def test_values_of_another_kind_are_refused():
    fields = read_message(view([0x0D, 0, 0, 0, 0, 0x10, 1, 0x1A, 1, 0xFF]))
    for number, read in (
        (1, join_numbers),
        (1, lambda values: join_floats(values, Wire.EIGHT_BYTES)),
        (2, lambda values: join_floats(values, Wire.FOUR_BYTES)),
        (3, lambda values: join_floats(values, Wire.FOUR_BYTES)),
        (3, read_text),
    ):
        with pytest.raises(InvalidArgumentError, match=f"field {number}"):
            read(fields[number])


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
    ("text", "place"),
    [
        ("a: 1\n}", "line 2"),
        ("a {", "end"),
        ("a < b: 1 }", "line 1"),
        ("a 1", "line 1"),
        ("a:", "end"),
        ("\n\na: !", "line 3"),
        ('a: "b', "line 1"),
        ("a: [1 2]", "line 1"),
        ("a: [1, ", "end"),
        ("a {" * (DEEPEST + 1), "line 1"),
    ],
)
def test_what_is_no_such_text_is_refused(text, place):
    with pytest.raises(InvalidArgumentError, match=place):
        parse_prototext(text)


def test_texts_and_messages_are_not_mixed_up():
    read = parse_prototext("a { b: 1.5 } c: 1234567890")
    for ask, sentence in (
        (lambda: read.texts("a"), "in a, "),
        (lambda: read.messages("c"), "in c, "),
        (lambda: read.messages("a")[0].numbers("b"), r"in b, got 1\.5"),
        (lambda: read.numbers("c"), "in c, got 1234567890"),
    ):
        with pytest.raises(InvalidArgumentError, match=sentence):
            ask()


@given(text=st.text('ab1{}<>:;,[]"# \n', max_size=30))
def test_any_text_is_a_message_or_refused(text):
    try:
        read = parse_prototext(text)
    except InvalidArgumentError:
        return
    assert all(name in text for name in read.fields)
