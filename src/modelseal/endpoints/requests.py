"""How inputs travel: the body of a request made of a template, or a tensor with a type."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast
from uuid import uuid4

import numpy as np
import orjson

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.strict_json import read_value
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.types import Array, Codes

Item: TypeAlias = list[object] | bytes  # one input on its way: a list, which is JSON, or bytes

ONE, MANY = "$input", "$inputs"
"""What stands in a template for one input, and for a list of all that are asked."""

ANY = -1  # the size of an axis that a model leaves open


class Form(Enum):
    """In what form an input travels."""

    NESTED = "nested"
    FLAT = "flat"
    PNG = "png"
    BYTES = "bytes"


class Unit(Enum):
    """What its numbers are."""

    BOUNDS = "bounds"
    LEVELS = "levels"


class Channels(Enum):
    """Where the axis of channels stands."""

    FIRST = "first"
    LAST = "last"


class Carrier(Enum):
    """What carries the inputs."""

    JSON = "json"
    BODY = "body"
    MULTIPART = "multipart"


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFormat:
    """How inputs of a domain travel."""

    domain: Domain
    form: Form = Form.NESTED
    unit: Unit = Unit.BOUNDS
    channels: Channels = Channels.FIRST

    def __post_init__(self) -> None:
        shape, levels = self.domain.shape, self.domain.levels
        planes = shape[0] if len(shape) == 3 else 1
        picture = levels == 256 and len(shape) in {2, 3} and planes in {1, 3}
        if self.form is Form.PNG and not picture:
            raise InvalidArgumentError(
                "expected 256 levels and one or three channels for a PNG file, "
                f"got shape {list(shape)} and {levels} levels"
            )
        if self.unit is Unit.LEVELS and not levels:
            raise InvalidArgumentError("expected inputs with levels, got continuous ones")
        if self.channels is Channels.LAST and len(shape) < 2:
            raise InvalidArgumentError(
                f"expected an axis of channels to move last, got shape {list(shape)}"
            )

    def encode(self, codes: Codes) -> list[Item]:
        """Inputs on their way, one for each."""
        values = self.domain.decode(codes)
        if self.form is Form.PNG:
            return [encode_png(code) for code in codes]
        numbers = codes if self.unit is Unit.LEVELS else values
        if self.channels is Channels.LAST:
            numbers = np.moveaxis(numbers, 1, -1)
        return [self._encode_row(row) for row in numbers]

    def _encode_row(self, row: Array) -> Item:
        if self.form is Form.BYTES:
            return row.astype(row.dtype.newbyteorder("<")).tobytes()
        # A float32 survives JSON exactly: it is written as the float64 that equals it.
        return cast(Item, row.ravel().tolist() if self.form is Form.FLAT else row.tolist())


def as_json(items: Sequence[Item]) -> list[object]:
    """Inputs as JSON takes them: bytes in base64."""
    return [b64encode(item).decode() if isinstance(item, bytes) else item for item in items]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A request's body and what it is."""

    body: bytes
    content_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestTemplate:
    """How a request's body is made."""

    inputs: InputFormat
    carrier: Carrier = Carrier.JSON
    text: str = MANY
    field: str = "file"
    content_type: str = ""

    def __post_init__(self) -> None:
        if self.carrier is Carrier.JSON:
            self._check_text()
        elif self.inputs.form not in {Form.PNG, Form.BYTES}:
            raise InvalidArgumentError(
                f"expected png or bytes for a {self.carrier.value}, got {self.inputs.form.value}"
            )
        if not (self.field.isascii() and self.field.isprintable() and '"' not in self.field):
            raise InvalidArgumentError(f"expected a name in ASCII, got {self.field!r}")

    def _check_text(self) -> None:
        content = _parse(self.text)
        _check_sendable(content, depth=len(self.inputs.domain.shape) + 1)
        places = _placeholders(content)
        if len(places) != 1:
            raise InvalidArgumentError(
                f"expected one placeholder, {ONE!r} or {MANY!r}, got {len(places)}"
            )
        if places[0] not in {ONE, MANY} and (
            MANY in places[0] or self.inputs.form in {Form.NESTED, Form.FLAT}
        ):
            raise InvalidArgumentError(
                f"expected {ONE!r} for base64 within a longer string, got {places[0]!r}"
            )

    @property
    def size(self) -> int:
        """How many inputs one request carries; 0 for any number."""
        many = self.carrier is Carrier.JSON and MANY in _placeholders(_parse(self.text))
        return 0 if many else 1

    def render(self, codes: Codes) -> Message:
        """The request for some inputs; for one of them if the template takes one."""
        items = self.inputs.encode(codes)
        if self.carrier is Carrier.JSON:
            body = orjson.dumps(_fill(_parse(self.text), as_json(items)))
            return Message(body=body, content_type="application/json")
        usual = "image/png" if self.inputs.form is Form.PNG else "application/octet-stream"
        kind = self.content_type or usual
        content = cast(bytes, items[0])
        if self.carrier is Carrier.BODY:
            return Message(body=content, content_type=kind)
        return _multipart(content, field=self.field, kind=kind)


