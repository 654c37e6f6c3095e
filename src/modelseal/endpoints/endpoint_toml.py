"""The endpoint.toml, of which `docs/how-to/ask-other-services.md` explains every key."""

import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from modelseal.endpoints.auth import NO_CREDENTIALS, Credentials, read_address, read_credentials
from modelseal.endpoints.endpoint import BaseEndpoint, EndpointOptions
from modelseal.endpoints.requests import (
    MANY,
    Carrier,
    Channels,
    Form,
    InputFormat,
    RequestTemplate,
    Unit,
)
from modelseal.endpoints.responses import AnswerFormat, LabelFormat, Layout, Naming, Numbers, Rows
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.outputs.answers import Kind
from modelseal.settings import Section, blame_file, read_lines, read_settings

_HEADERS = {"headers", "header_from_env", "header_from_file", "ca_file"}

# The keys of each kind of endpoint beside its time limit, and the one that says where it is.
_KEYS = {
    "http": {"url", "preset", "method", *_HEADERS},
    "oip": {"url", *_HEADERS},
    "grpc": {"url", *_HEADERS},
    "sagemaker": {"name", "url", "preset"},
    "command": {"command"},
}
_PLACES = {"sagemaker": "name", "command": "command"}

# What can be said of inputs where a request has no body of its own.
_INPUT_KEYS = {"form", "values", "channels"}

# What the name of a header that lets somebody in is made of.
_CREDENTIAL = re.compile(r"auth|token|secret|key|cookie|passw|credential|session", re.IGNORECASE)
_BY_REFERENCE = "name where it is kept in header_from_env or header_from_file"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Preset:
    """What a well-known server takes and gives."""

    template: str = MANY
    select: str = "@"


# TensorFlow Serving's form, which KServe (version 1) and Vertex AI took over.
_INSTANCES = _Preset(template='{"instances": "$inputs"}', select="predictions")
# MLflow's form, which is what its containers for SageMaker answer too.
_INVOCATIONS = _Preset(template='{"inputs": "$inputs"}', select="predictions")

# By name. Where the service's own code decides the form, this is that of its documentation.
PRESETS = {
    "mlflow": _INVOCATIONS,
    "sagemaker-container": _INVOCATIONS,
    "kserve-v1": _INSTANCES,
    "tf-serving": _INSTANCES,
    "vertex": _INSTANCES,
    "torchserve": _Preset(),
    "bentoml": _Preset(template='{"input": "$inputs"}'),
    "litserve": _Preset(template='{"input": "$inputs"}', select="logits"),
    "ray-serve": _INSTANCES,
}


def preset_of(path: str) -> str:
    """The name of the preset of an address by its path; empty if it has none.

    Examples:
        >>> preset_of("/v1/models/m:predict")
        'kserve-v1'
    """
    endings = {":predict": "kserve-v1", "/invocations": "mlflow"}
    return next((name for ending, name in endings.items() if path.endswith(ending)), "")


class EndpointSection(Section):
    """Where the endpoint is and what lets a request in."""

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
            raise InvalidArgumentError("expected a text")
        return given

    @field_validator("headers", "header_from_env", "header_from_file", mode="before")
    @classmethod
    def _are_texts(cls, given: object) -> object:
        if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
            raise InvalidArgumentError("expected a table of texts")
        return given

    @model_validator(mode="after")
    def _agrees(self) -> "EndpointSection":
        place = _PLACES.get(self.kind, "url")
        if getattr(self, place) in (None, "", []):
            raise InvalidArgumentError(f"is missing for {self.kind}", field=place)
        others = self.model_fields_set - _KEYS[self.kind] - {"kind", "timeout"}
        if others:
            raise InvalidArgumentError(f"unknown key for {self.kind}", field=min(others))
        if self.preset is not None and self.preset not in PRESETS:
            problem = f"expected one of {', '.join(PRESETS)}, got {self.preset!r}"
            raise InvalidArgumentError(problem, field="preset")
        if self.url is not None and _has_user(self.url):
            problem = f"expected no user and password, got one: {_BY_REFERENCE}"
            raise InvalidArgumentError(problem, field="url")
        self._check_headers()
        return self

    def _check_headers(self) -> None:
        for name in self.headers:
            if _CREDENTIAL.search(name):
                problem = f"{name} is a credential: {_BY_REFERENCE}"
                raise InvalidArgumentError(problem, field="headers")
        every = [*self.headers, *self.header_from_env, *self.header_from_file]
        lower = [name.lower() for name in every]
        for name in every:
            if lower.count(name.lower()) > 1:
                raise InvalidArgumentError(f"expected the header {name} once, got it twice")


