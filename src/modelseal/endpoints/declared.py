"""What a declared endpoint is made of."""

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from modelseal.endpoints.auth import Access, check_header, secrets_of
from modelseal.endpoints.encoding import Channels, Form, Sending, Unit
from modelseal.endpoints.endpoint import Endpoint, EndpointOptions
from modelseal.endpoints.endpoint_toml import (
    PRESETS,
    Declaration,
    EndpointSection,
    read_endpoint,
)
from modelseal.endpoints.responses import AnswerMapping, Labelling, Numbers, Rows
from modelseal.endpoints.template import MANY, Carrier, Template
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.outputs.answers import Kind
from modelseal.settings import read_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a declared endpoint is made of.

    Args:
        path: The file that declares it.
        declaration: What it says.
        options: What is known when it is opened.
        access: What lets a request in.
    """

    path: Path
    declaration: Declaration
    options: EndpointOptions
    access: Access

    @property
    def timeout(self) -> float:
        """How many seconds to wait for each answer."""
        declared = self.section.timeout
        given = self.options.timeout if declared is None else declared
        return min(given, self.options.time_limit)

    @property
    def section(self) -> EndpointSection:
        """Where the endpoint is."""
        return self.declaration.endpoint

    def sending(self) -> Sending:
        """How inputs are sent.

        Raises:
            BadFileError: The model's inputs cannot be sent so.
        """
        request = self.declaration.request
        with blaming(self.path, "request"):
            return Sending(
                domain=self.options.fingerprint.domain,
                form=request.form or Form.NESTED,
                unit=request.values or Unit.BOUNDS,
                channels=request.channels or Channels.FIRST,
            )

    def template(self) -> Template:
        """How a request's body is made.

        Raises:
            BadFileError: The template is malformed, or does not fit the form of the inputs.
        """
        request, preset = self.declaration.request, PRESETS.get(self.section.preset or "")
        with blaming(self.path, "request"):
            return Template(
                sending=self.sending(),
                carrier=request.carrier or Carrier.JSON,
                text=request.template or (preset.template if preset else MANY),
                field=request.field,
                content_type=request.content_type,
            )

    def mapping(self, *, rows: Rows, select: str) -> AnswerMapping:
        """How answers are read.

        Args:
            rows: What is picked of an answer.
            select: Where the answer stands if neither file nor preset say so.

        Raises:
            BadFileError: The expression is malformed, or the names are not one for each class.
        """
        answer, preset = self.declaration.answer, PRESETS.get(self.section.preset or "")
        names = self.names()
        with blaming(self.path, "answer"):
            return AnswerMapping(
                labelling=Labelling(
                    classes=self.options.fingerprint.classes,
                    names=names,
                    naming=answer.labels,
                    first=answer.first,
                ),
                select=answer.select or (preset.select if preset else select),
                layout=answer.layout,
                numbers=answer.numbers or numbers_of(self.options.shows),
                rows=rows,
            )

    def names(self) -> tuple[str, ...]:
        """What the server calls the classes: by default what the model's owner calls them.

        Raises:
            BadFileError: The file of names cannot be read.
        """
        answer = self.declaration.answer
        if answer.names_file is not None:
            return read_lines(self.path.parent / answer.names_file)
        return tuple(answer.names) or self.options.fingerprint.names

    def shows(self) -> Kind:
        """What the numbers are where a protocol says all else."""
        probable = self.declaration.answer.numbers is Numbers.PROBABILITIES
        declared = self.declaration.answer.numbers is not None
        return (Kind.PROBABILITIES if probable else Kind.SCORES) if declared else self.options.shows


def numbers_of(shows: Kind) -> Numbers:
    """What numbers are where only their kind is known."""
    return Numbers.PROBABILITIES if shows is Kind.PROBABILITIES else Numbers.SCORES


@contextmanager
def blaming(path: Path, field: str) -> Iterator[None]:
    """Makes what is wrong with a value a fault of the file that says it.

    Raises:
        BadFileError: A value was wrong.
    """
    try:
        yield
    except InvalidArgumentError as error:
        raise BadFileError(path, str(error), field=field) from error


LARGEST = 2**16
"""The largest file of a credential, in bytes."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of a variable of the environment."""


def find_access(section: EndpointSection, path: Path, *, environment: Mapping[str, str]) -> Access:
    """What lets a request in.

    No error shows what was found, or the name of what was not: somebody may have written the
    credential itself in its place.

    Args:
        section: What the file says.
        path: The file.
        environment: The variables that it may name.

    Raises:
        BadFileError: A variable or a file is missing, or what it holds is no header.
    """
    found = {
        **{
            name: from_environment(path, name, variable, environment)
            for name, variable in section.header_from_env.items()
        },
        **{
            name: from_file(path, name, path.parent / file)
            for name, file in section.header_from_file.items()
        },
    }
    for name, value in {**section.headers, **found}.items():
        try:
            check_header(name, value)
        except InvalidArgumentError as error:
            raise BadFileError(path, str(error), field="endpoint") from error
    secrets = frozenset().union(*map(secrets_of, found.values()))
    return Access(
        headers={**section.headers, **found}, secrets=secrets, ca_file=find_ca(section, path)
    )


