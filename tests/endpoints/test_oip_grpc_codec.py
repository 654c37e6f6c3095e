import numpy as np
import pytest
from canned_grpc import METADATA, official, response
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints.oip.grpc_codec import (
    FIELDS,
    decode_metadata,
    decode_response,
    encode_question,
    encode_request,
)
from modelseal.endpoints.oip.rest_codec import DTYPES, Target
from modelseal.errors import EndpointError

M = Target(name="m")


def tensor(values, *, datatype="FP32", shape=None, name="y", field="fp32_contents"):
    """An output as numbers."""
    return official.ModelInferResponse.InferOutputTensor(
        name=name,
        datatype=datatype,
        shape=[1, len(values)] if shape is None else shape,
        contents=official.InferTensorContents(**{field: values}),
    )


def raw(values, datatype, *, shape=None):
    """A response whose output is bytes."""
    data = np.array(values, DTYPES[datatype]).tobytes()
    output = official.ModelInferResponse.InferOutputTensor(
        name="y", datatype=datatype, shape=[1, len(values)] if shape is None else shape
    )
    return official.ModelInferResponse(outputs=[output], raw_output_contents=[data])


def decode(said, *, target=M, output="y", request="r"):
    body = said.SerializeToString()
    return decode_response(body, target=target, request=request, output=output)


def test_a_question_names_the_model_and_the_version_that_is_wanted():
    asked = official.ModelMetadataRequest.FromString(encode_question(Target(name="m", version="3")))
    assert (asked.name, asked.version) == ("m", "3")


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "UINT8"])
def test_a_request_is_one_that_the_protocols_own_description_reads(datatype):
    inputs = np.arange(24, dtype=DTYPES[datatype]).reshape(2, 3, 4)
    body = encode_request(
        inputs, target=Target(name="m", version="3"), name="x", datatype=datatype, request="r"
    )
    asked = official.ModelInferRequest.FromString(body)
    (entry,) = asked.inputs
    assert (asked.model_name, asked.model_version, asked.id) == ("m", "3", "r")
    assert (entry.name, entry.datatype, list(entry.shape)) == ("x", datatype, [2, 3, 4])
    assert not entry.HasField("contents")
    (data,) = asked.raw_input_contents
    assert np.array_equal(np.frombuffer(data, DTYPES[datatype]).reshape(2, 3, 4), inputs)


def test_metadata_become_what_they_are_over_http():
    assert decode_metadata(METADATA.SerializeToString(), target=M) == {
        "versions": [],
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }


def test_metadata_of_another_model_are_refused():
    with pytest.raises(EndpointError, match='name: n was wanted, but "m" came'):
        decode_metadata(METADATA.SerializeToString(), target=Target(name="n"))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_of_fp32_come_bit_for_bit_in_both_forms(values):
    expected = np.array([values], np.float32).tobytes()
    assert decode(raw(values, "FP32")).output.tobytes() == expected
    typed = official.ModelInferResponse(outputs=[tensor(values)])
    assert decode(typed).output.tobytes() == expected


@pytest.mark.parametrize(("datatype", "field"), FIELDS.items())
def test_every_type_of_numbers_is_read_in_both_forms(datatype, field):
    expected = np.array([[1, 2, 3]], DTYPES[datatype].newbyteorder("="))
    typed = official.ModelInferResponse(outputs=[tensor([1, 2, 3], datatype=datatype, field=field)])
    for shown in (decode(raw([1, 2, 3], datatype)).output, decode(typed).output):
        assert np.array_equal(shown, expected)
        assert shown.dtype == expected.dtype


