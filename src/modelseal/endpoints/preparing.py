"""Makes the endpoint that a file or a short name declares."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.credentials import find_access
from modelseal.endpoints.declaration import read_endpoint
from modelseal.endpoints.labelling import Labelling
from modelseal.endpoints.mapping import Mapping as AnswerMapping
from modelseal.endpoints.mapping import Rows
from modelseal.endpoints.parts import PATIENCE, Parts, Patience, Served, blaming, numbers_of
from modelseal.endpoints.presets import PRESETS, preset_of
from modelseal.endpoints.sending import Sending
from modelseal.endpoints.template import Template

SAGEMAKER = "sagemaker:"
"""What stands before the name of a SageMaker endpoint."""

SERVERS = ("http://", "https://")


def prepare(
    path: Path,
    served: Served,
    *,
    environment: Mapping[str, str],
    patience: Patience = PATIENCE,
) -> Endpoint:
    """Makes the endpoint that an endpoint.toml declares; nobody is asked yet.

    Args:
        path: The file.
        served: What is known of the model.
        environment: Where credentials are looked for by name.
        patience: How long to wait for each answer.

    Raises:
        BadFileError: The file, or one that it names, cannot be used, or the model's inputs cannot
            be sent as it says; `field` says where.
        MissingExtraError: A client is needed that is not installed.
    """
    declaration = read_endpoint(path)
    access = find_access(declaration.endpoint, path, environment=environment)
    parts = Parts(
        path=path, declaration=declaration, served=served, access=access, patience=patience
    )
    with blaming(path, "endpoint"):
        return MAKERS[declaration.endpoint.kind](parts)


def prepare_short(text: str, served: Served, *, patience: Patience = PATIENCE) -> Endpoint | None:
    """Makes the endpoint of a short name; None if it is none.

    Args:
        text: `sagemaker:NAME`, or the address of a server whose path ends with `:predict` or
            `/invocations`.
        served: What is known of the model.
        patience: How long to wait for each answer.

    Raises:
        InvalidArgumentError: The address or the name is malformed.
        MissingExtraError: A client is needed that is not installed.
    """
    if text.startswith(SAGEMAKER):
        name = text.removeprefix(SAGEMAKER)
        from modelseal.endpoints.sagemaker import SageMakerEndpoint

        template, mapping = usual("sagemaker-container", served)
        return SageMakerEndpoint(name, template=template, mapping=mapping, timeout=patience.usual)
    if not is_short(text):
        return None
    from modelseal.endpoints.http_template import HttpEndpoint

    template, mapping = usual(preset_of(urlsplit(text).path), served)
    return HttpEndpoint(text, template=template, mapping=mapping, timeout=patience.usual)


def is_short(text: str) -> bool:
    """Whether a text is an address that says by its ending how it is asked."""
    try:
        return text.startswith(SERVERS) and bool(preset_of(urlsplit(text).path))
    except ValueError:  # is said by whoever reads the address
        return False


def usual(preset: str, served: Served) -> tuple[Template, AnswerMapping]:
    """How a preset asks and reads where nothing else is said."""
    chosen = PRESETS[preset]
    template = Template(sending=Sending(domain=served.domain), text=chosen.template)
    mapping = AnswerMapping(
        labelling=Labelling(classes=served.classes, names=served.names),
        select=chosen.select,
        numbers=numbers_of(served.shows),
    )
    return template, mapping


def make_http(parts: Parts) -> Endpoint:
    """A server that is asked by a template."""
    from modelseal.endpoints.http_template import HttpEndpoint

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
    from modelseal.endpoints.oip import OipEndpoint

    return OipEndpoint(
        cast(str, parts.section.url),
        parts.served.domain,
        shows=parts.shows(),
        timeout=parts.timeout,
        access=parts.access,
    )


def make_grpc(parts: Parts) -> Endpoint:
    """A server of the Open Inference Protocol over gRPC."""
    from modelseal.endpoints.oip_grpc import OipGrpcEndpoint

    return OipGrpcEndpoint(
        cast(str, parts.section.url),
        parts.served.domain,
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
    from modelseal.endpoints.command import CommandEndpoint

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
