"""A server of the Open Inference Protocol, version 2 over HTTP, as an endpoint.

MLServer, NVIDIA Triton and KServe speak it. This module brings the HTTP client.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import unquote

import orjson

from modelseal.domain import Domain
from modelseal.endpoints.auth import NO_CREDENTIALS, Credentials, read_address
from modelseal.endpoints.http import Connection, check_url
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
from modelseal.endpoints.strict_json import JsonObject, name_of, objects_at, read_object, shorten
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Kind
from modelseal.timeouts import TIMEOUT
from modelseal.types import Array

_EXPECTED = "an Open Inference Protocol URL, http(s)://host/v2/models/NAME"

_ADDRESS = re.compile(
    r"(?P<server>https?://[^/?#\s]+(/[^?#\s]*)?/v2)"
    r"/models/(?P<name>[^/?#\s]+)(/versions/(?P<version>[^/?#\s]+))?"
)

# The header that says where the JSON ends and the bytes begin.
JSON_LENGTH = "Inference-Header-Content-Length"

# The most digits that a length is read with: no body is longer than 64 bits can count.
_MOST_DIGITS = 19


class OipEndpoint(BaseOipEndpoint[Connection]):
    """Answers with the first output of a served model.

    Before the first question it reads the model's metadata and checks them against the domain:
    one input of FP32, FP64 or UINT8, whose shape is the domain's with a batch axis in front (of
    any or of a fixed size) or the same with channels last. A model that declares no inputs, as
    KServe's often do, is asked with FP32 under the name `input`. Tensors travel as JSON, or as
    bytes where the metadata list the extension `binary_tensor_data`.

    What answers for another model, or for another version than the address names, is no answer.
    """

    def __init__(
        self,
        url: str,
        domain: Domain,
        *,
        shows: Kind = Kind.SCORES,
        timeout: float = TIMEOUT,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        address = read_address(url, expected=_EXPECTED)
        self.url = address.url.rstrip("/")
        found = _ADDRESS.fullmatch(self.url)
        if not found:
            raise InvalidArgumentError(
                f"expected {_EXPECTED}, got {shorten(address.shown)}", field="url"
            )
        check_url(f"{self.url}/infer")
        self.server_url = found["server"]
        super().__init__(
            address.shown,
            domain,
            target=Target(name=unquote(found["name"]), version=unquote(found["version"] or "")),
            shows=shows,
            timeout=timeout,
            credentials=address.add_to(credentials),
        )

    def _open(self) -> Connection:
        return Connection(self.url, seconds=self.timeout, credentials=self.credentials)

    def _read_contract(self) -> Contract:
        model = read_object(self._connect().exchange("GET", self.url).body)
        self.target.check_metadata(model.get("name"))
        return read_contract(model, self._read_server(), self.domain)

    def _read_server(self) -> JsonObject:
        """The server's own metadata; empty if it gives none, as behind many gateways."""
        try:
            return read_object(self._connect().exchange("GET", self.server_url).body)
        except EndpointError:
            return {}

    def _infer(self, inputs: Array, contract: Contract, request: str) -> Response:
        encode = encode_binary if contract.binary else encode_json
        name, datatype = contract.inputs.name, contract.inputs.datatype
        body, headers = encode(inputs, name=name, datatype=datatype, request=request)
        reply = self._connect().exchange("POST", f"{self.url}/infer", content=body, headers=headers)
        return decode(
            reply.body,
            length=reply.headers.get(JSON_LENGTH.lower(), ""),
            target=self.target,
            request=request,
            output=contract.output,
        )


Message: TypeAlias = tuple[bytes, dict[str, str]]  # a request's body and headers


def encode_json(inputs: Array, *, name: str, datatype: str, request: str) -> Message:
    """A request whose tensor is a flat list of JSON numbers; `request` is its own name."""
    tensor = _describe(inputs, name, datatype) | {"data": inputs.ravel().tolist()}
    body = orjson.dumps({"id": request, "inputs": [tensor]})
    return body, {"Content-Type": "application/json"}


def encode_binary(inputs: Array, *, name: str, datatype: str, request: str) -> Message:
    """A request whose tensor stands as bytes behind the JSON, and that asks for the same back."""
    data = inputs.astype(DTYPES[datatype]).tobytes()
    tensor = _describe(inputs, name, datatype) | {"parameters": {"binary_data_size": len(data)}}
    content = {"id": request, "inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = orjson.dumps(content)
    headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}
    return head + data, headers


def _describe(inputs: Array, name: str, datatype: str) -> JsonObject:
    return {"name": name, "shape": list(inputs.shape), "datatype": datatype}


def decode(body: bytes, *, length: str, target: Target, request: str, output: str) -> Response:
    """Reads a response."""
    head, data = _split(body, length)
    content = read_object(head)
    version = "" if (said := content.get("model_version")) is None else str(said)
    check_same("id", content.get("id"), expected=request)
    target.check_answer(content.get("model_name"), version)
    tensors = objects_at(content, "outputs")
    number = find_output(tensors, output)
    try:
        array = read_tensor(tensors[number], _cut_bytes(tensors, data)[number])
    except EndpointError as error:
        raise error.at(f"outputs[{number}]") from error
    return Response(output=array, version=shorten(version))


def _split(body: bytes, length: str) -> tuple[bytes, bytes]:
    if not length:
        return body, b""
    readable = length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS
    end = int(length) if readable else -1
    if not 0 <= end <= len(body):
        expected = f"expected a length up to {len(body)}"
        raise EndpointError(f"{JSON_LENGTH}: {expected}, got {shorten(length)}")
    return body[:end], body[end:]


def _cut_bytes(tensors: Sequence[JsonObject], data: bytes) -> list[bytes | None]:
    """Each tensor's bytes, which stand one after another; nothing for those that are JSON."""
    parts: list[bytes | None] = []
    start = 0
    for tensor in tensors:
        size = _binary_size(tensor)
        parts.append(None if size is None else data[start : start + size])
        start += size or 0
    if start != len(data):
        raise EndpointError(f"expected {start} bytes behind the JSON, got {len(data)}")
    return parts


def _binary_size(tensor: JsonObject) -> int | None:
    """How many bytes of the data are this tensor's; nothing if it is JSON."""
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None and (type(size) is not int or size < 0):
        raise EndpointError(f"binary_data_size: expected a size, got {name_of(size)}")
    return size
