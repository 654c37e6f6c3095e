"""A server of the Open Inference Protocol, version 2 over gRPC, as an endpoint.

The protocol's own description compiles to modules that register its names for the whole process,
where two programs that brought theirs would clash. So the few messages that are needed are
described here, in a pool of their own. Fields that are left out are skipped when a message is
read.
"""

import os
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from ssl import get_default_verify_paths
from typing import Any
from urllib.parse import unquote
from weakref import finalize

from modelseal.domain import Domain
from modelseal.endpoints.auth import NO_CREDENTIALS, Credentials
from modelseal.endpoints.http import LARGEST, LONGEST_WAIT
from modelseal.endpoints.oip.contract import (
    DTYPES,
    BaseOipEndpoint,
    Contract,
    Response,
    Target,
    check_same,
    find_output,
    read_contract,
    read_tensor,
)
from modelseal.endpoints.strict_json import JsonObject, shorten
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError, import_extra
from modelseal.outputs.answers import Kind
from modelseal.timeouts import TIMEOUT
from modelseal.types import Array

_PACKAGE = "inference"  # what the protocol calls its package, of which its service is a part
SERVICE = f"{_PACKAGE}.GRPCInferenceService"  # what the protocol calls its service

# The status codes of faults that may pass.
PASSING = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})

# How a channel behaves, in gRPC's own words.
_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST),
    # Whether a question is asked again is decided elsewhere, and counted there.
    ("grpc.enable_retries", 0),
    # What one channel learned, such as that a server is away, is not for the next one.
    ("grpc.use_local_subchannel_pool", 1),
    # The address alone says whom to ask and how, not what the name service adds to it.
    ("grpc.service_config_disable_resolution", 1),
    # No compression, so that a small message cannot become a large one.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)

# Where a server says after how many milliseconds to ask again; anything else means never.
_PUSHBACK = "grpc-retry-pushback-ms"
_MILLISECONDS = re.compile("[0-9]{1,9}")

# What gRPC itself says, under the code of a server that is away, of one that has no TLS or a
# certificate that is not trusted or of another name. That does not pass by asking again.
_DISTRUST = re.compile("TSI_PROTOCOL_FAILURE|Hostname Verification Check failed")

# What gRPC itself says of a message beyond the limit, under the code of a busy server.
_TOO_LARGE = "larger than max"

_ADDRESS = re.compile(
    r"grpc(?P<secure>s?)://(?P<host>([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5}))"
    r"/(?P<name>[^/?#\s]+)(/(?P<version>[^/?#\s]+))?/?"
)
_EXPECTED = "grpc(s)://host:port/NAME or the same with /VERSION, without user and password"

# The names of what is sent with a call, and those that gRPC itself sends.
_METADATA = re.compile("[a-z0-9_.-]+")
_OWN = frozenset({"content-type", "te", "user-agent"})


