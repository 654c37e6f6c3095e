"""The messages of the Open Inference Protocol, version 2 over gRPC, as far as we speak it.

The protocol's own description compiles to modules that register its names for the whole process,
where two programs that brought theirs would clash. So the few messages that are needed are
described here, in a pool of their own. Fields that are left out are skipped when a message is
read.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from modelseal.endpoints.oip.rest_codec import (
    DTYPES,
    Response,
    Target,
    check_same,
    find,
    read_tensor,
)
from modelseal.endpoints.strict_json import JsonObject, shorten
from modelseal.errors import EndpointError, MissingExtraError
from modelseal.types import Array

PACKAGE = "inference"
"""What the protocol calls its package, of which its service is a part."""

SERVICE = f"{PACKAGE}.GRPCInferenceService"
"""What the protocol calls its service."""


class Entry(NamedTuple):
    """One field of a message: its number on the wire, its name and type, and whether it repeats."""

    number: int
    name: str
    kind: str
    many: bool = False


TENSOR = (
    Entry(1, "name", "string"),
    Entry(2, "datatype", "string"),
    Entry(3, "shape", "int64", many=True),
    Entry(5, "contents", "Contents"),
)
"""A tensor of a request, of a response, or, without contents, of a model's metadata."""

CONTENTS = (
    Entry(2, "int_contents", "int32", many=True),
    Entry(3, "int64_contents", "int64", many=True),
    Entry(4, "uint_contents", "uint32", many=True),
    Entry(5, "uint64_contents", "uint64", many=True),
    Entry(6, "fp32_contents", "float", many=True),
    Entry(7, "fp64_contents", "double", many=True),
)
"""The numbers of a tensor, if they are not sent as bytes beside it."""

MESSAGES = {
    "Contents": CONTENTS,
    "Tensor": TENSOR,
    "ModelMetadataRequest": (Entry(1, "name", "string"), Entry(2, "version", "string")),
    "ModelMetadataResponse": (
        Entry(1, "name", "string"),
        Entry(2, "versions", "string", many=True),
        Entry(4, "inputs", "Tensor", many=True),
        Entry(5, "outputs", "Tensor", many=True),
    ),
    "ModelInferRequest": (
        Entry(1, "model_name", "string"),
        Entry(2, "model_version", "string"),
        Entry(3, "id", "string"),
        Entry(5, "inputs", "Tensor", many=True),
        Entry(7, "raw_input_contents", "bytes", many=True),
    ),
    "ModelInferResponse": (
        Entry(1, "model_name", "string"),
        Entry(2, "model_version", "string"),
        Entry(3, "id", "string"),
        Entry(5, "outputs", "Tensor", many=True),
        Entry(6, "raw_output_contents", "bytes", many=True),
    ),
}
"""Every message by its name. The types of its fields are scalars, or messages of this table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Messages:
    """The classes of the four messages that travel."""

    metadata_request: Any
    metadata_response: Any
    infer_request: Any
    infer_response: Any


@cache
def messages() -> Messages:
    """Makes the classes of the messages, once.

    Raises:
        MissingExtraError: protobuf is not installed.
    """
    try:
        pools = import_module("google.protobuf.descriptor_pool")
        factory = import_module("google.protobuf.message_factory")
    except ImportError as error:
        raise MissingExtraError("Asking over gRPC", "grpc") from error
    pool = pools.DescriptorPool()
    pool.AddSerializedFile(describe_file())

    def find(name: str) -> object:
        return factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

    return Messages(
        metadata_request=find("ModelMetadataRequest"),
        metadata_response=find("ModelMetadataResponse"),
        infer_request=find("ModelInferRequest"),
        infer_response=find("ModelInferResponse"),
    )


def describe_file() -> bytes:
    """The messages as protobuf describes them."""
    words = import_module("google.protobuf.descriptor_pb2")
    types = words.FieldDescriptorProto
    file = words.FileDescriptorProto(name="modelseal.proto", package=PACKAGE, syntax="proto3")
    for title, entries in MESSAGES.items():
        message = file.message_type.add(name=title)
        for number, name, kind, many in entries:
            label = types.LABEL_REPEATED if many else types.LABEL_OPTIONAL
            field = message.field.add(name=name, number=number, label=label)
            if kind in MESSAGES:
                field.type, field.type_name = types.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                field.type = types.Type.Value(f"TYPE_{kind.upper()}")
    return bytes(file.SerializeToString())


def parse(kind: Any, body: bytes) -> Any:  # noqa: ANN401 (classes that are made at run time)
    """Reads a message.

    Args:
        kind: The class of the message.
        body: Its bytes.

    Raises:
        EndpointError: They are those of no such message.
    """
    # A text that is not UTF-8 is a ValueError in protobuf's slower implementation.
    faults = (import_module("google.protobuf.message").DecodeError, ValueError)
    try:
        return kind.FromString(body)
    except faults as error:
        name = kind.DESCRIPTOR.name
        raise EndpointError(f"a {name} was wanted, but {len(body)} other bytes came") from error


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
