"""Signatures of fingerprints, by a key or by an identity, and of the files of their models.

What is signed is described in `docs/reference/file-format.md`. Needs the extra `crypto`, and for
identities `sigstore`.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, field_validator

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.files import beside, explain, now, read_bytes, write_atomically
from modelseal.fingerprint.encryption import key_id, read_signer_key, read_signing_key
from modelseal.fingerprint.file_format import canonical, load
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.settings import Section, parse_json, read_settings

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature", "crypto") from error

# The largest signature file that is read: room for forty thousand files of a model.
MAX_BYTES = 2**23

_SCHEMA = "modelseal.signature/1"
# Stands before the signed statement: no other text that a key signs can be taken for it.
_PREFIX = b"modelseal.signature/1\n"

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Resource(Section):
    """One file of the model, as an OMS v1.0 manifest lists it."""

    name: str
    algorithm: Literal["sha256"] = "sha256"
    digest: Hex


class ModelFiles(Section):
    """The files of the model, and their root digest as in the subject of an OMS v1.0 statement."""

    resources: Annotated[tuple[_Resource, ...], Field(min_length=1)]
    sha256: Hex


class Claim(Section):
    """What is said of a fingerprint: its digest, that of its weights, and the model's files."""

    fingerprint: Digest
    weights_digest: Digest
    model: ModelFiles | None


class Statement(Claim):
    """What is signed: a claim, the name of the key, and the time of the signer's clock."""

    schema_: Annotated[Literal["modelseal.signature/1"], Field(alias="schema")]
    algorithm: Literal["ed25519"]
    key: Digest
    time: str


class Signed(Statement):
    """A statement with its signature, in base64."""

    signature: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]


class Signature(NamedTuple):
    """The file of a signature, and what its signer is called."""

    file: Path
    signer: str


def sign(  # noqa: PLR0913 (one for each way to sign)
    path: Path | str,
    *,
    key: Path | str | None = None,
    sigstore: Path | str | None = None,
    identity_token: str | Path | None = None,
    model_files: Sequence[Path] = (),
    opening_key: Path | str | X25519PrivateKey | None = None,
    passphrase: str | bytes | Path | None = None,
) -> Signature:
    """Signs a fingerprint; the signature is written beside it.

    Args:
        path: The file of the fingerprint, plain or encrypted.
        key: The PEM file of a private Ed25519 key: the signature ends with `.sig`.
        sigstore: A `.toml` file that names an identity: it ends with `.sigstore.json`.
        identity_token: The OIDC token that says who signs, or a Path of a file that holds it; by
            default that of the environment variable `SIGSTORE_IDENTITY_TOKEN`, of the CI, or of
            who logs in in a browser.
        model_files: The files of the model, to be signed with it.
        opening_key: The private key that opens an encrypted fingerprint, as in `load`.
        passphrase: The passphrase that opens it.

    Raises:
        BadFileError: A file cannot be used, or there is no signature to be had.
        EndpointError: Sigstore gave no answer.
        InvalidArgumentError: There is not exactly one of `key` and `sigstore`, or no token.
        MissingExtraError: The extra is not installed.
    """
    if (key is None) == (sigstore is None):
        raise InvalidArgumentError(
            f"expected one of a key and an identity, got {'both' if key else 'none'}", field="key"
        )
    fingerprint = load(path, key=opening_key, passphrase=passphrase)
    model = hash_model_files(model_files) if model_files else None
    output = _signature_file(Path(path), by_identity=key is None)
    if key is not None:
        private = read_signing_key(Path(key))
        text = sign_by_key(fingerprint, private, time=now(), model=model)
        signer = key_id(private.public_key())
    else:
        from modelseal.fingerprint.sigstore_bundles import sign_by_identity

        identity = Path(str(sigstore))
        text, signer = sign_by_identity(fingerprint, identity, token=identity_token, model=model)
    write_atomically(output, text)
    return Signature(output, signer)


def check_signature(
    path: Path | str,
    signer: Path | str,
    *,
    key: Path | str | X25519PrivateKey | None = None,
    passphrase: str | bytes | Path | None = None,
) -> str:
    """Makes sure that somebody has signed a fingerprint; the signature lies beside it.

    Args:
        path: The file of the fingerprint, plain or encrypted.
        signer: The PEM file of the public key, or the `.toml` file that names the identity.
        key: The private key that opens an encrypted fingerprint, as in `load`.
        passphrase: The passphrase that opens it.

    Returns:
        What the signer is called.

    Raises:
        BadFileError: The signature is missing, foreign or wrong, or the signer's file is.
    """
    return require(load(path, key=key, passphrase=passphrase), Path(path), Path(signer))


def require(fingerprint: Fingerprint, file: Path, signer: Path) -> str:
    """Makes sure that somebody has signed what was read from a file; says what they are called."""
    by_identity = _names_identity(signer)
    path = _signature_file(file, by_identity=by_identity)
    text = read_bytes(path, most=MAX_BYTES, missing="expected a signature, got none")
    if by_identity:
        from modelseal.fingerprint.sigstore_bundles import require_identity

        return require_identity(text, fingerprint, signer, name=str(path))
    public = read_signer_key(signer)
    return check_by_key(text, fingerprint, public, name=str(path)).key


