"""How well-known servers are asked and answer, so that nobody has to look it up."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from modelseal.endpoints.auth import read_address
from modelseal.endpoints.encoding import Channels, Form, Unit
from modelseal.endpoints.responses import Layout, Naming, Numbers
from modelseal.endpoints.template import Carrier
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.settings import Section, read_settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """What a server takes and gives.

    Args:
        template: The body of a request.
        select: Where the answer stands in a reply.
    """

    template: str
    select: str


INSTANCES = Preset(template='{"instances": "$inputs"}', select="predictions")
"""TensorFlow Serving's form, which KServe (version 1) and Vertex AI took over."""

INVOCATIONS = Preset(template='{"inputs": "$inputs"}', select="predictions")
"""MLflow's form, which is what its containers for SageMaker answer too."""

PRESETS = {
    "mlflow": INVOCATIONS,
    "sagemaker-container": INVOCATIONS,
    "kserve-v1": INSTANCES,
    "tf-serving": INSTANCES,
    "vertex": INSTANCES,
    "torchserve": Preset(template="$inputs", select="@"),
    "bentoml": Preset(template='{"input": "$inputs"}', select="@"),
    "litserve": Preset(template='{"input": "$inputs"}', select="logits"),
    "ray-serve": INSTANCES,
}
"""By name. Where the service's own code decides the form, this is that of its documentation."""

ENDINGS = {":predict": "kserve-v1", "/invocations": "mlflow"}
"""The preset of an address by how its path ends."""


def preset_of(path: str) -> str:
    """The name of the preset of an address by its path; empty if it has none.

    Examples:
        >>> preset_of("/v1/models/m:predict")
        'kserve-v1'
    """
    return next((name for ending, name in ENDINGS.items() if path.endswith(ending)), "")


HEADERS = {"headers", "header_from_env", "header_from_file", "ca_file"}
"""The keys of what lets a request in."""

KEYS = {
    "http": {"url", "preset", "method", *HEADERS},
    "oip": {"url", *HEADERS},
    "grpc": {"url", *HEADERS},
    "sagemaker": {"name", "url", "preset"},
    "command": {"command"},
}
"""The keys that each kind of endpoint has beside its time limit."""

NEEDED = {"sagemaker": "name", "command": "command"}
"""The key that says where an endpoint is, where that is not its address."""

SENDING = {"form", "values", "channels"}
"""What can be said of inputs where a request has no body of its own."""

CREDENTIAL = re.compile(r"auth|token|secret|key|cookie|passw|credential|session", re.IGNORECASE)
"""What the name of a header that lets somebody in is made of."""

BY_REFERENCE = "name where it is kept in header_from_env or header_from_file"


class EndpointSection(Section):
    """Where the endpoint is and what lets a request in.

    Args:
        kind: What it speaks.
        url: The address of a server; for SageMaker that of another runtime than Amazon's own.
        name: The name of a SageMaker endpoint.
        command: The program and its arguments.
        preset: How a well-known server is asked and answers.
        method: How HTTP asks.
        headers: Headers without secrets, by name.
        header_from_env: For headers that are secret: the variables that hold them.
        header_from_file: The same: the files that hold them, relative to the endpoint.toml.
        ca_file: Certificates to trust in place of the system's, relative to the endpoint.toml.
        timeout: How many seconds to wait for each answer; by default as long as for others.
    """

    kind: Literal["http", "oip", "grpc", "sagemaker", "command"]
    url: str | None = None
    name: str | None = None
    command: list[str] | None = None
    preset: str | None = None
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str] = Field(default={})
    header_from_env: dict[str, str] = Field(default={})
    header_from_file: dict[str, str] = Field(default={})
    ca_file: str | None = None
    timeout: float | None = None

    @field_validator("url", mode="before")
    @classmethod
    def _is_text(cls, given: object) -> object:
        # pydantic's own sentence would show what was given, and with it a password.
        if not isinstance(given, str):
            raise ValueError("needs a text")
        return given

    @field_validator("headers", "header_from_env", "header_from_file", mode="before")
    @classmethod
    def _are_texts(cls, given: object) -> object:
        if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
            raise ValueError("needs a table of texts")
        return given

    @model_validator(mode="after")
    def _agrees(self) -> "EndpointSection":
        needed = NEEDED.get(self.kind, "url")
        if getattr(self, needed) in (None, "", []):
            raise ValueError(f"{needed} is needed for {self.kind}")
        others = self.model_fields_set - KEYS[self.kind] - {"kind", "timeout"}
        if others:
            raise ValueError(f"{min(others)} is not for {self.kind}")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset needs one of {', '.join(PRESETS)}, but is {self.preset!r}")
        if self.url is not None and has_user(self.url):
            raise ValueError(f"url needs no user and password: {BY_REFERENCE}")
        self._check_headers()
        return self

    def _check_headers(self) -> None:
        for name in self.headers:
            if CREDENTIAL.search(name):
                raise ValueError(f"headers: {name} is a credential: {BY_REFERENCE}")
        every = [*self.headers, *self.header_from_env, *self.header_from_file]
        twice = [name for name in every if [one.lower() for one in every].count(name.lower()) > 1]
        if twice:
            raise ValueError(f"the header {twice[0]} is wanted once, but comes twice")


