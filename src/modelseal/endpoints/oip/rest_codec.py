"""Which model of a server of the Open Inference Protocol is asked, and what must answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import orjson

from modelseal.domain import Domain
from modelseal.endpoints.encoding import InputForm, input_form
from modelseal.endpoints.strict_json import (
    JsonObject,
    list_at,
    name_of,
    objects_at,
    read_object,
    shorten,
    sizes_at,
    text_at,
    to_array,
)
from modelseal.errors import EndpointError
from modelseal.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Which model is asked.

    Args:
        name: What the server calls it.
        version: The version that shall answer; empty for the server's choice.
    """

    name: str
    version: str = ""

    def check_answer(self, name: object, version: str) -> None:
        """Makes sure that an answer is this model's, as far as it says so.

        Args:
            name: The answer's `model_name`.
            version: Its `model_version`; empty if it says none.

        Raises:
            EndpointError: It is another model's, or another version's than the one asked for.
        """
        check_same("model_name", name, wanted=self.name)
        if self.version:
            check_same("model_version", version, wanted=self.version)

    def check_metadata(self, name: object) -> None:
        """Makes sure that metadata are this model's, as far as they say so.

        Raises:
            EndpointError: They are another model's.
        """
        check_same("name", name, wanted=self.name)


def check_same(field: str, came: object, *, wanted: str) -> None:
    """Makes sure that a server repeats what was asked, or says nothing of it.

    Raises:
        EndpointError: It says something else.
    """
    if came not in (None, "", wanted):
        raise EndpointError(f"{field}: {shorten(wanted)} was wanted, but {name_of(came)} came")


BINARY = "binary_tensor_data"
"""The extension for tensors as bytes behind the JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """How a served model is asked.

    Args:
        form: How it takes its inputs. FP32 under the name `input` if it declares none, as
            KServe's models often do.
        output: The name of its first output; empty if it declares none.
        version: The only version it declares; empty if it declares none or several.
        binary: Whether tensors may travel as bytes behind the JSON.
    """

    form: InputForm = field(default_factory=lambda: InputForm(name="input"))
    output: str = ""
    version: str = ""
    binary: bool = False


def read_contract(model: JsonObject, server: JsonObject, domain: Domain) -> Contract:
    """Reads a model's and its server's metadata, and checks them against a domain.

    Args:
        model: What the model's own address answers.
        server: What `/v2` answers; empty if it answers nothing.
        domain: What a valid input is.

    Raises:
        EndpointError: The metadata are malformed, or the model takes other inputs.
    """
    inputs, outputs = (present(model, key) for key in ("inputs", "outputs"))
    if len(inputs) > 1:
        raise EndpointError(f"a model with one input was wanted, but it has {len(inputs)}")
    versions = list_at(model, "versions") if model.get("versions") else []
    forms = [read_input(entry, domain) for entry in inputs]
    return Contract(
        form=forms[0] if forms else InputForm(name="input"),
        output=text_at(outputs[0], "name") if outputs else "",
        version=shorten(str(versions[0])) if len(versions) == 1 else "",
        binary=any(BINARY in extensions(source) for source in (model, server)),
    )


def present(source: JsonObject, key: str) -> list[JsonObject]:
    """A list of objects; empty if it is missing.

    Raises:
        EndpointError: It is something else.
    """
    return [] if source.get(key) is None else objects_at(source, key)


def read_input(entry: JsonObject, domain: Domain) -> InputForm:
    """How a model takes the input that it declares so.

    Raises:
        EndpointError: The declaration is malformed, or it is not for the domain's inputs.
    """
    name, datatype = text_at(entry, "name"), text_at(entry, "datatype")
    try:
        name.encode()
    except UnicodeEncodeError as error:  # JSON can write half a character, nothing can send it back
        problem = f"name: a text of whole characters was wanted, but {name_of(name)} came"
        raise EndpointError(problem) from error
    return input_form(name, shorten(datatype), sizes_at(entry, "shape"), domain)


def extensions(source: JsonObject) -> list[object]:
    """The extensions that a server or model lists; none if it lists them in no known way."""
    listed = source.get("extensions")
    return listed if isinstance(listed, list) else []


JSON_LENGTH = "Inference-Header-Content-Length"
"""The header that says where the JSON ends and the bytes begin."""

LONGEST = 19
"""The most digits that a length is read with: no body is longer than 64 bits can count."""

DTYPES: dict[str, np.dtype[np.generic]] = {
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}
"""The protocol's types of numbers. BYTES and BOOL hold no answer that can be judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One request's body and headers."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Response:
    """What a server answered.

    Args:
        output: The model's first output.
        version: The version of the model that answered; empty if the server does not say.
    """

    output: Array
    version: str = ""


def encode_json(inputs: Array, *, name: str, datatype: str, request: str) -> Message:
    """A request whose tensor is a flat list of JSON numbers.

    Args:
        inputs: The inputs as the model takes them, batch axis first.
        name: What the model calls its input.
        datatype: The protocol's name of the numbers' type.
        request: The request's own name, which the server repeats.
    """
    tensor = describe(inputs, name, datatype) | {"data": inputs.ravel().tolist()}
    body = orjson.dumps({"id": request, "inputs": [tensor]})
    return Message(body=body, headers={"Content-Type": "application/json"})


