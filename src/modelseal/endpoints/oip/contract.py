"""The Open Inference Protocol, version 2: which model is asked, how, and what must answer."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from uuid import uuid4

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.auth import Credentials
from modelseal.endpoints.endpoint import Connected, ConnectedEndpoint
from modelseal.endpoints.requests import TensorFormat, tensor_format
from modelseal.endpoints.responses import array_answers, check_shows
from modelseal.endpoints.strict_json import (
    JsonObject,
    list_at,
    name_of,
    objects_at,
    shorten,
    sizes_at,
    text_at,
    to_array,
)
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Array, Codes

# The protocol's types of numbers. BYTES and BOOL hold no answer that can be judged.
DTYPES: dict[str, np.dtype[np.generic]] = {
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}

BINARY = "binary_tensor_data"  # the extension for tensors as bytes behind the JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Which model is asked."""

    name: str
    version: str = ""

    def check_answer(self, name: object, version: str) -> None:
        """Makes sure that an answer is this model's, as far as it says so."""
        check_same("model_name", name, expected=self.name)
        if self.version:
            check_same("model_version", version, expected=self.version)

    def check_metadata(self, name: object) -> None:
        """Makes sure that metadata are this model's, as far as they say so."""
        check_same("name", name, expected=self.name)


def check_same(field: str, got: object, *, expected: str) -> None:
    """Makes sure that a server repeats what was asked, or says nothing of it."""
    if got not in (None, "", expected):
        raise EndpointError(f"{field}: expected {shorten(expected)}, got {name_of(got)}")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Response:
    """What a server answered."""

    output: Array
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """How a served model is asked."""

    inputs: TensorFormat = field(default_factory=lambda: TensorFormat(name="input"))
    output: str = ""
    version: str = ""
    binary: bool = False


def read_contract(model: JsonObject, server: JsonObject, domain: Domain) -> Contract:
    """Reads a model's and its server's metadata, and checks them against a domain."""
    inputs, outputs = (
        [] if model.get(key) is None else objects_at(model, key) for key in ("inputs", "outputs")
    )
    if len(inputs) > 1:
        raise EndpointError(f"expected a model with one input, got {len(inputs)}")
    versions = list_at(model, "versions") if model.get("versions") else []
    formats = [_read_input(entry, domain) for entry in inputs]
    return Contract(
        inputs=formats[0] if formats else TensorFormat(name="input"),
        output=text_at(outputs[0], "name") if outputs else "",
        version=shorten(str(versions[0])) if len(versions) == 1 else "",
        binary=any(BINARY in _extensions(source) for source in (model, server)),
    )


def _read_input(entry: JsonObject, domain: Domain) -> TensorFormat:
    name, datatype = text_at(entry, "name"), text_at(entry, "datatype")
    try:
        name.encode()
    except UnicodeEncodeError as error:  # JSON can write half a character, nothing can send it back
        raise EndpointError(f"name: expected whole characters, got {name_of(name)}") from error
    return tensor_format(name, shorten(datatype), sizes_at(entry, "shape"), domain)


def _extensions(source: JsonObject) -> list[object]:
    """The extensions that a server or model lists; none if it lists them in no known way."""
    listed = source.get("extensions")
    return listed if isinstance(listed, list) else []


def find_output(tensors: Sequence[JsonObject], output: str) -> int:
    """The number of the output of this name; of the first one if the name is empty."""
    if not tensors:
        raise EndpointError("outputs: expected at least one, got none")
    names = [tensor.get("name") for tensor in tensors]
    if output and output not in names:
        came = shorten(", ".join(map(name_of, names)))
        raise EndpointError(f"outputs: expected {name_of(output)}, got {came}")
    return names.index(output) if output else 0


def read_tensor(tensor: JsonObject, data: bytes | None) -> Array:
    """One output as an array; FP16 as float32, which holds every value of it."""
    dtype = DTYPES.get(datatype := text_at(tensor, "datatype"))
    if dtype is None:
        raise EndpointError(f"datatype: expected numbers, got {shorten(datatype)}")
    shape = sizes_at(tensor, "shape")
    if len(shape) not in {1, 2} or min(shape) < 1:
        raise EndpointError(f"shape: expected one or two sizes from 1, got {shape}")
    if data is None:
        flat = to_array(_flatten(list_at(tensor, "data"), shape), dtype)
    elif len(data) == prod(shape) * dtype.itemsize:
        flat = np.frombuffer(data, dtype)
    else:
        raise EndpointError(f"expected {datatype} of shape {shape}, got {len(data)} bytes")
    own = np.dtype(np.float32) if datatype == "FP16" else dtype.newbyteorder("=")
    return flat.reshape(shape).astype(own)


def _flatten(data: list[object], shape: Sequence[int]) -> list[object]:
    """The numbers of a list that is flat, or nested exactly as the shape says."""
    if not any(isinstance(item, list) for item in data):
        if len(data) != prod(shape):
            raise EndpointError(f"data: expected {prod(shape)} numbers, got {len(data)}")
        return data
    level: list[object] = [data]
    for size in shape:
        parts = [part for part in level if isinstance(part, list) and len(part) == size]
        if len(parts) < len(level):
            raise EndpointError(f"data: expected lists of shape {list(shape)}, got others")
        level = [item for part in parts for item in part]
    return level


class BaseOipEndpoint(ConnectedEndpoint[Connected]):
    """What asking over HTTP and over gRPC have in common: the contract is read once, then kept."""

    def __init__(
        self,
        place: str,
        domain: Domain,
        *,
        target: Target,
        shows: Kind,
        timeout: float,
        credentials: Credentials,
    ) -> None:
        check_shows(shows)
        super().__init__(place, domain, timeout=timeout, credentials=credentials)
        self.target = target
        self.shows = shows
        self.contract: Contract | None = None
        self.model_version = target.version
        """The version that answered last, or the one asked for; empty if neither is known."""

    @abstractmethod
    def _read_contract(self) -> Contract: ...

    @abstractmethod
    def _infer(self, inputs: Array, contract: Contract, request: str) -> Response: ...

    def _learn(self) -> Contract:
        if self.contract is None:
            self.contract = self._read_contract()
            self.model_version = self.model_version or self.credentials.hide(self.contract.version)
        return self.contract

    def _batch_size(self) -> int:
        return self._learn().inputs.batch

    def _ask_batch(self, codes: Codes) -> Answers:
        contract = self._learn()
        # Nobody can foresee the request's name, which the server repeats.
        response = self._infer(contract.inputs.arrange(codes, self.domain), contract, uuid4().hex)
        self.model_version = self.credentials.hide(response.version) or self.model_version
        return array_answers(response.output, count=len(codes), shows=self.shows)
