"""Files that the program writes: checked before long work, and written whole or not at all."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.console import Paper, complain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import read_bytes, write_atomically
from modelseal.fingerprint import codec
from modelseal.fingerprint.encryption import is_encrypted, split
from modelseal.fingerprint.record import Fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from modelseal.fingerprint.encryption import Lock, Opener, Passphrase


STANDARD_OUTPUT = Path("-")
"""Stands for standard output in place of a file."""


def check_document(path: Path | None, *, inputs: Sequence[Path]) -> None:
    """Makes sure that a document can be written: nowhere, to standard output or to a file.

    Raises:
        BadFileError: The file cannot be written or is one of the inputs.
    """
    if path is not None and path != STANDARD_OUTPUT:
        check_output(path, inputs=inputs)


def check_output(path: Path, *, inputs: Sequence[Path]) -> None:
    """Makes sure, before long work begins, that its result can be written.

    Args:
        path: The file to be written or replaced.
        inputs: The files that are read, none of which may be replaced.

    Raises:
        BadFileError: The folder is missing or may not be written to, or the path is a folder or
            one of the inputs.
    """
    folder = path.parent
    try:
        taken = path.exists() and not path.is_file()
    except OSError as error:
        raise BadFileError(path, f"cannot be written: {error.strerror}") from error
    if not folder.is_dir():
        raise BadFileError(path, f"a file to write was wanted, but there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadFileError(path, f"a file to write was wanted, but {folder} is write-protected")
    if taken:
        raise BadFileError(path, "a file to write was wanted, but this is something else")
    if any(is_same(path, each) for each in (*inputs, *named_by_environment())):
        raise BadFileError(path, "a file to write was wanted, but this one is read as well")


def named_by_environment() -> list[Path]:
    """The key that the environment names, which is read where nothing else opens a file."""
    return [Path(os.environ[KEY_FILE])] if os.environ.get(KEY_FILE) else []


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, which need not be there yet."""
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, RuntimeError):  # a loop of links leads nowhere
        return False


def emit(document: Mapping[str, object], path: Path) -> None:
    """Writes a document as JSON, to a file or to standard output.

    Args:
        document: Texts, numbers, lists and objects; every number is finite.
        path: The file, or `-`.

    Raises:
        BadFileError: The file cannot be written.
    """
    from modelseal.files import write_atomically

    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    if path == STANDARD_OUTPUT:
        Paper().out(text, highlight=False)
    else:
        write_atomically(path, f"{text}\n".encode())


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
    from modelseal.fingerprint.signatures import read_opening_key

    return read_opening_key(path, passphrase=key_passphrase())


def key_passphrase() -> bytes | None:
    """The passphrase of private keys, which the environment holds; None if it does not."""
    from modelseal.fingerprint import signatures

    text = os.environ.get(signatures.PASSPHRASE)
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
    from modelseal.fingerprint.signatures import read_recipient

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where a new fingerprint goes.

    Args:
        path: The file to be written.
        lock: What it is encrypted to; None for a plain one.
        per_check: How many samples a check of it takes; None for no ledger.
    """

    path: Path
    lock: "Lock | None" = None
    per_check: int | None = None

    def write(self, fingerprint: Fingerprint) -> None:
        """Writes the fingerprint, and begins its ledger if there shall be one.

        Raises:
            BadFileError: One of them cannot be written.
        """
        write_fingerprint(fingerprint, self.path, lock=self.lock)
        if self.per_check is not None:
            from modelseal.verification.ledger import ledger_of, open_ledger

            open_ledger(ledger_of(self.path), fingerprint, per_check=self.per_check)


def choose_destination(
    path: Path,
    *,
    inputs: Sequence[Path],
    encrypt_to: Path | None,
    passphrase_file: Path | None,
    per_check: int | None = None,
    samples: int = 1,
) -> Destination:
    """Makes sure, before long work begins, that its result can be written as it shall be.

    Args:
        path: The file to be written.
        inputs: The files that are read, none of which may be replaced.
        encrypt_to: The file of the public key that it is encrypted to.
        passphrase_file: The file of the passphrase that it is encrypted by.
        per_check: How many samples a check of it takes; None for no ledger.
        samples: How many samples there will be.

    Raises:
        BadFileError: The file or its ledger cannot be written, or the key or passphrase not be
            read.
        InvalidArgumentError: A check would take more samples than there will be.
        MissingExtraError: It shall be encrypted, and the extra is not installed.
    """
    secrets = [each for each in (encrypt_to, passphrase_file) if each]
    check_output(path, inputs=[*inputs, *secrets])
    if per_check is not None:
        check_new_ledger(path, per_check=per_check, samples=samples)
    lock = find_lock(encrypt_to=encrypt_to, passphrase_file=passphrase_file)
    return Destination(path=path, lock=lock, per_check=per_check)


def check_new_ledger(path: Path, *, per_check: int, samples: int) -> None:
    """Makes sure, before long work begins, that a ledger can be begun beside its result.

    Args:
        path: Where the result is going to be.
        per_check: How many samples a check takes.
        samples: How many there will be.

    Raises:
        BadFileError: There is one already, or it cannot be written.
        InvalidArgumentError: A check would take more samples than there will be.
    """
    from modelseal.verification.ledger import ledger_of

    if per_check > samples:
        raise InvalidArgumentError(
            f"--per-check needs to be at most --samples, but {per_check} is more than {samples}"
        )
    ledger = ledger_of(path)
    check_output(ledger, inputs=[])
    if ledger.exists():
        raise BadFileError(
            ledger, "a new ledger was wanted, but there is one already, which may be moved away"
        )