class OipGrpcEndpoint(BaseOipEndpoint["Channel"]):
    """Answers with the first output of a served model.

    Before the first question it reads the model's metadata and checks them against the domain, as
    `OipEndpoint` does over HTTP: one input of FP32, FP64 or UINT8, whose
    shape is the domain's with a batch axis in front or the same with channels last. A model that
    declares no inputs is asked with FP32 under the name `input`. Inputs travel as bytes; outputs
    may come as bytes or as numbers of their type.

    What answers for another model, or for another version than the address names, is no answer.
    The connection is opened anew after a fault that may pass.
    """

    def __init__(
        self,
        address: str,
        domain: Domain,
        *,
        shows: Kind = Kind.SCORES,
        timeout: float = TIMEOUT,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        _check_names(credentials)
        found = _match_address(address)
        super().__init__(
            address,
            domain,
            target=Target(name=unquote(found["name"]), version=unquote(found["version"] or "")),
            shows=shows,
            timeout=timeout,
            credentials=credentials,
        )
        self.host = found["host"]
        self.secure = bool(found["secure"])
        # What is missing is said at once, not at the first question.
        _load_grpc()
        _message_classes()

    def _open(self) -> "Channel":
        return Channel(
            self.host, secure=self.secure, seconds=self.timeout, credentials=self.credentials
        )

    def _call(self, method: str, request: bytes) -> bytes:
        try:
            return self._connect().call(method, request)
        except PassingError:
            # A channel that lost its server waits ever longer before it looks again. Others
            # may be using this one: it closes with the last use.
            self._connection = None
            raise

    def _read_contract(self) -> Contract:
        reply = self._call("ModelMetadata", encode_metadata_request(self.target))
        return read_contract(decode_metadata(reply, target=self.target), {}, self.domain)

    def _infer(self, inputs: Array, contract: Contract, request: str) -> Response:
        name, datatype = contract.inputs.name, contract.inputs.datatype
        message = encode_request(
            inputs, target=self.target, name=name, datatype=datatype, request=request
        )
        reply = self._call("ModelInfer", message)
        return decode_response(reply, target=self.target, request=request, output=contract.output)


def _check_names(credentials: Credentials) -> None:
    """Refuses headers that gRPC does not take as metadata, keeps for itself, or wants bytes for."""
    for name in credentials.headers:
        small = name.lower()
        own = small in _OWN or small.startswith("grpc-") or small.endswith("-bin")
        if own or not _METADATA.fullmatch(small):
            raise InvalidArgumentError(
                "expected a name of letters, digits, _, - and . that is not gRPC's own "
                f"({', '.join(sorted(_OWN))}, grpc-…, …-bin), got {shorten(name)}"
            )


def _match_address(address: str) -> re.Match[str]:
    if "@" in address:
        raise InvalidArgumentError(f"expected {_EXPECTED}, got one with @", field="url")
    found = _ADDRESS.fullmatch(address)
    if not found or not 1 <= int(found["port"]) <= 65535:
        raise InvalidArgumentError(f"expected {_EXPECTED}, got {shorten(address)}", field="url")
    return found


class Channel:
    """A connection that is kept for several exchanges with one server.

    Proxies come from the environment, as they do for other programs. If it is never closed, it
    closes itself with its last use.
    """

    def __init__(
        self, host: str, *, secure: bool, seconds: float, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self._seconds = seconds
        self._metadata = [(name.lower(), value) for name, value in credentials.headers.items()]
        self._grpc = _load_grpc()
        # Without a scheme, hosts of names such as `unix` would be taken for one.
        target = f"dns:///{host}"
        if secure:
            trusted = self._grpc.ssl_channel_credentials(read_certificates(credentials))
            self._channel = self._grpc.secure_channel(target, trusted, _OPTIONS)
        else:
            self._channel = self._grpc.insecure_channel(target, _OPTIONS)
        self.close = finalize(self, self._channel.close)

    def call(self, method: str, request: bytes) -> bytes:
        """Sends a message to one of the service's methods and returns what came back."""
        # Messages are taken as bytes: gRPC would log a traceback for one that cannot be read.
        ask = self._channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            return bytes(ask(request, timeout=self._seconds, metadata=self._metadata))
        except self._grpc.RpcError as error:
            pushback = dict(error.trailing_metadata() or ()).get(_PUSHBACK)
            raise call_error(error.code().name, error.details() or "", pushback=pushback) from error


def _load_grpc() -> Any:  # noqa: ANN401 (gRPC has no types)
    # It writes to the terminal what we raise, unless the user wants to know more.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    return import_extra("grpc", purpose="Asking over gRPC", extra="grpc")


def read_certificates(credentials: Credentials) -> bytes | None:
    """The certificates that servers are verified by; None for those that gRPC brings."""
    file = credentials.ca_file or get_default_verify_paths().cafile
    try:
        return Path(file).read_bytes() if file else None
    except OSError as error:
        reason = f"the environment's certificates cannot be used: {error}"
        raise EndpointError(reason) from error


def call_error(code: str, details: str, *, pushback: str | None = None) -> EndpointError:
    """The error for a call that failed.

    Examples:
        >>> call_error("NOT_FOUND", "no such model")
        EndpointError('expected an answer, got status NOT_FOUND: no such model')
    """
    if code == "RESOURCE_EXHAUSTED" and _TOO_LARGE in details:
        return EndpointError(f"expected an answer of at most {LARGEST} bytes, got more")
    said = f": {shorten(details)}" if details.strip() else ""
    reason = f"expected an answer, got status {code}{said}"
    refused = pushback is not None and not _MILLISECONDS.fullmatch(pushback)
    if code not in PASSING or refused or _DISTRUST.search(details):
        return EndpointError(reason)
    wait = None if pushback is None else min(int(pushback) / 1000, LONGEST_WAIT)
    return PassingError(reason, wait=wait)


# Every message: the number, name and type of each field, with a star if it repeats. A type is a
# scalar, or a message of this table. A tensor is one of a request, of a response, or, without
# contents, of a model's metadata.
_MESSAGES = {
    "Contents": "2 int_contents int32*, 3 int64_contents int64*, 4 uint_contents uint32*, "
    "5 uint64_contents uint64*, 6 fp32_contents float*, 7 fp64_contents double*",
    "Tensor": "1 name string, 2 datatype string, 3 shape int64*, 5 contents Contents",
    "ModelMetadataRequest": "1 name string, 2 version string",
    "ModelMetadataResponse": "1 name string, 2 versions string*, 4 inputs Tensor*, "
    "5 outputs Tensor*",
    "ModelInferRequest": "1 model_name string, 2 model_version string, 3 id string, "
    "5 inputs Tensor*, 7 raw_input_contents bytes*",
    "ModelInferResponse": "1 model_name string, 2 model_version string, 3 id string, "
    "5 outputs Tensor*, 6 raw_output_contents bytes*",
}

# Where the numbers of each type stand, if they are not sent as bytes. FP16 has no such place.
_CONTENTS = {
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
}

# How many tensors are read of one message: empty ones take two bytes there, and hundreds here.
_MOST = 1000


@cache
def _message_classes() -> dict[str, Any]:
    purpose = "Asking over gRPC"
    pools = import_extra("google.protobuf.descriptor_pool", purpose=purpose, extra="grpc")
    factory = import_extra("google.protobuf.message_factory", purpose=purpose, extra="grpc")
    pool = pools.DescriptorPool()
    pool.AddSerializedFile(_describe_file())
    found = {name: pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in _MESSAGES}
    return {name: factory.GetMessageClass(kind) for name, kind in found.items()}


def _describe_file() -> bytes:
    """The messages as protobuf describes them."""
    words = import_module("google.protobuf.descriptor_pb2")
    types = words.FieldDescriptorProto
    file = words.FileDescriptorProto(name="modelseal.proto", package=_PACKAGE, syntax="proto3")
    for title, entries in _MESSAGES.items():
        message = file.message_type.add(name=title)
        for entry in entries.split(", "):
            number, name, shown = entry.split()
            kind = shown.removesuffix("*")
            label = types.LABEL_OPTIONAL if kind == shown else types.LABEL_REPEATED
            field = message.field.add(name=name, number=int(number), label=label)
            if kind in _MESSAGES:
                field.type, field.type_name = types.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = types.Type.Value(f"TYPE_{kind.upper()}")
    return bytes(file.SerializeToString())


def _parse(name: str, body: bytes) -> Any:  # noqa: ANN401 (classes that are made at run time)
    # A text that is not UTF-8 is a ValueError in protobuf's slower implementation.
    errors = (import_module("google.protobuf.message").DecodeError, ValueError)
    try:
        return _message_classes()[name].FromString(body)
    except errors as error:
        raise EndpointError(f"expected a {name}, got {len(body)} other bytes") from error


def encode_metadata_request(target: Target) -> bytes:
    """A request for a model's metadata."""
    kind = _message_classes()["ModelMetadataRequest"]
    return bytes(kind(name=target.name, version=target.version).SerializeToString())


def decode_metadata(body: bytes, *, target: Target) -> JsonObject:
    """A model's metadata in the form that they have over HTTP."""
    said = _parse("ModelMetadataResponse", body)
    target.check_metadata(said.name)
    for field in ("versions", "inputs", "outputs"):
        _check_count(field, len(getattr(said, field)))
    return {
        "versions": list(said.versions),
        "inputs": [_describe(tensor) for tensor in said.inputs],
        "outputs": [_describe(tensor) for tensor in said.outputs],
    }


def encode_request(
    inputs: Array, *, target: Target, name: str, datatype: str, request: str
) -> bytes:
    """A request whose tensor is bytes; `request` is its own name, which the server repeats."""
    message = _message_classes()["ModelInferRequest"](
        model_name=target.name,
        model_version=target.version,
        id=request,
        raw_input_contents=[inputs.astype(DTYPES[datatype]).tobytes()],
    )
    message.inputs.add(name=name, datatype=datatype, shape=inputs.shape)
    return bytes(message.SerializeToString())


def decode_response(body: bytes, *, target: Target, request: str, output: str) -> Response:
    """Reads a response."""
    said = _parse("ModelInferResponse", body)
    check_same("id", said.id, expected=request)
    target.check_answer(said.model_name, said.model_version)
    _check_count("outputs", len(said.outputs))
    number = find_output([{"name": tensor.name} for tensor in said.outputs], output)
    try:
        array = _read_output(said, number)
    except EndpointError as error:
        raise error.at(f"outputs[{number}]") from error
    return Response(output=array, version=shorten(said.model_version))


def _read_output(said: Any, number: int) -> Array:  # noqa: ANN401 (classes made at run time)
    """One output of a response, whether it came as bytes or as numbers."""
    tensor, raw = said.outputs[number], said.raw_output_contents
    if raw and len(raw) != len(said.outputs):
        raise EndpointError(f"raw_output_contents: expected {len(said.outputs)}, got {len(raw)}")
    if raw:
        return read_tensor(_describe(tensor), raw[number])
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        came = shorten(tensor.datatype)
        raise EndpointError(f"datatype: expected numbers, got {came} without bytes")
    return read_tensor(_describe(tensor) | {"data": list(getattr(tensor.contents, field))}, None)


def _describe(tensor: Any) -> JsonObject:  # noqa: ANN401 (classes that are made at run time)
    """A tensor without its data, in the form that it has over HTTP."""
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _check_count(field: str, count: int) -> None:
    if count > _MOST:
        raise EndpointError(f"{field}: expected at most {_MOST}, got {count}")