class RequestSection(Section):
    """How inputs are sent; see `InputFormat` and `RequestTemplate`."""

    form: Annotated[Form, Field(strict=False)] = Form.NESTED
    values: Annotated[Unit, Field(strict=False)] = Unit.BOUNDS
    channels: Annotated[Channels, Field(strict=False)] = Channels.FIRST
    carrier: Annotated[Carrier, Field(strict=False)] = Carrier.JSON
    template: str | None = None
    field: str = "file"
    content_type: str = ""


class AnswerSection(Section):
    """How answers are read; see `AnswerFormat` and `LabelFormat`."""

    select: str | None = None
    layout: Annotated[Layout, Field(strict=False)] | None = None
    numbers: Annotated[Numbers, Field(strict=False)] | None = None
    labels: Annotated[Naming, Field(strict=False)] | None = None
    first: int = 0
    names: list[str] = Field(default=[])
    names_file: str | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "AnswerSection":
        if self.names and self.names_file is not None:
            raise InvalidArgumentError("expected names or names_file, got both")
        return self


class CheckSection(Section):
    """Natural images with known labels, which are asked before any sample."""

    images: str
    labels: list[Any] = Field(default=[])
    labels_file: str | None = None
    at_least: float = Field(default=0.5, gt=0, le=1)
    count: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _agrees(self) -> "CheckSection":
        if self.labels and self.labels_file is not None:
            raise InvalidArgumentError("expected labels or labels_file, got both")
        if not all(type(label) in (int, str) for label in self.labels):
            raise InvalidArgumentError("expected whole numbers or names", field="labels")
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
                raise InvalidArgumentError(
                    f"expected nothing for {kind} but answer.numbers, scores or probabilities"
                )
        others = self.request.model_fields_set - _INPUT_KEYS
        if kind == "command" and others:
            raise InvalidArgumentError("unknown key for command", field=f"request.{min(others)}")
        return self


def read_endpoint_toml(path: Path) -> Declaration:
    """Reads an endpoint.toml; files that it names are not opened."""
    return read_settings(path, Declaration)


