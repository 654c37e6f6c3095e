"""Opens whatever a user names as an endpoint: an address, a file, or a function."""

import os
import re
from collections.abc import Callable
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from modelseal.endpoints.endpoint import (
    CallableEndpoint,
    Endpoint,
    EndpointOptions,
    FingerprintLike,
)
from modelseal.endpoints.endpoint_toml import (
    is_endpoint_toml,
    list_endpoint_files,
    name_declared,
    open_declared,
    open_short,
    preset_of,
)
from modelseal.errors import InvalidArgumentError, import_extra
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities, TopProbabilities
from modelseal.registry import Registry
from modelseal.timeouts import TIMEOUT, check_timeout
from modelseal.types import Inputs, Labels, Scores

_EXPECTED = (
    "expected http(s)://host/v2/models/NAME, grpc(s)://host:port/NAME, an address that ends with "
    ":predict or /invocations, sagemaker:NAME, an endpoint.toml, a model.toml, an .onnx file or a "
    ".jsonl file of recorded answers"
)

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")


# Opens an endpoint by its address or path; nothing is asked yet.
_Opener: TypeAlias = Callable[[str, EndpointOptions], Endpoint]

_ENDPOINTS: Registry[_Opener] = Registry("an endpoint")


def register_endpoint(key: str) -> Callable[[_Opener], _Opener]:
    """Registers an opener of endpoints, as a decorator.

    Args:
        key: The scheme of its addresses, such as `http`, or the suffix of its files in lower
            case, such as `.onnx`. The opener is given the whole address or path, and
            `EndpointOptions`.

    Raises:
        InvalidArgumentError: The key is empty or taken.
    """
    return _ENDPOINTS.register(key)


def endpoint(
    target: str | os.PathLike[str] | Endpoint | Callable[[Inputs], Labels | Scores],
    fingerprint: FingerprintLike,
    *,
    shows: Kind | None = None,
    timeout: float = TIMEOUT,
    time_limit: float = inf,
) -> Endpoint:
    """Opens an endpoint: something that can be asked the samples of a fingerprint.

    Args:
        target: `http(s)://host/v2/models/NAME`, `grpc(s)://host:port/NAME`, an address that ends
            with `:predict` or `/invocations`, `sagemaker:NAME`, an `endpoint.toml`, a
            `model.toml`, an `.onnx` file, a `.jsonl` file of recorded answers, or what
            `register_endpoint` added. Or a function: from inputs within the domain's bounds, a
            float array (batch, *shape), to labels, an int array (batch,), or to scores, a float
            array (batch, classes). What is an `Endpoint` already is returned as it is.
        fingerprint: What it will be asked.
        shows: What its numbers with a fraction are: scores or probabilities. By default what the
            fingerprint expects. Numbers that are no probabilities are refused as such, where
            probabilities taken for scores would look like tampering.
        timeout: How many seconds each answer may take, unless an `endpoint.toml` says otherwise.
        time_limit: How many seconds all answers together may take: no timeout is longer.

    Returns:
        The endpoint, not yet asked. Those of modelseal have a `name` without secrets.

    Raises:
        InvalidArgumentError: The target is none of these, or the timeout is not positive.
        BadFileError: A file cannot be used.
        MissingExtraError: A client is needed that is not installed.
        EndpointError: The environment names proxies or certificates that cannot be used.
    """
    check_timeout(timeout)
    shows = shows or _expected_kind(fingerprint)
    if isinstance(target, str | os.PathLike):
        options = EndpointOptions(
            fingerprint=fingerprint, shows=shows, timeout=timeout, time_limit=time_limit
        )
        return _find_opener(name := os.fspath(target))(name, options)
    if isinstance(target, Endpoint):
        return target
    return CallableEndpoint(target, fingerprint.domain, shows=shows)


