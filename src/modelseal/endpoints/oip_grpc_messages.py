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

from modelseal.errors import EndpointError, MissingExtraError

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
    pool.AddSerializedFile(describe())

    def find(name: str) -> object:
        return factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

    return Messages(
        metadata_request=find("ModelMetadataRequest"),
        metadata_response=find("ModelMetadataResponse"),
        infer_request=find("ModelInferRequest"),
        infer_response=find("ModelInferResponse"),
    )


def describe() -> bytes:
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
