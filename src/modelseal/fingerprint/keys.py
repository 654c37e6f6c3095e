"""Key files: X25519 to encrypt to, Ed25519 to sign with, as PEM (PKCS#8 and SubjectPublicKeyInfo).

Needs the extra `crypto`.
"""

import hashlib
from enum import Enum
from pathlib import Path

from modelseal.errors import BadFileError, MissingExtraError
from modelseal.fingerprint.reading import read_bytes

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