def test_half_precision_comes_as_bytes_only():
    assert decode(raw([0.5], "FP16")).output.dtype == np.float32
    typed = official.ModelInferResponse(outputs=[tensor([0.5], datatype="FP16")])
    with pytest.raises(EndpointError, match="numbers were wanted, but FP16 came without bytes"):
        decode(typed)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (official.ModelInferResponse(), "outputs: at least one was wanted, but none came"),
        (response(1.0, id="other"), 'id: r was wanted, but "other" came'),
        (response(1.0, model_name="n"), 'model_name: m was wanted, but "n" came'),
        (
            official.ModelInferResponse(outputs=[tensor([1.0], name="z")]),
            'outputs: "y" was wanted, but "z" came',
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0], shape=[1, 2])]),
            r"outputs\[0\]: data: 2 numbers were wanted, but 1 came",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0], datatype="FP64")]),
            r"outputs\[0\]: data: 1 numbers were wanted, but 0 came",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0], shape=[])]),
            r"outputs\[0\]: shape: one or two sizes from 1 were wanted, but \[\] came",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0], shape=[1, -1])]),
            r"outputs\[0\]: shape: one or two sizes from 1 were wanted, but \[1, -1\] came",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0], shape=[2**40, 2**40])]),
            r"outputs\[0\]: data: \d{25} numbers were wanted, but 1 came",
        ),
        (
            official.ModelInferResponse(
                outputs=[tensor([b"0.9:3"], datatype="BYTES", field="bytes_contents")]
            ),
            r"outputs\[0\]: datatype: numbers were wanted, but BYTES came",
        ),
        (
            official.ModelInferResponse(
                outputs=[tensor([300], datatype="INT8", field="int_contents")]
            ),
            r"outputs\[0\]: numbers that fit int8 were wanted, not larger",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([float("nan")])]),
            r"outputs\[0\]: finite numbers within float32 were wanted",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0])], raw_output_contents=[b"a", b"b"]),
            r"outputs\[0\]: raw_output_contents: 1 were wanted, but 2 came",
        ),
        (
            official.ModelInferResponse(outputs=[tensor([1.0])], raw_output_contents=[b"abc"]),
            r"outputs\[0\]: FP32 of shape \[1, 1\] was wanted, but 3 bytes came",
        ),
        (
            official.ModelInferResponse(
                outputs=[tensor([b""], datatype="BYTES", field="bytes_contents")],
                raw_output_contents=[b"\4\0\0\0abcd"],
            ),
            r"outputs\[0\]: datatype: numbers were wanted, but BYTES came",
        ),
    ],
)
def test_an_answer_that_is_not_what_it_should_be_is_refused(said, message):
    with pytest.raises(EndpointError, match=message):
        decode(said)


def test_the_output_that_was_declared_is_taken_among_several_in_both_forms():
    typed = official.ModelInferResponse(outputs=[tensor([1.0], name="x"), tensor([2.0])])
    assert decode(typed).output == 2.0
    assert decode(typed, output="").output == 1.0
    data = [np.array(value, "<f4").tobytes() for value in (1.0, 2.0)]
    shapes = [tensor([], shape=[1, 1], name=name) for name in ("x", "y")]
    assert decode(official.ModelInferResponse(outputs=shapes, raw_output_contents=data)).output == 2


@pytest.mark.parametrize("version", ["", "3"])
def test_an_answer_of_the_wanted_version_is_taken_and_one_of_another_refused(version):
    pinned = Target(name="m", version="3")
    assert decode(response(1.0, model_version=version), target=pinned).version == version
    assert decode(response(1.0, model_version="4")).version == "4"
    with pytest.raises(EndpointError, match='model_version: 3 was wanted, but "4" came'):
        decode(response(1.0, model_version="4"), target=pinned)


def test_endless_tensors_are_refused_before_any_is_looked_at():
    with pytest.raises(EndpointError, match="outputs: at most 1000 were wanted, but 1001 came"):
        decode_response(b"\x2a\x00" * 1001, target=M, request="r", output="")
    for tag, field in ((b"\x12", "versions"), (b"\x22", "inputs"), (b"\x2a", "outputs")):
        message = f"{field}: at most 1000 were wanted, but 1001 came"
        with pytest.raises(EndpointError, match=message):
            decode_metadata((tag + b"\0") * 1001, target=M)


def refusal(read, body, **options):
    """What is said of a body that is refused; empty if it is read."""
    try:
        read(body, target=M, **options)
    except EndpointError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_fault(body):
    assert refusal(decode_metadata, body).isprintable()
    assert refusal(decode_response, body, request="r", output="").isprintable()
