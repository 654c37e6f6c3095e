"""Chooses the endpoint that the user names."""

from importlib import import_module
from pathlib import Path
from typing import cast

from modelseal.cli.telling import tell_domain
from modelseal.domain import Domain
from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.local import LocalEndpoint
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities, TopProbabilities
from modelseal.shapes import Inputs, Scores

SERVERS = ("http://", "https://")
"""What the address of a server begins with."""


def open_endpoint(
    text: str, fingerprint: Fingerprint, *, shows: Kind | None = None, timeout: float = 30.0
) -> Endpoint:
    """Chooses an endpoint by its name, and loads it if it is a file.

    Args:
        text: `http(s)://host/v2/models/NAME`, a `model.toml`, an `.onnx` file or a `.jsonl` of
            recorded answers.
        fingerprint: What it will be asked.
        shows: What the numbers of a server or an ONNX file are: scores or probabilities. By
            default what the fingerprint expects. Numbers that are no probabilities are refused
            as such, where probabilities taken for scores would look like tampering.
        timeout: How many seconds each answer of a server may take.

    Raises:
        ModelsealError: It is none of these, or the file cannot be used.
    """
    shows = shows or expected_kind(fingerprint)
    if text.startswith(SERVERS):
        from modelseal.endpoints.oip import OipEndpoint

        return OipEndpoint(text, fingerprint.domain, shows=shows, timeout=timeout)
    path = Path(text)
    match path.suffix.lower():
        case ".toml":
            return open_model(path, fingerprint.domain)
        case ".onnx":
            from modelseal.endpoints.onnx import OnnxEndpoint

            return OnnxEndpoint(path, fingerprint.domain, shows=shows)
        case ".jsonl":
            from modelseal.endpoints.recorded import RecordedEndpoint
            from modelseal.endpoints.recording import check_record
            from modelseal.fingerprint.codec import file_digest

            check_record(path, file_digest(fingerprint))
            return RecordedEndpoint(path, fingerprint.samples)
    raise InvalidArgumentError(
        "an endpoint is http(s)://host/v2/models/NAME, a model.toml, an .onnx file or a .jsonl "
        f"file of recorded answers, but got {text!r}"
    )


def expected_kind(fingerprint: Fingerprint) -> Kind:
    """What an endpoint's numbers are if nothing else is said."""
    probable = isinstance(fingerprint.spec, Probabilities | TopProbabilities)
    return Kind.PROBABILITIES if probable else Kind.SCORES


def list_files(text: str) -> tuple[Path, ...]:
    """The files that an endpoint of this name reads, of which some may be missing.

    Raises:
        BadFileError: It is a model.toml that cannot be used.
    """
    if text.startswith(SERVERS):
        return ()
    path = Path(text)
    if path.suffix.lower() != ".toml":
        return (path,)
    from modelseal.models.declaration import list_model_files

    return list_model_files(path)


def shown_name(text: str) -> str:
    """What an endpoint is called where others read it: an address without user and password.

    Raises:
        InvalidArgumentError: The address is malformed.
    """
    if not text.startswith(SERVERS):
        return text
    from modelseal.endpoints.oip import without_secrets

    return without_secrets(text)


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

    from modelseal.models.building import ESCAPES, first_line
    from modelseal.models.loading import load

    model = load(path)
    if model.domain != domain:
        wanted, came = tell_domain(domain), tell_domain(model.domain)
        raise BadFileError(path, f"{wanted} were wanted, as sealed, but it takes {came}")

    def run(inputs: Inputs) -> Scores:
        try:
            with torch.no_grad():
                scores = model.network(torch.from_numpy(inputs))
            # numpy lacks some of torch's types, such as bfloat16; float32 holds all but float64.
            wide = scores if scores.dtype == torch.float64 else scores.float()
            return cast(Scores, wide.numpy())
        except ESCAPES as error:
            raise EndpointError(f"the network failed: {first_line(error)}") from error

    return LocalEndpoint(run, domain)
