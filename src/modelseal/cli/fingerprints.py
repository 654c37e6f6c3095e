"""Reads fingerprints that may be encrypted, and writes them encrypted where that was asked for.

Every verb reads by `read_fingerprint`. Keys and passphrases come from a file or the environment,
never from the command line, which other processes can see, and are in no text.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.paper import complain
from modelseal.errors import BadFileError
from modelseal.fingerprint import codec
from modelseal.fingerprint.envelope import is_encrypted, split
from modelseal.fingerprint.reading import read_bytes
from modelseal.fingerprint.record import Fingerprint
from modelseal.writing import write_atomically

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from modelseal.fingerprint.encryption import Lock, Opener, Passphrase

KEY_FILE = "MODELSEAL_KEY_FILE"
PASSPHRASE = "MODELSEAL_PASSPHRASE"  # noqa: S105 (the name of a variable, not a passphrase)


def read_fingerprint(
    path: Path, *, key: Path | None = None, passphrase_file: Path | None = None
) -> Fingerprint:
    """Reads a fingerprint from a file, plain or encrypted.

    Args:
        path: The file.
        key: The private X25519 key's file; by default the one that the environment names.
        passphrase_file: The file of the passphrase; by default the environment holds it.

    Raises:
        BadFileError: It is no fingerprint, or cannot be opened.
        MissingExtraError: It is encrypted, and the extra is not installed.
    """
    data = read_bytes(path, most=codec.MAX_BYTES)
    if is_encrypted(data):
        from modelseal.fingerprint.encryption import decrypt

        how = split(data, name=str(path)).header.lock.how
        opener = find_opener(how, key=key, passphrase_file=passphrase_file)
        data = decrypt(data, opener, name=str(path))
    elif key is not None:
        # A passphrase may be for what is written.
        complain(f"{path} is not encrypted: {key} was not needed")
    return codec.decode(data, name=str(path))


def is_encrypted_file(path: Path) -> bool:
    """Whether a file is an encrypted fingerprint; not if it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_encrypted(file.read(100))
    except (OSError, ValueError):
        return False


def check_lock(path: Path, lock: "Lock | None") -> None:
    """Makes sure that nothing plain is made of an encrypted file.

    Args:
        path: The file that something is made of.
        lock: What that shall be encrypted to; None for nothing.

    Raises:
        BadFileError: The file is encrypted, and there is no lock.
    """
    if lock is None and is_encrypted_file(path):
        raise BadFileError(
            path,
            "is encrypted: --encrypt-to or --passphrase-file was wanted for what is made of it",
        )


def find_opener(how: str, *, key: Path | None, passphrase_file: Path | None) -> "Opener | None":
    """What opens a file that is locked in a way; None if there is nothing of the kind.

    Raises:
        BadFileError: It cannot be read.
    """
    if how == "scrypt":
        return find_passphrase(passphrase_file)
    named = key or (Path(os.environ[KEY_FILE]) if os.environ.get(KEY_FILE) else None)
    return None if named is None else read_key(named)


def find_passphrase(file: Path | None) -> "Passphrase | None":
    """The passphrase in a file or else in the environment; None if there is none.

    Raises:
        BadFileError: The file cannot be read.
        InvalidArgumentError: It is empty or too long.
    """
    from modelseal.fingerprint.encryption import Passphrase

    if file is not None:
        return read_passphrase(file)
    text = os.environ.get(PASSPHRASE)
    return Passphrase(secret=os.fsencode(text)) if text else None


def read_passphrase(path: Path) -> "Passphrase":
    """The passphrase in a file: all of it but the end of its last line.

    Raises:
        BadFileError: It cannot be read, or there is no passphrase in it.
    """
    from modelseal.fingerprint.encryption import MAX_PASSPHRASE, Passphrase

    secret = read_bytes(path, most=MAX_PASSPHRASE + 2).removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(secret) <= MAX_PASSPHRASE:
        raise BadFileError(path, f"a passphrase of 1 to {MAX_PASSPHRASE} bytes was wanted")
    return Passphrase(secret=secret)


def read_key(path: Path) -> "X25519PrivateKey":
    """A private key that opens encrypted files.

    Raises:
        BadFileError: It is none, or its own passphrase is missing or wrong.
    """
    from modelseal.fingerprint.keys import read_opening_key

    return read_opening_key(path, passphrase=key_passphrase())


def key_passphrase() -> bytes | None:
    """The passphrase of private keys, which the environment holds; None if it does not."""
    from modelseal.fingerprint import keys

    text = os.environ.get(keys.PASSPHRASE)
    return os.fsencode(text) if text else None


def find_lock(*, encrypt_to: Path | None, passphrase_file: Path | None) -> "Lock | None":
    """What a fingerprint shall be encrypted to; None for a plain one.

    It is read before long work begins, so that a wrong key is told at once.

    Args:
        encrypt_to: The file of a public X25519 key, which comes first.
        passphrase_file: The file of a passphrase.

    Raises:
        BadFileError: It is none.
        MissingExtraError: The extra is not installed.
    """
    if encrypt_to is None:
        return None if passphrase_file is None else read_passphrase(passphrase_file)
    from modelseal.fingerprint.keys import read_recipient

    return read_recipient(encrypt_to)


def write_fingerprint(fingerprint: Fingerprint, path: Path, *, lock: "Lock | None") -> None:
    """Writes a fingerprint, encrypted if there is a lock: then no plain copy touches the disk.

    Raises:
        BadFileError: The file cannot be written.
        InvalidArgumentError: The fingerprint is too large.
    """
    data = codec.encode(fingerprint)
    if lock is not None:
        from modelseal.fingerprint.encryption import encrypt

        data = encrypt(data, lock)
    write_atomically(path, data)
