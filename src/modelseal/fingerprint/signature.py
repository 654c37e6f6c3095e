"""Detached signatures of fingerprints: who vouches for a file, and for which weights it was made.

What is signed is a statement about the canonical plain bytes, so that one signature holds for the
plain file and for every encrypted copy. It may name the files of the model with their SHA-256, in
the form of the resources of an OpenSSF Model Signing (OMS) v1.0 manifest, and with the same root
digest, so that the two can be compared. It is no OMS bundle itself: those are DSSE envelopes, and
their key types do not include Ed25519.

Needs the extra `crypto`.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.fingerprint.codec import canonical, file_digest
from modelseal.fingerprint.keys import key_id
from modelseal.fingerprint.parsing import Strict, parse
from modelseal.fingerprint.record import Fingerprint
from modelseal.writing import explain

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

MAX_BYTES = 2**22
"""The largest signature file that is read: room for twenty thousand files of a model."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Resource(Strict):
    """One file of the model, as an OMS v1.0 manifest lists it."""

    name: str
    algorithm: Literal["sha256"]
    digest: Hex


class ModelFiles(Strict):
    """The files of the model, and their root digest as in the subject of an OMS v1.0 statement."""

    resources: Annotated[tuple[Resource, ...], Field(min_length=1)]
    sha256: Hex


class Statement(Strict):
    """What is signed.

    Args:
        fingerprint: SHA-256 of the canonical plain bytes of the fingerprint.
        weights_digest: The digest of the sealed weights, as the fingerprint has it.
        key: What the public key is called: SHA-256 of its DER form.
        time: When the signer's clock says it was signed.
        model: The files of the model, if they were named.
    """

    schema_: Annotated[Literal["modelseal.signature/1"], Field(alias="schema")]
    algorithm: Literal["ed25519"]
    fingerprint: Digest
    weights_digest: Digest
    key: Digest
    time: str
    model: ModelFiles | None


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
            "schema": SCHEMA,
            "algorithm": "ed25519",
            "fingerprint": file_digest(fingerprint),
            "weights_digest": fingerprint.origin.weights_digest,
            "key": key_id(key.public_key()),
            "time": time,
            "model": model,
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
    signed = parse(Signed, text, name=name)
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
    found = (file_digest(fingerprint), fingerprint.origin.weights_digest)
    if (statement.fingerprint, statement.weights_digest) != found:
        raise BadFileError(
            name,
            f"a signature of the fingerprint {found[0]} was wanted, but it is of "
            f"{statement.fingerprint}",
        )
    return statement


def message_of(statement: Statement) -> bytes:
    """The bytes that are signed."""
    return DOMAIN + canonical(as_object(statement)).encode()


def as_object(statement: Statement) -> dict[str, object]:
    """A statement as it stands in the file."""
    return statement.model_dump(mode="json", by_alias=True)


def list_model_files(files: Iterable[Path]) -> ModelFiles:
    """The files of a model with their SHA-256, as an OMS v1.0 manifest of them lists them.

    Each is named by its path from the folder that holds them all, or by its own name if it is
    alone. The root digest is SHA-256 over their digests, one after the other in this order.

    Raises:
        BadFileError: A file cannot be read.
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
    """The files of a model, in order of their names, by their digests."""
    names = sorted(digests)
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