def encode_binary(inputs: Array, *, name: str, datatype: str, request: str) -> Message:
    """A request whose tensor stands as bytes behind the JSON, and that asks for the same back.

    Args:
        inputs: The inputs as the model takes them, batch axis first.
        name: What the model calls its input.
        datatype: The protocol's name of the numbers' type.
        request: The request's own name, which the server repeats.
    """
    data = inputs.astype(DTYPES[datatype]).tobytes()
    tensor = describe(inputs, name, datatype) | {"parameters": {"binary_data_size": len(data)}}
    content = {"id": request, "inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = orjson.dumps(content)
    headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}
    return Message(body=head + data, headers=headers)


def describe(inputs: Array, name: str, datatype: str) -> JsonObject:
    """A tensor without its data."""
    return {"name": name, "shape": list(inputs.shape), "datatype": datatype}


def decode(body: bytes, *, length: str, target: Target, request: str, output: str) -> Response:
    """Reads a response.

    Args:
        body: JSON, with bytes behind it if `length` says so.
        length: How many bytes of the body are JSON, as the header says; empty for all.
        target: The model that was asked.
        request: The name of the request that is answered.
        output: The name of the output to take; empty for the first one.

    Raises:
        EndpointError: The response is malformed, lacks the output, or answers another request or
            for another model or version.
    """
    head, data = split(body, length)
    content = read_object(head)
    version = "" if (said := content.get("model_version")) is None else str(said)
    check_same("id", content.get("id"), wanted=request)
    target.check_answer(content.get("model_name"), version)
    tensors = objects_at(content, "outputs")
    number = find(tensors, output)
    try:
        array = read_tensor(tensors[number], behind(tensors, data)[number])
    except EndpointError as error:
        raise EndpointError(f"outputs[{number}]: {error}") from error
    return Response(output=array, version=shorten(version))


def find(tensors: Sequence[JsonObject], output: str) -> int:
    """The number of the output of this name; of the first one if the name is empty.

    Raises:
        EndpointError: There is none.
    """
    if not tensors:
        raise EndpointError("outputs: at least one was wanted, but none came")
    names = [tensor.get("name") for tensor in tensors]
    if output and output not in names:
        came = shorten(", ".join(map(name_of, names)))
        raise EndpointError(f"outputs: {name_of(output)} was wanted, but {came} came")
    return names.index(output) if output else 0


def split(body: bytes, length: str) -> tuple[bytes, bytes]:
    """The JSON and the bytes behind it.

    Raises:
        EndpointError: The length is no number, or beyond the body.
    """
    if not length:
        return body, b""
    readable = length.isascii() and length.isdigit() and len(length) <= LONGEST
    end = int(length) if readable else -1
    if not 0 <= end <= len(body):
        wanted = f"a length up to {len(body)}"
        raise EndpointError(f"{JSON_LENGTH}: {wanted} was wanted, but {shorten(length)} came")
    return body[:end], body[end:]


def behind(tensors: Sequence[JsonObject], data: bytes) -> list[bytes | None]:
    """Each tensor's bytes, which stand one after another; nothing for those that are JSON.

    Raises:
        EndpointError: The sizes are malformed, or do not add up to the data.
    """
    parts: list[bytes | None] = []
    start = 0
    for tensor in tensors:
        size = binary_size(tensor)
        parts.append(None if size is None else data[start : start + size])
        start += size or 0
    if start != len(data):
        raise EndpointError(f"{start} bytes were wanted behind the JSON, but {len(data)} came")
    return parts


def binary_size(tensor: JsonObject) -> int | None:
    """How many bytes of the data are this tensor's; nothing if it is JSON.

    Raises:
        EndpointError: The size is malformed.
    """
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None and (type(size) is not int or size < 0):
        raise EndpointError(f"binary_data_size: a size was wanted, but {name_of(size)} came")
    return size


def read_tensor(tensor: JsonObject, data: bytes | None) -> Array:
    """One output as an array; FP16 as float32, which holds every value of it.

    Raises:
        EndpointError: Its type, its shape or its data are not what they should be.
    """
    dtype = DTYPES.get(datatype := text_at(tensor, "datatype"))
    if dtype is None:
        raise EndpointError(f"datatype: numbers were wanted, but {shorten(datatype)} came")
    shape = read_shape(tensor)
    if data is None:
        flat = to_array(leaves(list_at(tensor, "data"), shape), dtype)
    elif len(data) == prod(shape) * dtype.itemsize:
        flat = np.frombuffer(data, dtype)
    else:
        raise EndpointError(f"{datatype} of shape {shape} was wanted, but {len(data)} bytes came")
    own = np.dtype(np.float32) if datatype == "FP16" else dtype.newbyteorder("=")
    return flat.reshape(shape).astype(own)


def read_shape(tensor: JsonObject) -> list[int]:
    """An output's shape, of one or two axes.

    Raises:
        EndpointError: It has more axes or none, or an axis is empty.
    """
    shape = sizes_at(tensor, "shape")
    if len(shape) not in {1, 2} or min(shape) < 1:
        raise EndpointError(f"shape: one or two sizes from 1 were wanted, but {shape} came")
    return shape


def leaves(data: list[object], shape: Sequence[int]) -> list[object]:
    """The numbers of a list that is flat, or nested exactly as the shape says.

    Raises:
        EndpointError: The data do not have this shape.
    """
    if not any(isinstance(item, list) for item in data):
        if len(data) != prod(shape):
            raise EndpointError(f"data: {prod(shape)} numbers were wanted, but {len(data)} came")
        return data
    level: list[object] = [data]
    for size in shape:
        parts = [part for part in level if isinstance(part, list) and len(part) == size]
        if len(parts) < len(level):
            raise EndpointError(f"data: lists of shape {list(shape)} were wanted, but others came")
        level = [item for part in parts for item in part]
    return level
