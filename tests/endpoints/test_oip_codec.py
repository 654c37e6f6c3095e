import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelseal.endpoints.oip.rest_codec import (
    DTYPES,
    JSON_LENGTH,
    Target,
    decode,
    encode_binary,
    encode_json,
)
from modelseal.errors import EndpointError

OUTPUT = {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4.5]}


def read(content, data=b"", *, length=None, output="", version=""):
    """Decodes a response of this content, with bytes behind it if there are any."""
    head = json.dumps(content).encode()
    length = (str(len(head)) if data else "") if length is None else length
    target = Target(name="m", version=version)
    return decode(head + data, length=length, target=target, request="r1", output=output)


def test_a_json_request_is_what_the_protocol_says():
    inputs = np.array([[[0.5, 1.0]], [[-2.0, 0.1]]], np.float32)
    message = encode_json(inputs, name="x", datatype="FP32", request="r1")
    assert message.headers == {"Content-Type": "application/json"}
    assert json.loads(message.body) == {
        "id": "r1",
        "inputs": [
            {
                "name": "x",
                "shape": [2, 1, 2],
                "datatype": "FP32",
                "data": [0.5, 1.0, -2.0, float(np.float32(0.1))],
            }
        ],
    }


def test_a_binary_request_has_little_endian_bytes_behind_the_json():
    inputs = np.array([[0.5, -2.0]], np.float32)
    message = encode_binary(inputs, name="x", datatype="FP32", request="r1")
    length = int(message.headers[JSON_LENGTH])
    assert message.body[length:] == struct.pack("<2f", 0.5, -2.0)
    assert json.loads(message.body[:length]) == {
        "id": "r1",
        "inputs": [
            {
                "name": "x",
                "shape": [1, 2],
                "datatype": "FP32",
                "parameters": {"binary_data_size": 8},
            }
        ],
        "parameters": {"binary_data_output": True},
    }


@given(
    array=st.one_of(
        hnp.arrays(
            DTYPES[name].newbyteorder("="),
            hnp.array_shapes(min_dims=1, max_dims=2, max_side=5),
            elements={"allow_nan": False, "allow_infinity": False}
            if name.startswith("FP")
            else None,
        )
        for name in DTYPES
        if name != "FP16"
    ),
    form=st.sampled_from(["flat", "nested", "binary"]),
)
def test_every_array_comes_back_bit_for_bit_in_every_form(array, form):
    prefix = {"f": "FP", "i": "INT", "u": "UINT"}[array.dtype.kind]
    datatype = f"{prefix}{8 * array.itemsize}"
    tensor = {"name": "y", "datatype": datatype, "shape": list(array.shape)}
    data = b""
    if form == "binary":
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        tensor["parameters"] = {"binary_data_size": len(data)}
    else:
        tensor["data"] = (array if form == "nested" else array.ravel()).tolist()
    output = read({"outputs": [tensor]}, data).output
    assert output.dtype == array.dtype
    assert output.tobytes() == array.tobytes()
    assert output.shape == array.shape


@pytest.mark.parametrize("binary", [False, True])
def test_half_precision_becomes_float32_with_the_same_values(binary):
    values = np.array([[0.1, 65504.0, -1e-7]], np.float16)
    tensor = {"name": "y", "datatype": "FP16", "shape": [1, 3]}
    if binary:
        tensor["parameters"] = {"binary_data_size": 6}
    else:
        tensor["data"] = values.tolist()
    output = read({"outputs": [tensor]}, values.tobytes() if binary else b"").output
    assert output.dtype == np.float32
    assert np.array_equal(output, values)


def test_the_declared_output_is_taken_and_the_first_if_none_is_declared():
    outputs = [OUTPUT | {"name": "a"}, OUTPUT | {"name": "b", "data": [9, 8, 7, 6]}]
    assert read({"outputs": outputs}, output="b").output[0, 0] == 9
    assert read({"outputs": outputs}, output="a").output[0, 0] == 1
    assert read({"outputs": outputs}, output="").output[0, 0] == 1
    with pytest.raises(EndpointError, match='outputs: "c" was wanted, but "a", "b" came'):
        read({"outputs": outputs}, output="c")
    with pytest.raises(EndpointError, match='outputs: "y" was wanted, but nothing, a list came'):
        read({"outputs": [{}, {"name": ["y"]}]}, output="y")


def test_the_bytes_of_several_outputs_stand_one_after_another():
    def tensor(name, **parameters):
        return {"name": name, "datatype": "INT32", "shape": [2], "parameters": parameters}

    outputs = [
        tensor("a", binary_data_size=8),
        tensor("json") | {"data": [5, 6]},
        tensor("b", binary_data_size=8),
    ]
    data = struct.pack("<4i", 1, 2, 3, 4)
    assert read({"outputs": outputs}, data, output="a").output.tolist() == [1, 2]
    assert read({"outputs": outputs}, data, output="b").output.tolist() == [3, 4]
    assert read({"outputs": outputs}, data, output="json").output.tolist() == [5, 6]


@pytest.mark.parametrize(("version", "wanted"), [("3", "3"), (3, "3"), (None, ""), ("a\nb", "a b")])
def test_the_version_is_kept_as_short_text(version, wanted):
    assert read({"outputs": [OUTPUT], "model_version": version}).version == wanted