def is_endpoint_toml(path: Path) -> bool:
    """Whether a TOML file is an endpoint.toml: its first table is `endpoint`."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # is said by whoever reads it as what it is not
        return False
    return next(iter(tables), "") == "endpoint"


def list_endpoint_files(path: Path) -> tuple[Path, ...]:
    """An endpoint.toml and the files that it names; some may be missing."""
    declaration = read_endpoint_toml(path)
    endpoint, check = declaration.endpoint, declaration.check
    named = (
        *endpoint.header_from_file.values(),
        endpoint.ca_file,
        declaration.answer.names_file,
        *((check.images, check.labels_file) if check else ()),
    )
    return (path, *(path.parent / name for name in named if name is not None))


def name_declared(path: Path) -> str:
    """An endpoint.toml with the place that it declares, without what may be a secret.

    Of an address the query is left out, and of a command all but the program.
    """
    return _name(path, read_endpoint_toml(path).endpoint)


def _name(path: Path, section: EndpointSection) -> str:
    try:
        address = read_address(section.url or "", expected="the address of a server").shown
    except InvalidArgumentError as error:
        raise BadFileError(path, error.problem, field="endpoint.url") from error
    if section.kind == "sagemaker":
        place = f"sagemaker:{section.name}" + (f" at {address}" if address else "")
    else:
        place = address or (section.command or [""])[0]
    return f"{path} ({place})"


def _has_user(url: str) -> bool:
    """Whether an address has a user or a password, as far as it can be read."""
    try:
        host, _ = (parts := urlsplit(url)).netloc, parts.port
    except ValueError:  # a password with a slash in it looks like a port
        return "@" in url
    return "@" in host


def open_declared(path: Path, options: EndpointOptions) -> BaseEndpoint:
    """Opens the endpoint that an endpoint.toml declares; nobody is asked yet."""
    declaration = read_endpoint_toml(path)
    section = declaration.endpoint
    credentials = read_credentials(
        path,
        headers=section.headers,
        from_env=section.header_from_env,
        from_file=section.header_from_file,
        ca_file=section.ca_file,
        environment=os.environ,
    )
    with blame_file(path, ""):
        opened = _open(declaration, options, folder=path.parent, credentials=credentials)
    opened.name = _name(path, section)
    return opened


def open_short(options: EndpointOptions, **keys: str) -> BaseEndpoint:
    """Opens an endpoint of which an address or a name says all, as keys of its section."""
    section = EndpointSection.model_construct(None, **keys)
    return _open(Declaration.model_construct(endpoint=section), options)


def _open(
    declaration: Declaration,
    options: EndpointOptions,
    *,
    folder: Path = Path(),
    credentials: Credentials = NO_CREDENTIALS,
) -> BaseEndpoint:
    section = declaration.endpoint
    given = options.timeout if section.timeout is None else section.timeout
    timeout = min(given, options.time_limit)
    if section.kind in {"oip", "grpc"}:
        return _open_oip(declaration, options, timeout=timeout, credentials=credentials)
    inputs = _inputs(declaration, options)
    if section.kind == "command":
        from modelseal.endpoints.subprocess import CommandEndpoint

        answers = _answers(declaration, options, folder, rows=Rows.ONE, select="output")
        command = cast(list[str], section.command)
        with _in_section("endpoint"):
            return CommandEndpoint(
                command, inputs=inputs, answers=answers, folder=folder, timeout=timeout
            )
    template = _template(declaration, inputs)
    rows = Rows.ONE if template.size else Rows.ALL
    answers = _answers(declaration, options, folder, rows=rows, select="@")
    if section.kind == "sagemaker":
        from modelseal.endpoints.sagemaker import SageMakerEndpoint

        name, url = cast(str, section.name), section.url
        with _in_section("endpoint"):
            return SageMakerEndpoint(
                name, template=template, answers=answers, url=url, timeout=timeout
            )
    from modelseal.endpoints.http import HttpEndpoint

    with _in_section("endpoint"):
        return HttpEndpoint(
            cast(str, section.url),
            template=template,
            answers=answers,
            credentials=credentials,
            timeout=timeout,
            method=section.method,
        )


def _open_oip(
    declaration: Declaration, options: EndpointOptions, *, timeout: float, credentials: Credentials
) -> BaseEndpoint:
    url, domain = cast(str, declaration.endpoint.url), options.fingerprint.domain
    numbers = declaration.answer.numbers
    shows = options.shows if numbers is None else Kind(numbers.value)
    with _in_section("endpoint"):
        if declaration.endpoint.kind == "oip":
            from modelseal.endpoints.oip.rest import OipEndpoint

            return OipEndpoint(url, domain, shows=shows, timeout=timeout, credentials=credentials)
        from modelseal.endpoints.oip.grpc import OipGrpcEndpoint

        return OipGrpcEndpoint(url, domain, shows=shows, timeout=timeout, credentials=credentials)


@contextmanager
def _in_section(name: str) -> Iterator[None]:
    try:
        yield
    except InvalidArgumentError as error:
        field = f"{name}.{error.field}".removesuffix(".")
        raise InvalidArgumentError(error.problem, field=field) from error


def _inputs(declaration: Declaration, options: EndpointOptions) -> InputFormat:
    request = declaration.request
    with _in_section("request"):
        return InputFormat(
            domain=options.fingerprint.domain,
            form=request.form,
            unit=request.values,
            channels=request.channels,
        )


def _template(declaration: Declaration, inputs: InputFormat) -> RequestTemplate:
    request, preset = declaration.request, PRESETS.get(declaration.endpoint.preset or "", _Preset())
    with _in_section("request"):
        return RequestTemplate(
            inputs=inputs,
            carrier=request.carrier,
            text=request.template or preset.template,
            field=request.field,
            content_type=request.content_type,
        )


def _answers(
    declaration: Declaration, options: EndpointOptions, folder: Path, *, rows: Rows, select: str
) -> AnswerFormat:
    """How answers are read; they stand at `select` if neither file nor preset say so."""
    answer, preset = declaration.answer, PRESETS.get(declaration.endpoint.preset or "")
    names = tuple(answer.names) or options.fingerprint.names
    if answer.names_file is not None:
        names = read_lines(folder / answer.names_file)
    probable = options.shows is Kind.PROBABILITIES
    with _in_section("answer"):
        labels = LabelFormat(
            classes=options.fingerprint.classes,
            names=names,
            naming=answer.labels,
            first=answer.first,
        )
        return AnswerFormat(
            labels=labels,
            select=answer.select or (preset.select if preset else select),
            layout=answer.layout,
            numbers=answer.numbers or (Numbers.PROBABILITIES if probable else Numbers.SCORES),
            rows=rows,
        )