def _parse(text: str) -> object:
    if text in {ONE, MANY}:  # spares whoever needs nothing around it the quotes
        return text
    try:
        return read_value(text)
    except EndpointError as error:
        raise InvalidArgumentError(f"expected a template in JSON: {error}") from error


def _check_sendable(content: object, *, depth: int) -> None:
    """Makes sure that a template stays what it is when it is written as JSON.

    In the placeholder's place there will be lists in lists, `depth` of them.
    """
    inputs: list[object] = []
    for _ in range(depth):
        inputs = [inputs]
    try:
        orjson.dumps(_fill(content, inputs))
        changed = orjson.loads(orjson.dumps(content)) != content
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise InvalidArgumentError(f"expected a template that JSON can hold: {error}") from error
    if changed:
        raise InvalidArgumentError("expected finite numbers in a template, got another one")


def _placeholders(node: object) -> list[str]:
    match node:
        case str():
            return [node] if ONE in node else []
        case list():
            return [mark for part in node for mark in _placeholders(part)]
        case dict():
            return [mark for part in node.values() for mark in _placeholders(part)]
    return []


def _fill(node: object, values: list[object]) -> object:
    """The template with the list of values, or the first of them, in the placeholder's place."""
    match node:
        case str() if node == MANY:
            return values
        case str() if node == ONE:
            return values[0]
        case str():
            return node.replace(ONE, str(values[0]))
        case list():
            return [_fill(part, values) for part in node]
        case dict():
            return {key: _fill(part, values) for key, part in node.items()}
    return node


def _multipart(content: bytes, *, field: str, kind: str) -> Message:
    # Nobody can foresee the boundary, so that the content does not hold it.
    boundary = uuid4().hex
    name = "image.png" if kind == "image/png" else "input.bin"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return Message(body=body, content_type=f"multipart/form-data; boundary={boundary}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorFormat:
    """How a model takes its inputs as one tensor."""

    name: str
    datatype: str = "FP32"
    batch: int = 0
    channels_last: bool = False

    def arrange(self, codes: Codes, domain: Domain) -> Array:
        """The inputs as the model takes them, batch axis first."""
        if self.datatype == "UINT8":
            inputs = _as_bytes(codes, domain)
        else:
            inputs = domain.decode(codes).astype("f8" if self.datatype == "FP64" else "f4")
        moved = np.moveaxis(inputs, 1, -1) if self.channels_last else inputs
        return np.ascontiguousarray(moved)


def _as_bytes(codes: Codes, domain: Domain) -> Array:
    """The level numbers of 256 levels, else values that are whole bytes."""
    values = domain.decode(codes)
    if domain.levels == 256:
        return codes
    if not domain.levels or not np.isin(domain.table, np.arange(256)).all():
        raise EndpointError("expected inputs whose values are bytes (UINT8), got others")
    return values.astype(np.uint8)


def tensor_format(name: str, datatype: str, shape: Sequence[int], domain: Domain) -> TensorFormat:
    """How a model that declares its input so takes the inputs of a domain."""
    if datatype not in {"FP32", "FP64", "UINT8"}:
        raise EndpointError(f"expected a model that takes FP32, FP64 or UINT8, got {datatype}")
    first, last = domain.shape, (*domain.shape[1:], domain.shape[0])
    for order in (first, last):
        if _fits((ANY, *order), shape) and shape[0] != 0:
            return TensorFormat(
                name=name,
                datatype=datatype,
                batch=max(shape[0], 0),
                channels_last=order is not first,
            )
    raise EndpointError(f"expected a model that takes shape {[ANY, *first]}, got {list(shape)}")


def _fits(wanted: Sequence[int], declared: Sequence[int]) -> bool:
    """Whether two shapes are the same where neither leaves a size open."""
    return len(wanted) == len(declared) and all(
        first == second or ANY in (first, second)
        for first, second in zip(wanted, declared, strict=True)
    )
