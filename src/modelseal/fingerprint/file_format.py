"""The file of a fingerprint: read strictly, and always the same bytes for the same value.

The format is described in `docs/reference/file-format.md`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import numpy as np
import safetensors.numpy
from pydantic import BaseModel, ConfigDict, Field

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import read_bytes, too_large, write_atomically
from modelseal.fingerprint.checks import form_of
from modelseal.fingerprint.fingerprint import Enrollment, Fingerprint, Limit, Origin
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec, parse_spec
from modelseal.settings import Section, parse_json
from modelseal.types import Array

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey


MAX_BYTES = 2**31  # the largest file that is written or read
MAX_HEADER_BYTES = 2**20  # the largest header of a file that is written or read
KEY = "modelseal"  # the one key of the safetensors metadata
ENCRYPTED = b"modelseal-encrypted "  # what an encrypted fingerprint begins with, before the version


class Header(Section):
    """All of a fingerprint but its arrays, in format 1.0."""

    format: str
    digest: str
    domain: Domain
    spec: str
    classes: int
    names: tuple[str, ...]
    factor: float
    origin: Origin


class _PowerHeader(Header):
    """Format 1.1, which says what the fingerprint was seen to notice."""

    power: Annotated[tuple[Limit, ...], Field(min_length=1)]


class _EnrolledHeader(Header):
    """Format 1.2, which may speak of a deployment and of the neighbours of samples."""

    power: tuple[Limit, ...]
    enrolment: Enrollment | None
    neighbours: Annotated[int, Field(ge=0, lt=2**31)]


# The header of every format that was ever released, oldest first; a newer one is refused.
_FORMATS: Mapping[str, type[Header]] = MappingProxyType(
    {"1.0": Header, "1.1": _PowerHeader, "1.2": _EnrolledHeader}
)


class _Version(BaseModel):
    """The one key that every version of the header has."""

    model_config = ConfigDict(strict=True)

    format: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")]


class _Metadata(Section):
    modelseal: str


class _Envelope(BaseModel):
    """The header of a safetensors file, without the tensors, which the library checks."""

    model_config = ConfigDict(strict=True)

    metadata: Annotated[_Metadata, Field(alias="__metadata__")]


def load(
    path: Path | str,
    *,
    key: "Path | str | X25519PrivateKey | None" = None,
    passphrase: str | bytes | Path | None = None,
    require_signature: Path | str | None = None,
) -> Fingerprint:
    """Reads a fingerprint from a file, plain or encrypted.

    Args:
        path: The file.
        key: The private X25519 key that opens it, or its PEM file; by default the file that the
            environment variable `MODELSEAL_KEY_FILE` names.
        passphrase: The passphrase that opens it, or a Path of a file that holds it; by default
            that of the environment variable `MODELSEAL_PASSPHRASE`.
        require_signature: The PEM file of the public key, or the `.toml` file of the identity,
            that must have signed it; the signature lies beside the file.

    Raises:
        BadFileError: It is not exactly a fingerprint, cannot be opened, or is not signed so.
        MissingExtraError: It is encrypted or a signature is required, and the extra `crypto` or
            `sigstore` is not installed.

    Examples:
        >>> load("missing.seal")
        Traceback (most recent call last):
        modelseal.errors.BadFileError: missing.seal: cannot be read: No such file or directory
    """
    data = read_bytes(Path(path), most=MAX_BYTES)
    if is_encrypted(data):
        from modelseal.fingerprint.encryption import decrypt_bytes

        data = decrypt_bytes(data, name=str(path), key=key, passphrase=passphrase)
    fingerprint = decode(data, name=str(path))
    if require_signature is None:
        return fingerprint
    from modelseal.fingerprint.signatures import require

    return replace(fingerprint, signer=require(fingerprint, Path(path), Path(require_signature)))


def save(
    fingerprint: Fingerprint,
    path: Path | str,
    *,
    encrypt_to: "Path | str | X25519PublicKey | None" = None,
    passphrase: str | bytes | Path | None = None,
) -> None:
    """Writes a fingerprint to a file; see `Fingerprint.save`."""
    data = encode(fingerprint)
    if encrypt_to is not None or passphrase is not None:
        from modelseal.fingerprint.encryption import encrypt_bytes

        data = encrypt_bytes(data, encrypt_to=encrypt_to, passphrase=passphrase)
    write_atomically(Path(path), data)


def is_encrypted(data: bytes) -> bool:
    """Whether bytes claim to be an encrypted fingerprint, of whatever version."""
    return data.startswith(ENCRYPTED)


def is_encrypted_file(path: Path) -> bool:
    """Whether a file is an encrypted fingerprint; not if it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_encrypted(file.read(len(ENCRYPTED)))
    except (OSError, ValueError):
        return False


