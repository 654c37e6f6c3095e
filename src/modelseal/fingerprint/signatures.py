"""Key files: X25519 to encrypt to, Ed25519 to sign with, as PEM (PKCS#8 and SubjectPublicKeyInfo).

Needs the extra `crypto`.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.files import explain, read_bytes
from modelseal.fingerprint.codec import canonical, file_digest
from modelseal.fingerprint.record import Fingerprint
from modelseal.settings import Section, parse_json

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
        load_pem_public_key,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("A key file", "crypto") from error

MAX_BYTES = 2**16
"""The largest key file that is read."""

PASSPHRASE = "MODELSEAL_KEY_PASSPHRASE"  # noqa: S105 (the name of a variable, not a passphrase)
"""The environment variable that the program takes the passphrase of private keys from."""


class Purpose(Enum):
    """What a pair of keys is for."""

    ENCRYPTION = "encryption"
    SIGNING = "signing"


def make_pair(purpose: Purpose, *, passphrase: bytes | None = None) -> tuple[bytes, bytes]:
    """Makes a fresh pair of keys.

    Args:
        purpose: What they are for.
        passphrase: Encrypts the private one, if there is one.

    Returns:
        The private and the public key, as PEM.
    """
    fresh = (
        X25519PrivateKey.generate()
        if purpose is Purpose.ENCRYPTION
        else Ed25519PrivateKey.generate()
    )
    locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    private = fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    public = fresh.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private, public


def read_opening_key(path: Path, *, passphrase: bytes | None = None) -> X25519PrivateKey:
    """Reads a private key that opens encrypted fingerprints.

    Args:
        path: The PEM file.
        passphrase: Opens the file, if it is encrypted itself.

    Raises:
        BadFileError: It is no such key, or the passphrase is missing or wrong.
    """
    key = load_private(path, passphrase, wanted="a private X25519 key")
    if not isinstance(key, X25519PrivateKey):
        raise BadFileError(path, "a private X25519 key was wanted, but another one came")
    return key


def read_signing_key(path: Path, *, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Reads a private key that signs fingerprints.

    Args:
        path: The PEM file.
        passphrase: Opens the file, if it is encrypted itself.

    Raises:
        BadFileError: It is no such key, or the passphrase is missing or wrong.
    """
    key = load_private(path, passphrase, wanted="a private Ed25519 key")
    if not isinstance(key, Ed25519PrivateKey):
        raise BadFileError(path, "a private Ed25519 key was wanted, but another one came")
    return key


def read_recipient(path: Path) -> X25519PublicKey:
    """Reads a public key that fingerprints are encrypted to.

    Raises:
        BadFileError: It is no such key.
    """
    key = load_public(path, wanted="a public X25519 key")
    if not isinstance(key, X25519PublicKey):
        raise BadFileError(path, "a public X25519 key was wanted, but another one came")
    return key


def read_signer(path: Path) -> Ed25519PublicKey:
    """Reads a public key that signatures are checked by.

    Raises:
        BadFileError: It is no such key.
    """
    key = load_public(path, wanted="a public Ed25519 key")
    if not isinstance(key, Ed25519PublicKey):
        raise BadFileError(path, "a public Ed25519 key was wanted, but another one came")
    return key


def load_private(path: Path, passphrase: bytes | None, *, wanted: str) -> object:
    """Any private key.

    Raises:
        BadFileError: It is none, or its passphrase is missing or wrong.
    """
    data = read_bytes(path, most=MAX_BYTES)
    encrypted = b"ENCRYPTED" in data
    if encrypted and not passphrase:
        raise BadFileError(path, f"is encrypted: its passphrase was wanted in {PASSPHRASE}")
    try:
        return load_pem_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        wrong = ", or its passphrase is another one" if encrypted else ""
        raise BadFileError(path, f"{wanted} was wanted, but this is none{wrong}") from error


def load_public(path: Path, *, wanted: str) -> object:
    """Any public key.

    Raises:
        BadFileError: It is none.
    """
    try:
        return load_pem_public_key(read_bytes(path, most=MAX_BYTES))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadFileError(path, f"{wanted} was wanted, but this is none") from error