@pytest.mark.parametrize("answered", [{}, {"id": None}, {"id": ""}, {"id": "r1"}])
def test_the_requests_name_may_be_left_out(answered):
    assert read(answered | {"outputs": [OUTPUT]}).output.tolist() == [[1, 2], [3, 4.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"id": "r2", "outputs": [OUTPUT]}, 'id: r1 was wanted, but "r2" came'),
        ({"id": 1, "outputs": [OUTPUT]}, "id: r1 was wanted, but 1 came"),
        ({"error": "no"}, "outputs: a list was wanted, but nothing came"),
        ({"outputs": []}, "outputs: at least one was wanted, but none came"),
        ({"outputs": [3]}, r"outputs\[0\]: an object was wanted, not 3"),
    ],
)
def test_a_response_without_an_output_for_us_is_refused(content, message):
    with pytest.raises(EndpointError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatype": None}, "datatype: a text was wanted, but nothing came"),
        ({"datatype": "BYTES"}, "datatype: numbers were wanted, but BYTES came"),
        ({"shape": None}, "shape: a list was wanted, but nothing came"),
        ({"shape": ["2", 2]}, r'shape\[0\]: a size was wanted, but "2" came'),
        ({"shape": [-1, -4]}, r"shape\[1\]: a size was wanted, but -4 came"),
        ({"shape": [-1, 4]}, r"shape: one or two sizes from 1 were wanted, but \[-1, 4\] came"),
        ({"shape": [0, 10**30], "data": []}, "shape: one or two sizes from 1 were wanted"),
        ({"shape": []}, r"shape: one or two sizes from 1 were wanted, but \[\] came"),
        ({"shape": [2, 2, 1]}, "shape: one or two sizes from 1 were wanted"),
        ({"shape": [10**30, 10**30]}, "data: 10+ numbers were wanted, but 4 came"),
        ({"shape": [2, 3]}, "data: 6 numbers were wanted, but 4 came"),
        ({"data": None}, "data: a list was wanted, but nothing came"),
        ({"data": []}, "data: 4 numbers were wanted, but 0 came"),
        ({"data": [1, 2, 3, "4"]}, 'a number was wanted, but "4" came'),
        ({"data": [1, 2, 3, None]}, "a number was wanted, but nothing came"),
        ({"data": [1, 2, 3, True]}, "a number was wanted, but true came"),
        ({"data": [1, 2, 3, 1e300]}, "finite numbers within float32 were wanted"),
        ({"data": [[1, 2], [3, 4, 5]]}, r"data: lists of shape \[2, 2\] were wanted"),
        ({"data": [[1, 2], 3]}, r"data: lists of shape \[2, 2\] were wanted"),
        ({"data": [[1, 2], [3, [4]]]}, "a number was wanted, but a list came"),
        ({"data": [[1, 2]]}, r"data: lists of shape \[2, 2\] were wanted"),
        ({"datatype": "INT64"}, "a whole number was wanted, but 4.5 came"),
        ({"datatype": "INT8", "data": [1, 2, 3, 128]}, "numbers that fit int8 were wanted"),
        ({"parameters": {"binary_data_size": 16}}, "16 bytes were wanted behind the JSON, but 0"),
        ({"parameters": {"binary_data_size": -1}}, "binary_data_size: a size was wanted, but -1"),
        ({"parameters": {"binary_data_size": "1"}}, "binary_data_size: a size was wanted"),
    ],
)
def test_an_output_that_is_not_what_it_says_is_refused(change, message):
    with pytest.raises(EndpointError, match=message):
        read({"outputs": [OUTPUT | change]})


@pytest.mark.parametrize(
    ("size", "data", "message"),
    [
        (12, b"\0" * 12, r"outputs\[0\]: FP32 of shape \[2, 2\] was wanted, but 12 bytes came"),
        (16, b"\0" * 15, "16 bytes were wanted behind the JSON, but 15 came"),
        (16, b"\0" * 17, "16 bytes were wanted behind the JSON, but 17 came"),
    ],
)
def test_bytes_of_another_number_are_refused(size, data, message):
    tensor = {key: OUTPUT[key] for key in ("name", "datatype", "shape")}
    with pytest.raises(EndpointError, match=message):
        read({"outputs": [tensor | {"parameters": {"binary_data_size": size}}]}, data)


@pytest.mark.parametrize("length", ["x", "-1", "1.0", "99999", "9" * 5000, "0" * 5000, "²", "1 "])
def test_a_length_that_is_no_length_is_refused(length):
    with pytest.raises(EndpointError, match=f"{JSON_LENGTH}: a length up to .* was wanted"):
        read({"outputs": [OUTPUT]}, length=length)


def test_an_answer_for_another_model_is_refused_and_one_that_does_not_say_is_taken():
    for name in ("m", "", None):
        assert read({"model_name": name, "outputs": [OUTPUT]}).output.shape == (2, 2)
    with pytest.raises(EndpointError, match='model_name: m was wanted, but "n" came'):
        read({"model_name": "n", "outputs": [OUTPUT]})


def test_the_version_that_answers_is_told_and_must_be_the_one_asked_for_if_any():
    for version in ("3", 3, "", None):
        content = {"model_version": version, "outputs": [OUTPUT]}
        assert read(content, version="3").version == ("3" if version else "")
    content = {"model_version": "4", "outputs": [OUTPUT]}
    assert read(content).version == "4"
    with pytest.raises(EndpointError, match='model_version: 3 was wanted, but "4" came'):
        read(content, version="3")


@given(st.binary(max_size=200), st.sampled_from(["", "0", "5", "200"]))
def test_no_bytes_whatever_raise_anything_but_an_endpoint_error(body, length):
    with pytest.raises(EndpointError, match=r"\w+ wanted"):
        decode(body, length=length, target=Target(name="m"), request="r1", output="")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(OUTPUT, json_values)), st.binary())
def test_no_output_whatever_raises_anything_but_an_endpoint_error(change, data):
    try:
        output = read({"outputs": [OUTPUT | change]}, data).output
    except EndpointError:
        return
    assert not data
    assert output.ndim in {1, 2}
    assert np.isfinite(output).all()