def _names_identity(signer: Path) -> bool:
    """Whether the file of a signer is that of an identity and not that of a key."""
    return signer.suffix.lower() == ".toml"


def signature_files(fingerprint: Path, signer: Path | None) -> list[Path]:
    """The files that are read where a signer is required: the signature, and what a signer names.

    Args:
        fingerprint: The fingerprint's file.
        signer: The public key or the `.toml` file of an identity; None if no signature is required.
    """
    if signer is None:
        return []
    found = _signature_file(fingerprint, by_identity=_names_identity(signer))
    return [found, *signer_files(signer)]


def _signature_file(fingerprint: Path, *, by_identity: bool) -> Path:
    return beside(fingerprint, ".sigstore.json" if by_identity else ".sig")


def signer_files(signer: Path) -> tuple[Path, ...]:
    """The file of a signer, and the one that it names."""
    return _identity_files(signer) if _names_identity(signer) else (signer,)


class IdentityFile(Section):
    """A `.toml` file that says who shall have signed."""

    identity: Name
    issuer: Name
    instance: Name | None = None

    @field_validator("issuer")
    @classmethod
    def _is_url(cls, issuer: str) -> str:
        if not issuer.startswith(("https://", "http://")):
            raise ValueError(f"expected a URL such as https://accounts.google.com, got {issuer!r}")
        return issuer


def _identity_files(path: Path) -> tuple[Path, ...]:
    if not _names_identity(path):
        raise BadFileError(path, "expected a file of an identity that ends with .toml, got another")
    instance = read_settings(path, IdentityFile).instance
    return (path,) if instance is None else (path, path.parent / instance)


def claim(fingerprint: Fingerprint, model: ModelFiles | None) -> Claim:
    """What is to be said of a fingerprint and the files of its model."""
    digest = fingerprint.origin.weights_digest
    return Claim(fingerprint=fingerprint.digest, weights_digest=digest, model=model)


def check_claim(said: Claim, fingerprint: Fingerprint, *, name: str) -> None:
    """Makes sure that something is said of this fingerprint and not of another."""
    wanted = claim(fingerprint, said.model)
    if (said.fingerprint, said.weights_digest) != (wanted.fingerprint, wanted.weights_digest):
        problem = f"expected a signature of {wanted.fingerprint}, got one of {said.fingerprint}"
        raise BadFileError(name, problem, field="fingerprint")


def sign_by_key(
    fingerprint: Fingerprint, key: Ed25519PrivateKey, *, time: str, model: ModelFiles | None = None
) -> bytes:
    """The content of a signature file."""
    said = {"schema": _SCHEMA, "algorithm": "ed25519", "key": key_id(key.public_key())}
    parts = {**dict(claim(fingerprint, model)), **said, "time": time}
    statement = Statement.model_validate(parts)
    made = base64.b64encode(key.sign(_message(statement))).decode()
    return f"{canonical({**_as_object(statement), 'signature': made})}\n".encode()


def check_by_key(
    text: bytes, fingerprint: Fingerprint, key: Ed25519PublicKey, *, name: str
) -> Statement:
    """What the content of a signature file says, once it is that of this key and fingerprint."""
    signed = parse_json(Signed, text, name=name)
    if signed.key != key_id(key):
        raise BadFileError(name, f"expected {key_id(key)}, got {signed.key}", field="key")
    statement = Statement.model_validate(signed.model_dump(by_alias=True, exclude={"signature"}))
    try:
        key.verify(base64.b64decode(signed.signature), _message(statement))
    except InvalidSignature as error:
        raise BadFileError(
            name, "expected a signature of this statement, got another one", field="signature"
        ) from error
    check_claim(statement, fingerprint, name=name)
    return statement


def _message(statement: Statement) -> bytes:
    return _PREFIX + canonical(_as_object(statement)).encode()


def _as_object(statement: Statement) -> dict[str, object]:
    return statement.model_dump(mode="json", by_alias=True)


def hash_model_files(files: Iterable[Path]) -> ModelFiles:
    """The files of a model with their SHA-256, as an OMS v1.0 manifest of them lists them.

    Each is named by its path from the folder that holds them all, or by its own name if it is
    alone, and they are sorted as paths, part by part. The root digest is SHA-256 over their
    digests, one after the other in this order.
    """
    paths = [path.resolve() for path in files]
    if not paths or len(set(paths)) < len(paths):
        wanted = "expected each file of the model once, and at least one"
        raise InvalidArgumentError(f"{wanted}, got {len(paths)}", field="model_files")
    folder = paths[0].parent
    while not all(path.is_relative_to(folder) for path in paths):
        folder = folder.parent
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    resources = tuple(
        _Resource(name=_utf8(name), digest=_hash_file(named[name]))
        for name in sorted(named, key=PurePosixPath)
    )
    root = hashlib.sha256(b"".join(bytes.fromhex(each.digest) for each in resources))
    return ModelFiles(resources=resources, sha256=root.hexdigest())


def _utf8(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise BadFileError(ascii(name), "expected a name in UTF-8, got another one") from error
    return name


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error