def key_id(key: X25519PublicKey | Ed25519PublicKey) -> str:
    """What a public key is called: SHA-256 of its DER form, as OpenSSL writes it."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Resource(Section):
    """One file of the model, as an OMS v1.0 manifest lists it."""

    name: str
    algorithm: Literal["sha256"]
    digest: Hex


class ModelFiles(Section):
    """The files of the model, and their root digest as in the subject of an OMS v1.0 statement."""

    resources: Annotated[tuple[Resource, ...], Field(min_length=1)]
    sha256: Hex


class Claim(Section):
    """What is said of a fingerprint.

    Args:
        fingerprint: SHA-256 of the canonical plain bytes of the fingerprint.
        weights_digest: The digest of the sealed weights, as the fingerprint has it.
        model: The files of the model, if they were named.
    """

    fingerprint: Digest
    weights_digest: Digest
    model: ModelFiles | None


def claim(fingerprint: Fingerprint, model: ModelFiles | None) -> Claim:
    """What is to be said of a fingerprint.

    Args:
        fingerprint: The fingerprint.
        model: The files of its model, from `list_model_files`.
    """
    return Claim(
        fingerprint=file_digest(fingerprint),
        weights_digest=fingerprint.origin.weights_digest,
        model=model,
    )


def check_claim(said: Claim, fingerprint: Fingerprint, *, name: str) -> None:
    """Makes sure that something is said of this fingerprint and not of another.

    Args:
        said: What is said.
        fingerprint: The fingerprint.
        name: What the file that says so is called in errors.

    Raises:
        BadFileError: It is said of another.
    """
    found = (file_digest(fingerprint), fingerprint.origin.weights_digest)
    if (said.fingerprint, said.weights_digest) != found:
        raise BadFileError(
            name,
            f"a signature of the fingerprint {found[0]} was wanted, but it is of "
            f"{said.fingerprint}",
        )


def list_model_files(files: Iterable[Path]) -> ModelFiles:
    """The files of a model with their SHA-256, as an OMS v1.0 manifest of them lists them.

    Each is named by its path from the folder that holds them all, or by its own name if it is
    alone, and they are sorted as paths, part by part. The root digest is SHA-256 over their
    digests, one after the other in this order.

    Raises:
        BadFileError: A file cannot be read, or its name is not in UTF-8.
        InvalidArgumentError: None came, or one came twice.
    """
    paths = list(files)
    digests = {path.resolve(): hash_file(path) for path in paths}
    if not digests or len(digests) < len(paths):
        raise InvalidArgumentError("each file of the model was wanted once, and at least one")
    return model_of({name: digests[path] for name, path in named(digests).items()})


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their path from the deepest folder that holds them all, with slashes."""
    every = list(paths)
    folder = every[0].parent
    while not all(path.is_relative_to(folder) for path in every):
        folder = folder.parent
    return {path.relative_to(folder).as_posix(): path for path in every}


def model_of(digests: Mapping[str, str]) -> ModelFiles:
    """The files of a model by their digests, sorted as paths: a folder's files are together."""
    names = sorted(digests, key=PurePosixPath)
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise BadFileError(ascii(name), "a name in UTF-8 was wanted") from error
    root = hashlib.sha256(b"".join(bytes.fromhex(digests[name]) for name in names))
    return ModelFiles(
        resources=tuple(
            Resource(name=name, algorithm="sha256", digest=digests[name]) for name in names
        ),
        sha256=root.hexdigest(),
    )


def hash_file(path: Path) -> str:
    """SHA-256 of a file, however large it is.

    Raises:
        BadFileError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error


try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature", "crypto") from error

SCHEMA = "modelseal.signature/1"

DOMAIN = b"modelseal.signature/1\n"
"""Stands before the signed statement: no other text that a key signs can be taken for it."""

MAX_STATEMENT_BYTES = 2**22
"""The largest signature file that is read: room for twenty thousand files of a model."""


class Statement(Claim):
    """What is signed.

    Args:
        key: What the public key is called: SHA-256 of its DER form.
        time: When the signer's clock says it was signed.
    """

    schema_: Annotated[Literal["modelseal.signature/1"], Field(alias="schema")]
    algorithm: Literal["ed25519"]
    key: Digest
    time: str


class Signed(Statement):
    """A statement with its signature, in base64."""

    signature: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]


def sign(
    fingerprint: Fingerprint,
    key: Ed25519PrivateKey,
    *,
    time: str,
    model: ModelFiles | None = None,
) -> bytes:
    """Signs a fingerprint.

    Args:
        fingerprint: What is signed.
        key: The private key.
        time: The present moment in UTC, such as `2026-11-23T10:00:00Z`.
        model: The files of the model, from `list_model_files`.

    Returns:
        The content of a signature file.
    """
    statement = Statement.model_validate(
        {
            **dict(claim(fingerprint, model)),
            "schema": SCHEMA,
            "algorithm": "ed25519",
            "key": key_id(key.public_key()),
            "time": time,
        }
    )
    made = base64.b64encode(key.sign(message_of(statement))).decode()
    return f"{canonical({**as_object(statement), 'signature': made})}\n".encode()


def check(text: bytes, fingerprint: Fingerprint, key: Ed25519PublicKey, *, name: str) -> Statement:
    """Makes sure that a key has signed a fingerprint.

    Args:
        text: The content of the signature file.
        fingerprint: What shall be signed.
        key: The public key of whoever shall have signed it.
        name: What the signature file is called in errors.

    Returns:
        What was signed.

    Raises:
        BadFileError: It is no signature file, of another key or fingerprint, or does not fit.
    """
    signed = parse_json(Signed, text, name=name)
    wanted = key_id(key)
    if signed.key != wanted:
        raise BadFileError(name, f"{wanted} was wanted, but {signed.key} signed it", field="key")
    statement = Statement.model_validate(signed.model_dump(by_alias=True, exclude={"signature"}))
    try:
        key.verify(base64.b64decode(signed.signature), message_of(statement))
    except InvalidSignature as error:
        raise BadFileError(
            name, "a signature of this statement was wanted, but it was altered or made otherwise"
        ) from error
    check_claim(statement, fingerprint, name=name)
    return statement


def message_of(statement: Statement) -> bytes:
    """The bytes that are signed."""
    return DOMAIN + canonical(as_object(statement)).encode()


def as_object(statement: Statement) -> dict[str, object]:
    """A statement as it stands in the file."""
    return statement.model_dump(mode="json", by_alias=True)
