"""What is said in the Open Inference Protocol's messages, version 2 over gRPC.

A tensor travels as little-endian bytes beside the other fields (`raw_input_contents`,
`raw_output_contents`), or as numbers of its own type (`contents`). We send bytes, which every
known server takes, and read both: KServe answers numbers.
"""

from typing import Any

from modelseal.endpoints.oip_codec import DTYPES, Response, find, read_tensor
from modelseal.endpoints.oip_grpc_messages import messages, parse
from modelseal.endpoints.oip_target import Target, check_same
from modelseal.endpoints.reading import JsonObject, shorten
from modelseal.errors import EndpointError
from modelseal.shapes import Array

FIELDS = {
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
}
"""Where the numbers of each type stand, if they are not sent as bytes. FP16 has no such place."""

MOST = 1000
"""How many tensors are read of one message: empty ones take two bytes there, and hundreds here."""


def encode_question(target: Target) -> bytes:
    """A request for a model's metadata."""
    kind = messages().metadata_request
    return bytes(kind(name=target.name, version=target.version).SerializeToString())


def decode_metadata(body: bytes, *, target: Target) -> JsonObject:
    """A model's metadata in the form that they have over HTTP.

    Args:
        body: The response.
        target: The model that was asked for.

    Raises:
        EndpointError: The response is malformed, or tells of another model.
    """
    said = parse(messages().metadata_response, body)
    target.check_metadata(said.name)
    for field in ("versions", "inputs", "outputs"):
        check_count(field, len(getattr(said, field)))
    return {
        "versions": list(said.versions),
        "inputs": [describe(tensor) for tensor in said.inputs],
        "outputs": [describe(tensor) for tensor in said.outputs],
    }


def encode_request(
    inputs: Array, *, target: Target, name: str, datatype: str, request: str
) -> bytes:
    """A request whose tensor is bytes.

    Args:
        inputs: The inputs as the model takes them, batch axis first.
        target: The model that shall answer.
        name: What the model calls its input.
        datatype: The protocol's name of the numbers' type.
        request: The request's own name, which the server repeats.
    """
    message = messages().infer_request(
        model_name=target.name,
        model_version=target.version,
        id=request,
        raw_input_contents=[inputs.astype(DTYPES[datatype]).tobytes()],
    )
    message.inputs.add(name=name, datatype=datatype, shape=inputs.shape)
    return bytes(message.SerializeToString())


def decode_response(body: bytes, *, target: Target, request: str, output: str) -> Response:
    """Reads a response.

    Args:
        body: The response.
        target: The model that was asked.
        request: The name of the request that is answered.
        output: The name of the output to take; empty for the first one.

    Raises:
        EndpointError: The response is malformed, lacks the output, or answers another request or
            for another model or version.
    """
    said = parse(messages().infer_response, body)
    check_same("id", said.id, wanted=request)
    target.check_answer(said.model_name, said.model_version)
    check_count("outputs", len(said.outputs))
    number = find([{"name": tensor.name} for tensor in said.outputs], output)
    try:
        array = read_output(said, number)
    except EndpointError as error:
        raise EndpointError(f"outputs[{number}]: {error}") from error
    return Response(output=array, version=shorten(said.model_version))


def read_output(said: Any, number: int) -> Array:  # noqa: ANN401 (classes made at run time)
    """One output of a response as an array, whether it came as bytes or as numbers.

    Raises:
        EndpointError: Its type, its shape or its data are not what they should be.
    """
    tensor, raw = said.outputs[number], said.raw_output_contents
    if raw and len(raw) != len(said.outputs):
        raise EndpointError(
            f"raw_output_contents: {len(said.outputs)} were wanted, but {len(raw)} came"
        )
    if raw:
        return read_tensor(describe(tensor), raw[number])
    field = FIELDS.get(tensor.datatype)
    if field is None:
        came = shorten(tensor.datatype)
        raise EndpointError(f"datatype: numbers were wanted, but {came} came without bytes")
    return read_tensor(describe(tensor) | {"data": list(getattr(tensor.contents, field))}, None)


def describe(tensor: Any) -> JsonObject:  # noqa: ANN401 (classes that are made at run time)
    """A tensor without its data, in the form that it has over HTTP."""
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def check_count(field: str, came: int) -> None:
    """Makes sure that a server does not say more than anybody would.

    Raises:
        EndpointError: It does.
    """
    if came > MOST:
        raise EndpointError(f"{field}: at most {MOST} were wanted, but {came} came")