class RequestSection(Section):
    """How inputs are sent; see `Sending` and `Template`."""

    form: Form | None = None
    values: Unit | None = None
    channels: Channels | None = None
    carrier: Carrier | None = None
    template: str | None = None
    field: str = "file"
    content_type: str = ""

    @field_validator("form", "values", "channels", "carrier", mode="before")
    @classmethod
    def _word(cls, given: object, info: Any) -> object:  # noqa: ANN401 (pydantic's own)
        kinds = {"form": Form, "values": Unit, "channels": Channels, "carrier": Carrier}
        return word(given, kinds[info.field_name])


class AnswerSection(Section):
    """How answers are read; see `Mapping`, `Shown` and `Labelling`.

    Args:
        select: A JMESPath expression for where the answer stands.
        layout: How the answer to one input is laid out.
        numbers: What its numbers are.
        labels: Whether labels are numbers or names.
        first: The number of the first class.
        names: What the server calls each class.
        names_file: The same as a file with a name in each line, relative to the endpoint.toml.
    """

    select: str | None = None
    layout: Layout | None = None
    numbers: Numbers | None = None
    labels: Naming | None = None
    first: int = 0
    names: list[str] = Field(default=[])
    names_file: str | None = None

    @field_validator("layout", "numbers", "labels", mode="before")
    @classmethod
    def _word(cls, given: object, info: Any) -> object:  # noqa: ANN401 (pydantic's own)
        kinds = {"layout": Layout, "numbers": Numbers, "labels": Naming}
        return word(given, kinds[info.field_name])

    @model_validator(mode="after")
    def _agrees(self) -> "AnswerSection":
        if self.names and self.names_file is not None:
            raise ValueError("either names or names_file is needed, and not both")
        return self


class CheckSection(Section):
    """Natural images with known labels, which are asked before any sample.

    Args:
        images: A folder of PNG or JPEG files or an `.npz` file, relative to the endpoint.toml.
        labels: The number, from 0, or the name of each image's class, in their order; by default
            the array `labels` of the `.npz` file.
        labels_file: The same as a file with a label in each line.
        at_least: The share of images that must be answered with their label.
        count: How many images are asked at most.
    """

    images: str
    labels: list[Any] = Field(default=[])
    labels_file: str | None = None
    at_least: float = Field(default=0.5, gt=0, le=1)
    count: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _agrees(self) -> "CheckSection":
        if self.labels and self.labels_file is not None:
            raise ValueError("either labels or labels_file is needed, and not both")
        if not all(type(label) in (int, str) for label in self.labels):
            raise ValueError("labels needs whole numbers or names")
        return self


class Declaration(Section):
    """A whole endpoint.toml."""

    endpoint: EndpointSection
    request: RequestSection = RequestSection()
    answer: AnswerSection = AnswerSection()
    check: CheckSection | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Declaration":
        kind, answer = self.endpoint.kind, self.answer
        if kind in {"oip", "grpc"}:
            other = self.request.model_fields_set | answer.model_fields_set - {"numbers"}
            if other or answer.numbers is Numbers.PERCENT:
                raise ValueError(
                    f"{kind} needs nothing but whether the numbers of the answer are scores or "
                    "probabilities"
                )
        others = self.request.model_fields_set - SENDING
        if kind == "command" and others:
            raise ValueError(f"request: {min(others)} is not for command")
        return self


def read_endpoint(path: Path) -> Declaration:
    """Reads an endpoint.toml; files that it names are not opened.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong; `field` says which.
    """
    return read_settings(path, Declaration)


def is_endpoint(path: Path) -> bool:
    """Whether a TOML file is an endpoint.toml: its first table is `endpoint`."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # is said by whoever reads it as what it is not
        return False
    return next(iter(tables), "") == "endpoint"


def list_endpoint_files(path: Path) -> tuple[Path, ...]:
    """An endpoint.toml and the files that it names; some may be missing.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong.
    """
    declaration = read_endpoint(path)
    endpoint, check = declaration.endpoint, declaration.check
    named = (
        *endpoint.header_from_file.values(),
        endpoint.ca_file,
        declaration.answer.names_file,
        *((check.images, check.labels_file) if check else ()),
    )
    return (path, *(path.parent / name for name in named if name is not None))


def name_place(path: Path) -> str:
    """Where the endpoint is that an endpoint.toml declares, without what may be a secret.

    Of an address the query is left out, and of a command all but the program.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong.
    """
    section = read_endpoint(path).endpoint
    try:
        address = read_address(section.url or "", wanted="the address of a server was wanted").shown
    except InvalidArgumentError as error:
        raise BadFileError(path, str(error), field="endpoint.url") from error
    if section.kind == "sagemaker":
        return f"sagemaker:{section.name}" + (f" at {address}" if address else "")
    return address or (section.command or [""])[0]


def has_user(url: str) -> bool:
    """Whether an address has a user or a password, as far as it can be read."""
    try:
        host, _ = (parts := urlsplit(url)).netloc, parts.port
    except ValueError:  # a password with a slash in it looks like a port
        return "@" in url
    return "@" in host


def word(given: object, kind: Any) -> object:  # noqa: ANN401 (any Enum)
    """The member of an Enum that a text names.

    Raises:
        ValueError: It names none.
    """
    known = [member.value for member in kind]
    if given not in known:
        raise ValueError(f"needs one of {', '.join(known)}, but is {given!r}")
    return kind(given)