def encode(fingerprint: Fingerprint) -> bytes:
    """The plain file of a fingerprint as bytes."""
    header, tensors = describe(fingerprint), pack(fingerprint)
    digest = content_digest(canonical(header).encode(), tensors)
    data = safetensors.numpy.save(tensors, {KEY: canonical({**header, "digest": digest})})
    if len(data) > MAX_BYTES or _header_length(data) > MAX_HEADER_BYTES:
        raise InvalidArgumentError(
            f"expected at most {MAX_BYTES} bytes with a header of at most {MAX_HEADER_BYTES}, "
            f"got {len(data)} and {_header_length(data)}"
        )
    return data


def decode(data: bytes, *, name: str) -> Fingerprint:
    """Reads a fingerprint from the bytes that `encode` gave."""
    _check_length(data, name=name)
    header = _parse_header(data[8 : 8 + _header_length(data)], name=name)
    try:
        fingerprint = _assemble(header, load_tensors(data), file=name)
        again = encode(fingerprint)
    except InvalidArgumentError as error:
        raise BadFileError(name, error.problem, field=error.field) from error
    if again != data:
        raise BadFileError(
            name, "its bytes do not fit its digest or the format: it is damaged or was altered"
        )
    return fingerprint


def _header_length(data: bytes) -> int:
    return int.from_bytes(data[:8], "little")


def _check_length(data: bytes, *, name: str) -> None:
    if len(data) > MAX_BYTES:
        raise too_large(len(data), most=MAX_BYTES, name=name)
    if is_encrypted(data):
        raise BadFileError(name, "is encrypted: expected its key or its passphrase, got none")
    if len(data) < 8 or _header_length(data) > len(data) - 8:
        raise BadFileError(name, f"expected a fingerprint, got {len(data)} bytes that are none")
    if _header_length(data) > MAX_HEADER_BYTES:
        raise BadFileError(name, f"expected a header of at most {MAX_HEADER_BYTES} bytes, got more")


def _parse_header(envelope: bytes, *, name: str) -> Header:
    """Reads the header of a fingerprint out of the JSON of a safetensors header."""
    text = parse_json(_Envelope, envelope, name=name).metadata.modelseal
    version = parse_json(_Version, text, name=name).format
    if version not in _FORMATS:
        wanted, *_, newest = _FORMATS
        newer = [int(part) for part in version.split(".")] > [int(p) for p in newest.split(".")]
        hint = ": a newer modelseal reads it" if newer else ""
        problem = f"expected a format from {wanted} to {newest}, got {version}{hint}"
        raise BadFileError(name, problem, field="format")
    return parse_json(_FORMATS[version], text, name=name)


def describe(fingerprint: Fingerprint) -> dict[str, object]:
    """The header of a fingerprint without the digest, always in the lowest format that can."""
    spec = str(parse_spec(str(fingerprint.spec)))
    parts = {
        name: getattr(fingerprint, name)
        for name in Header.model_fields.keys() - {"digest", "format"}
    }
    power, neighbours = fingerprint.power, fingerprint.neighbours
    version = "1.1" if power else "1.0"
    if power:
        parts["power"] = power
    if neighbours is not None or fingerprint.enrollment is not None:
        version = "1.2"
        parts |= {
            "power": power,
            "neighbours": 0 if neighbours is None else neighbours.shape[1],
            "enrolment": fingerprint.enrollment,
        }
    header = _FORMATS[version](**{**parts, "spec": spec, "format": version, "digest": ""})
    described: dict[str, object] = json.loads(header.model_dump_json(exclude={"digest"}))
    return described


