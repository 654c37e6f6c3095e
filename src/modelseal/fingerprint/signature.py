"""Detached signatures of fingerprints: who vouches for a file, and for which weights it was made.

A key of Ed25519 signs a statement. That is no OMS bundle: those are DSSE envelopes, and their key
types do not include Ed25519.

Needs the extra `crypto`.
"""

import base64
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError, MissingExtraError
from modelseal.fingerprint.codec import canonical
from modelseal.fingerprint.keys import key_id
from modelseal.fingerprint.parsing import parse
from modelseal.fingerprint.record import Fingerprint
from modelseal.fingerprint.statement import Claim, Digest, ModelFiles, check_claim, claim

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
    check_claim(statement, fingerprint, name=name)
    return statement


def message_of(statement: Statement) -> bytes:
    """The bytes that are signed."""
    return DOMAIN + canonical(as_object(statement)).encode()


def as_object(statement: Statement) -> dict[str, object]:
    """A statement as it stands in the file."""
    return statement.model_dump(mode="json", by_alias=True)