def from_environment(path: Path, name: str, variable: str, environment: Mapping[str, str]) -> str:
    """What a variable holds.

    Raises:
        BadFileError: There is no such variable, or it is empty.
    """
    field = f"endpoint.header_from_env.{name}"
    if not VARIABLE.fullmatch(variable):
        raise BadFileError(path, "the name of a variable was wanted, but this is none", field=field)
    if not (value := environment.get(variable, "").strip()):
        raise BadFileError(
            path, "the environment has no such variable, or an empty one", field=field
        )
    return value


def from_file(path: Path, name: str, file: Path) -> str:
    """What a file holds, without the line break at its end.

    Raises:
        BadFileError: It cannot be read, is empty, or too large.
    """
    field = f"endpoint.header_from_file.{name}"
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        value = content.decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no ASCII"
        # The chain would show the name, or the bytes.
        raise BadFileError(path, f"the file cannot be read: {reason}", field=field) from None
    if not value or len(content) > LARGEST:
        raise BadFileError(path, f"a file of 1 to {LARGEST} bytes was wanted", field=field)
    return value


def find_ca(section: EndpointSection, path: Path) -> Path | None:
    """The file of certificates to trust, if there is one.

    Raises:
        BadFileError: It cannot be used.
    """
    if section.ca_file is None:
        return None
    file = path.parent / section.ca_file
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        problem = f"certificates in PEM were wanted: {error.strerror or error}"
        raise BadFileError(file, problem) from error
    return file


def open_declared(path: Path, options: EndpointOptions) -> Endpoint:
    """Opens the endpoint that an endpoint.toml declares; nobody is asked yet.

    Raises:
        BadFileError: The file, or one that it names, cannot be used, or the model's inputs cannot
            be sent as it says; `field` says where.
        MissingExtraError: A client is needed that is not installed.
    """
    declaration = read_endpoint(path)
    access = find_access(declaration.endpoint, path, environment=os.environ)
    parts = Parts(path=path, declaration=declaration, options=options, access=access)
    with blaming(path, "endpoint"):
        return MAKERS[declaration.endpoint.kind](parts)


def usual(preset: str, options: EndpointOptions) -> tuple[Template, AnswerMapping]:
    """How a preset asks and reads where nothing else is said."""
    chosen = PRESETS[preset]
    template = Template(sending=Sending(domain=options.fingerprint.domain), text=chosen.template)
    mapping = AnswerMapping(
        labelling=Labelling(classes=options.fingerprint.classes, names=options.fingerprint.names),
        select=chosen.select,
        numbers=numbers_of(options.shows),
    )
    return template, mapping


def make_http(parts: Parts) -> Endpoint:
    """A server that is asked by a template."""
    from modelseal.endpoints.http import HttpEndpoint

    template = parts.template()
    return HttpEndpoint(
        cast(str, parts.section.url),
        template=template,
        mapping=parts.mapping(rows=Rows.ONE if template.size else Rows.ALL, select="@"),
        access=parts.access,
        timeout=parts.timeout,
        method=parts.section.method,
    )


def make_oip(parts: Parts) -> Endpoint:
    """A server of the Open Inference Protocol over HTTP."""
    from modelseal.endpoints.oip.rest_client import OipEndpoint

    return OipEndpoint(
        cast(str, parts.section.url),
        parts.options.fingerprint.domain,
        shows=parts.shows(),
        timeout=parts.timeout,
        access=parts.access,
    )


def make_grpc(parts: Parts) -> Endpoint:
    """A server of the Open Inference Protocol over gRPC."""
    from modelseal.endpoints.oip.grpc_client import OipGrpcEndpoint

    return OipGrpcEndpoint(
        cast(str, parts.section.url),
        parts.options.fingerprint.domain,
        shows=parts.shows(),
        timeout=parts.timeout,
        access=parts.access,
    )


def make_sagemaker(parts: Parts) -> Endpoint:
    """An endpoint of Amazon SageMaker."""
    from modelseal.endpoints.sagemaker import SageMakerEndpoint

    template = parts.template()
    return SageMakerEndpoint(
        cast(str, parts.section.name),
        template=template,
        mapping=parts.mapping(rows=Rows.ONE if template.size else Rows.ALL, select="@"),
        url=parts.section.url,
        timeout=parts.timeout,
    )


def make_command(parts: Parts) -> Endpoint:
    """A command that reads and writes JSON lines."""
    from modelseal.endpoints.subprocess import CommandEndpoint

    return CommandEndpoint(
        cast(list[str], parts.section.command),
        sending=parts.sending(),
        mapping=parts.mapping(rows=Rows.ONE, select="output"),
        folder=parts.path.parent,
        timeout=parts.timeout,
    )


MAKERS: dict[str, Callable[[Parts], Endpoint]] = {
    "http": make_http,
    "oip": make_oip,
    "grpc": make_grpc,
    "sagemaker": make_sagemaker,
    "command": make_command,
}
"""What makes each kind of endpoint."""