def canonical(header: Mapping[str, object]) -> str:
    """The one JSON text for an object: keys sorted, no spaces, ASCII only."""
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _assemble(header: Header, arrays: dict[str, Array], *, file: str) -> Fingerprint:
    try:
        spec = parse_spec(header.spec)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.problem, field="spec") from error
    enrolled = header if isinstance(header, _EnrolledHeader) else None
    expected = _expected(arrays, header, spec, neighbours=enrolled.neighbours if enrolled else 0)
    return Fingerprint(
        domain=header.domain,
        spec=spec,
        classes=header.classes,
        names=header.names,
        factor=header.factor,
        origin=header.origin,
        power=header.power if isinstance(header, _PowerHeader | _EnrolledHeader) else (),
        samples=arrays["samples"],
        expected=expected,
        margins=arrays["margins"],
        moves=arrays["moves"],
        psnr=arrays["psnr"],
        sources=arrays["sources"],
        neighbours=arrays.get("neighbours"),
        enrollment=enrolled.enrolment if enrolled else None,
        file=file,
    )


# The tensors with one number for each sample, and their type.
_COLUMNS = {"margins": np.float64, "moves": np.float64, "psnr": np.float64, "sources": np.int64}


def _types(domain: Domain) -> dict[str, type[np.generic]]:
    return {
        "samples": np.uint8 if domain.levels else np.float32,
        "expected_labels": np.int64,
        "expected_values": np.float64,
        "neighbours": np.int64,
        **_COLUMNS,
    }


def pack(fingerprint: Fingerprint) -> dict[str, Array]:
    """The arrays of a fingerprint by the name of their tensor, in its type."""
    arrays: dict[str, Array | None] = {
        "samples": fingerprint.samples,
        "expected_labels": fingerprint.expected.labels,
        "expected_values": fingerprint.expected.values,
        "neighbours": fingerprint.neighbours,
        **{name: getattr(fingerprint, name) for name in _COLUMNS},
    }
    types = _types(fingerprint.domain)
    return {
        name: np.ascontiguousarray(array, types[name])
        for name, array in arrays.items()
        if array is not None
    }


def load_tensors(data: bytes) -> dict[str, Array]:
    """All tensors of a safetensors file by name."""
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise InvalidArgumentError(f"expected a safetensors file: {error}") from error
    except KeyError as error:
        raise InvalidArgumentError(f"no fingerprint has tensors of type {error}") from error


def _expected(
    arrays: Mapping[str, Array], header: Header, spec: OutputSpec, *, neighbours: int
) -> Answers:
    """The expected answers among the tensors, once these are exactly those of a fingerprint."""
    form = form_of(spec, header.classes)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_COLUMNS, ())
    shapes["samples"] = header.domain.shape
    if form.labels is not None:
        shapes["expected_labels"] = form.labels.shape[1:]
    if form.values is not None:
        shapes["expected_values"] = form.values.shape[1:]
    if neighbours:
        shapes["neighbours"] = (neighbours,)
    for name in sorted(shapes.keys() ^ arrays.keys()):
        raise InvalidArgumentError("is missing" if name in shapes else "is not known", field=name)
    count = arrays["margins"].shape[0] if arrays["margins"].ndim else 0
    types = _types(header.domain)
    for name, shape in shapes.items():
        wanted, array = (np.dtype(types[name]), (count, *shape)), arrays[name]
        if (array.dtype, array.shape) != wanted:
            raise InvalidArgumentError(
                f"expected {wanted[0]} of shape {list(wanted[1])}, "
                f"got {array.dtype} of shape {list(array.shape)}",
                field=name,
            )
    labels, values = arrays.get("expected_labels"), arrays.get("expected_values")
    return Answers(kind=form.kind, labels=labels, values=values)


def weights_digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the names, types, shapes and values of arrays of numbers or booleans.

    The order of the mapping, the byte order and the memory layout make no difference. Each of
    the four parts of an array goes in with its length before it, so that no two sets of arrays
    give the same bytes.

    Examples:
        >>> weights_digest({"bias": np.zeros(2, np.float32)})[:15]
        'sha256:4df101b7'
    """
    hasher = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        if array.dtype.kind not in "biufc":
            raise InvalidArgumentError(f"expected numbers, got {array.dtype}", field=name)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        shape = ",".join(map(str, array.shape))
        for part in (name.encode(), little.dtype.str.encode(), shape.encode(), little.tobytes()):
            hasher.update(len(part).to_bytes(8, "little"))
            hasher.update(part)
    return f"sha256:{hasher.hexdigest()}"


def content_digest(header: bytes, tensors: Mapping[str, Array]) -> str:
    """SHA-256 over the header and the tensors of a file, as `weights_digest` takes it.

    The header counts as one more array, of bytes, with an empty name.
    """
    return weights_digest({"": np.frombuffer(header, np.uint8), **tensors})