def endpoint_files(target: str) -> tuple[Path, ...]:
    """Lists the files that an endpoint of this name reads, of which some may be missing.

    Raises:
        BadFileError: It is an endpoint.toml or a model.toml that cannot be used.
    """
    if _scheme_of(target):
        return ()
    path = Path(target)
    if path.suffix.lower() != ".toml":
        return (path,)
    if is_endpoint_toml(path):
        return list_endpoint_files(path)
    files: tuple[Path, ...] = _models("model_toml").model_files(path)
    return files


def endpoint_name(target: str) -> str:
    """Names an endpoint for others to read: an address without user, password and query.

    An endpoint.toml is named by its path and the place that it declares: with another place in
    it, it is another endpoint.

    Raises:
        InvalidArgumentError: The address is malformed.
        BadFileError: The endpoint.toml cannot be used.
    """
    if target.lower().endswith(".toml") and is_endpoint_toml(Path(target)):
        return name_declared(Path(target))
    if not target.startswith(("http://", "https://")):
        return target
    from modelseal.endpoints.auth import read_address

    return read_address(target, expected="http(s)://host/path").shown


def _expected_kind(fingerprint: FingerprintLike) -> Kind:
    probable = isinstance(fingerprint.spec, Probabilities | TopProbabilities)
    return Kind.PROBABILITIES if probable else Kind.SCORES


def _find_opener(target: str) -> _Opener:
    key = _scheme_of(target) or Path(target).suffix.lower()
    if not key or key not in _ENDPOINTS:
        # What is no address of ours may hold a password all the same.
        shown = target.rpartition("@")[2] if "://" in target else target
        raise InvalidArgumentError(f"{_EXPECTED}, got {shown!r}", field="endpoint")
    return _ENDPOINTS.get(key)


def _scheme_of(target: str) -> str:
    """The registered scheme that a target begins with; empty if it has none."""
    found = _SCHEME.match(target)
    return found[1] if found and found[1] in _ENDPOINTS else ""


def _models(module: str) -> Any:  # noqa: ANN401 (a module)
    # The models package is a neighbour that needs torch: it is imported by name when it is used.
    return import_module(f"modelseal.models.{module}")


@register_endpoint("http")
@register_endpoint("https")
def _open_http(target: str, options: EndpointOptions) -> Endpoint:
    try:
        preset = preset_of(urlsplit(target).path)
    except ValueError:  # is said by whoever reads the address
        preset = ""
    if preset:
        return open_short(options, kind="http", url=target, preset=preset)
    return open_short(options, kind="oip", url=target)


@register_endpoint("grpc")
@register_endpoint("grpcs")
def _open_grpc(target: str, options: EndpointOptions) -> Endpoint:
    return open_short(options, kind="grpc", url=target)


@register_endpoint("sagemaker")
def _open_sagemaker(target: str, options: EndpointOptions) -> Endpoint:
    name = target.removeprefix("sagemaker:")
    return open_short(options, kind="sagemaker", name=name, preset="sagemaker-container")


@register_endpoint(".toml")
def _open_toml(target: str, options: EndpointOptions) -> Endpoint:
    path = Path(target)
    if is_endpoint_toml(path):
        return open_declared(path, options)
    import_extra("torch", purpose="Running a model.toml", extra="seal")
    function = _models("loader").score_function(path, options.fingerprint.domain)
    return CallableEndpoint(function, options.fingerprint.domain, name=target)


@register_endpoint(".onnx")
def _open_onnx(target: str, options: EndpointOptions) -> Endpoint:
    from modelseal.endpoints.onnx import OnnxEndpoint

    return OnnxEndpoint(Path(target), options.fingerprint.domain, shows=options.shows)


@register_endpoint(".jsonl")
def _open_recorded(target: str, options: EndpointOptions) -> Endpoint:
    from modelseal.endpoints.recorded import RecordedEndpoint, check_record

    path = Path(target)
    check_record(path, options.fingerprint.digest)
    return RecordedEndpoint(path, options.fingerprint.samples)
