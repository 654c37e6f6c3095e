import numpy as np
import pytest
from caffe_schema import Network, UnpackedNetwork, fill
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.research import protobuf
from modelseal.research.protobuf import (
    Wire,
    join_floats,
    join_numbers,
    read_message,
    read_number,
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


def test_parts_of_one_field_are_joined():
    blob = Network().layer.add().blobs.add()
    blob.data.append(1.5)
    twice = view(2 * blob.SerializeToString())
    assert join_floats(read_message(twice)[5], Wire.FOUR_BYTES).tolist() == [1.5, 1.5]


@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(content):
    try:
        fields = read_message(view(content))
    except InvalidArgumentError:
        return
    values = [each for row in fields.values() for each in row]
    assert sum(len(each.content) for each in values) <= len(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([0x80], "a number that ends was wanted"),
        ([0x80] * 10 + [1], "a number that ends was wanted"),
        ([0x0B], "a field was wanted, but number 1 is of kind 3"),
        ([0x00], "a field was wanted, but number 0 is of kind 0"),
        ([0x08], "a number that ends was wanted"),
        ([0x0A, 5, 1], "field 1 needs 5 bytes, but only 1 are left"),
        ([0x0D, 1, 2, 3], "field 1 needs 4 bytes, but only 3 are left"),
        ([0x09, 1, 2, 3], "field 1 needs 8 bytes, but only 3 are left"),
    ],
)
def test_what_is_no_message_is_refused(content, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        read_message(view(content))


def test_of_several_texts_the_last_one_counts_and_none_is_empty():
    fields = read_message(view(b"\x0a\x01a\x0a\x02bc"))
    assert (read_text(fields[1]), read_text([])) == ("bc", "")


def test_a_message_of_too_many_fields_is_refused(monkeypatch):
    monkeypatch.setattr(protobuf, "MOST_FIELDS", 2)
    assert len(read_message(view([8, 1, 8, 2]))[1]) == 2
    with pytest.raises(InvalidArgumentError, match="at most 2 fields was wanted"):
        read_message(view([8, 1, 8, 2, 8, 3]))


def test_values_of_another_kind_are_refused():
    fields = read_message(view([0x0D, 0, 0, 0, 0, 0x10, 1, 0x1A, 1, 0xFF]))
    with pytest.raises(InvalidArgumentError, match="field 1 needs whole numbers"):
        join_numbers(fields[1])
    with pytest.raises(InvalidArgumentError, match="field 1 needs numbers of 8 bytes each"):
        join_floats(fields[1], Wire.EIGHT_BYTES)
    with pytest.raises(InvalidArgumentError, match="field 2 needs numbers of 4 bytes each"):
        join_floats(fields[2], Wire.FOUR_BYTES)
    with pytest.raises(InvalidArgumentError, match="field 3 needs numbers of 4 bytes each"):
        join_floats(fields[3], Wire.FOUR_BYTES)
    with pytest.raises(InvalidArgumentError, match="field 3 is no text in UTF-8"):
        read_text(fields[3])


def test_a_number_too_long_for_64_bits_keeps_its_lower_ones():
    assert read_number(view([0xFF] * 9 + [0x7F]), 0) == (2**64 - 1, 10)
