"""Chooses the endpoint that the user names."""

import os
from importlib import import_module
from pathlib import Path
from typing import cast

from modelseal.cli.render import tell_domain
from modelseal.domain import Domain
from modelseal.endpoints.endpoint import Endpoint, LocalEndpoint
from modelseal.endpoints.factory import PATIENCE, Patience, Served
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities, TopProbabilities
from modelseal.types import Inputs, Scores

SERVERS = ("http://", "https://")
"""What the address of a server begins with."""

GRPC_SERVERS = ("grpc://", "grpcs://")
"""What the address of a server that is asked over gRPC begins with."""


def open_endpoint(
    text: str,
    fingerprint: Fingerprint,
    *,
    shows: Kind | None = None,
    patience: Patience = PATIENCE,
) -> Endpoint:
    """Chooses an endpoint by its name, and loads it if it is a file.

    Args:
        text: `http(s)://host/v2/models/NAME`, `grpc(s)://host:port/NAME`, an address that ends with
            `:predict` or `/invocations`, `sagemaker:NAME`, an `endpoint.toml`, a
            `model.toml`, an `.onnx` file or a `.jsonl` of recorded answers.
        fingerprint: What it will be asked.
        shows: What the numbers of a server or an ONNX file are: scores or probabilities. By
            default what the fingerprint expects. Numbers that are no probabilities are refused
            as such, where probabilities taken for scores would look like tampering.
        patience: How long each answer of a server may take.

    Raises:
        ModelsealError: It is none of these, or the file cannot be used.
    """
    shows = shows or expected_kind(fingerprint)
    declared = open_declared(text, fingerprint, shows, patience)
    if declared is not None:
        return declared
    if text.startswith(SERVERS):
        from modelseal.endpoints.oip.rest_client import OipEndpoint

        return OipEndpoint(text, fingerprint.domain, shows=shows, timeout=patience.usual)
    if text.startswith(GRPC_SERVERS):
        from modelseal.endpoints.oip.grpc_client import OipGrpcEndpoint

        return OipGrpcEndpoint(text, fingerprint.domain, shows=shows, timeout=patience.usual)
    path = Path(text)
    match path.suffix.lower():
        case ".toml":
            return open_model(path, fingerprint.domain)
        case ".onnx":
            from modelseal.endpoints.onnx import OnnxEndpoint

            return OnnxEndpoint(path, fingerprint.domain, shows=shows)
        case ".jsonl":
            from modelseal.endpoints.recorded import RecordedEndpoint, check_record
            from modelseal.fingerprint.codec import file_digest

            check_record(path, file_digest(fingerprint))
            return RecordedEndpoint(path, fingerprint.samples)
    raise InvalidArgumentError(
        "an endpoint is http(s)://host/v2/models/NAME, grpc(s)://host:port/NAME, an address that "
        "ends with :predict or /invocations, sagemaker:NAME, an endpoint.toml, a model.toml, an "
        f".onnx file or a .jsonl file of recorded answers, but got {without_user(text)!r}"
    )


def open_declared(
    text: str, fingerprint: Fingerprint, shows: Kind, patience: Patience
) -> Endpoint | None:
    """The endpoint of an endpoint.toml, or of a short name for one; None if it is neither.

    Raises:
        ModelsealError: The file or the name cannot be used.
    """
    from modelseal.endpoints.endpoint_toml import is_endpoint
    from modelseal.endpoints.factory import prepare, prepare_short

    served = Served(
        domain=fingerprint.domain,
        classes=fingerprint.classes,
        names=fingerprint.names,
        shows=shows,
    )
    if text.lower().endswith(".toml") and is_endpoint(Path(text)):
        return prepare(Path(text), served, environment=os.environ, patience=patience)
    return prepare_short(text, served, patience=patience)


def without_user(text: str) -> str:
    """A name that is none of an endpoint, without what may be a password in it."""
    return text.rpartition("@")[2] if "://" in text else text


def expected_kind(fingerprint: Fingerprint) -> Kind:
    """What an endpoint's numbers are if nothing else is said."""
    probable = isinstance(fingerprint.spec, Probabilities | TopProbabilities)
    return Kind.PROBABILITIES if probable else Kind.SCORES


def list_files(text: str) -> tuple[Path, ...]:
    """The files that an endpoint of this name reads, of which some may be missing.

    Raises:
        BadFileError: It is an endpoint.toml or a model.toml that cannot be used.
    """
    from modelseal.endpoints.endpoint_toml import is_endpoint, list_endpoint_files
    from modelseal.endpoints.factory import SAGEMAKER

    if text.startswith((*SERVERS, *GRPC_SERVERS, SAGEMAKER)):
        return ()
    path = Path(text)
    if path.suffix.lower() != ".toml":
        return (path,)
    if is_endpoint(path):
        return list_endpoint_files(path)
    from modelseal.models.model_toml import list_model_files

    return list_model_files(path)


def shown_name(text: str) -> str:
    """What an endpoint is called where others read it: an address without user and password.

    An endpoint.toml is called by its name and by the place that it declares: with another place in
    it, it is another endpoint.

    Raises:
        InvalidArgumentError: The address is malformed.
        BadFileError: The endpoint.toml cannot be used.
    """
    from modelseal.endpoints.endpoint_toml import is_endpoint, name_place

    if text.lower().endswith(".toml") and is_endpoint(Path(text)):
        return f"{text} ({name_place(Path(text))})"
    if not text.startswith(SERVERS):
        return text
    from modelseal.endpoints.auth import read_address

    return read_address(text, wanted="an address is http(s)://host/path").shown


def require_torch(purpose: str) -> None:
    """Makes sure that torch is there.

    Args:
        purpose: What it is needed for, as the subject of a sentence.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import_module("torch")
    except ModuleNotFoundError as error:
        raise MissingExtraError(purpose, "seal") from error


def open_model(path: Path, domain: Domain) -> LocalEndpoint:
    """The network of a model.toml, run in this process.

    Raises:
        MissingExtraError: Torch is not installed.
        BadFileError: The network cannot be built, or takes other inputs.
    """
    require_torch("Running a model.toml")
    import torch

    from modelseal.models.builder import ESCAPES, first_line
    from modelseal.models.loader import load
    from modelseal.runtime.devices import device_of

    model = load(path)
    if model.domain != domain:
        wanted, came = tell_domain(domain), tell_domain(model.domain)
        raise BadFileError(path, f"{wanted} were wanted, as sealed, but it takes {came}")

    device = device_of(model.network)

    def run(inputs: Inputs) -> Scores:
        try:
            with torch.no_grad():
                scores = model.network(torch.from_numpy(inputs).to(device)).cpu()
            # numpy lacks some of torch's types, such as bfloat16; float32 holds all but float64.
            wide = scores if scores.dtype == torch.float64 else scores.float()
            return cast(Scores, wide.numpy())
        except ESCAPES as error:
            raise EndpointError(f"the network failed: {first_line(error)}") from error

    return LocalEndpoint(run, domain)
