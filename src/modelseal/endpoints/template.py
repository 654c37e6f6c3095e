"""The body of a request, made of a template and inputs."""

from dataclasses import dataclass
from enum import Enum
from typing import cast
from uuid import uuid4

import orjson

from modelseal.endpoints.encoding import Form, Item, Sending, as_json
from modelseal.endpoints.strict_json import read_value
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.types import Codes

ONE, MANY = "$input", "$inputs"
"""What stands in a template for one input, and for a list of all that are asked."""


class Carrier(Enum):
    """What carries the inputs."""

    JSON = "json"
    BODY = "body"
    MULTIPART = "multipart"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A request's body and what it is."""

    body: bytes
    content_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """How a request's body is made.

    Args:
        sending: How an input travels.
        carrier: A JSON text, the input itself, or a form with a file.
        text: For JSON: a JSON text with one placeholder, the string `$inputs` for a list of all
            inputs or `$input` for one, which is then asked alone. Bytes are put in as base64,
            also within a longer string, such as `data:image/png;base64,$input`.
        field: For a form: what the file's field is called.
        content_type: Of a body or a file; by default that of a PNG file or of bytes.

    Raises:
        InvalidArgumentError: The text is no JSON or has another number of placeholders, or the
            inputs travel as something that cannot be carried so.
    """

    sending: Sending
    carrier: Carrier = Carrier.JSON
    text: str = MANY
    field: str = "file"
    content_type: str = ""

    def __post_init__(self) -> None:
        if self.carrier is Carrier.JSON:
            self.check_text()
        elif self.sending.form not in {Form.PNG, Form.BYTES}:
            raise InvalidArgumentError(
                f"png or bytes are wanted for a {self.carrier.value}, "
                f"but inputs are {self.sending.form.value}"
            )
        if not (self.field.isascii() and self.field.isprintable() and '"' not in self.field):
            raise InvalidArgumentError(f"field: a name of ASCII was wanted, not {self.field!r}")

    def check_text(self) -> None:
        """Makes sure that the text is JSON that can be sent, with one placeholder."""
        content = parse(self.text)
        check_sendable(content, depth=len(self.sending.domain.shape) + 1)
        places = marks(content)
        if len(places) != 1:
            raise InvalidArgumentError(
                f"one placeholder, {ONE!r} or {MANY!r}, was wanted, but there are {len(places)}"
            )
        if places[0] not in {ONE, MANY} and (
            MANY in places[0] or self.sending.form in {Form.NESTED, Form.FLAT}
        ):
            raise InvalidArgumentError(
                f"a placeholder within a longer string is {ONE!r} for base64, "
                f"but this is {places[0]!r}"
            )

    @property
    def size(self) -> int:
        """How many inputs one request carries; 0 for any number."""
        return 0 if self.carrier is Carrier.JSON and MANY in marks(parse(self.text)) else 1

    def render(self, codes: Codes) -> Message:
        """The request for some inputs; for one of them if the template takes one.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain.
        """
        items = self.sending.items(codes)
        if self.carrier is Carrier.JSON:
            body = orjson.dumps(self.fill(items))
            return Message(body=body, content_type="application/json")
        kind = self.content_type or usual_type(self.sending.form)
        content = cast(bytes, items[0])
        if self.carrier is Carrier.BODY:
            return Message(body=content, content_type=kind)
        return multipart(content, field=self.field, kind=kind)

    def fill(self, items: list[Item]) -> object:
        """The template with inputs in the place of its placeholder."""
        values = as_json(items)
        return replace(parse(self.text), values)


def parse(text: str) -> object:
    """A template as a JSON value.

    Raises:
        InvalidArgumentError: It is no JSON.
    """
    if text in {ONE, MANY}:  # spares whoever needs nothing around it the quotes
        return text
    try:
        return read_value(text)
    except EndpointError as error:
        raise InvalidArgumentError(f"a template is JSON, but: {error}") from error


def check_sendable(content: object, *, depth: int) -> None:
    """Makes sure that a template stays what it is when it is written as JSON.

    Args:
        content: The template.
        depth: Of how many lists in lists what takes the placeholder's place is.

    Raises:
        InvalidArgumentError: It is nested too deeply, or has a number or half a character that
            cannot be written.
    """
    inputs: list[object] = []
    for _ in range(depth):
        inputs = [inputs]
    try:
        orjson.dumps(replace(content, inputs))
        changed = orjson.loads(orjson.dumps(content)) != content
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise InvalidArgumentError(f"a template is sent as JSON, but: {error}") from error
    if changed:
        raise InvalidArgumentError("a template is sent as JSON, but a number in it is not finite")


def marks(node: object) -> list[str]:
    """All strings of a template that hold a placeholder."""
    match node:
        case str():
            return [node] if ONE in node else []
        case list():
            return [mark for part in node for mark in marks(part)]
        case dict():
            return [mark for part in node.values() for mark in marks(part)]
    return []


def replace(node: object, values: list[object]) -> object:
    """The template with the list of values, or the first of them, in its place."""
    match node:
        case str() if node == MANY:
            return values
        case str() if node == ONE:
            return values[0]
        case str():
            return node.replace(ONE, str(values[0]))
        case list():
            return [replace(part, values) for part in node]
        case dict():
            return {key: replace(part, values) for key, part in node.items()}
    return node


def usual_type(form: Form) -> str:
    """What bytes of a form are called."""
    return "image/png" if form is Form.PNG else "application/octet-stream"


def multipart(content: bytes, *, field: str, kind: str) -> Message:
    """A form with one file."""
    # Nobody can foresee the boundary, so that the content does not hold it.
    boundary = uuid4().hex
    name = "image.png" if kind == "image/png" else "input.bin"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return Message(body=body, content_type=f"multipart/form-data; boundary={boundary}")
