"""Files that the program writes: checked before long work, and written whole or not at all."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import modelseal as ms
from modelseal.cli.console import Terminal, warn
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import write_atomically

STANDARD_OUTPUT = Path("-")
"""Stands for standard output in place of a file."""


def check_document(path: Path | None, *, inputs: Sequence[Path]) -> None:
    """Makes sure that a document can be written: nowhere, to standard output or to a file."""
    if path is not None and path != STANDARD_OUTPUT:
        check_output(path, inputs=inputs)


def check_output(path: Path, *, inputs: Sequence[Path]) -> None:
    """Makes sure, before long work begins, that its result can be written."""
    folder = path.parent
    try:
        taken = path.exists() and not path.is_file()
    except OSError as error:
        raise BadFileError(path, f"cannot be written: {error.strerror}") from error
    if not folder.is_dir():
        raise BadFileError(path, f"expected a file in an existing folder, got no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadFileError(
            path, f"expected a folder to write to, got {folder}, which is write-protected"
        )
    if taken:
        raise BadFileError(path, "expected a file to write, got something else")
    if any(is_same(path, each) for each in (*inputs, *_named_by_environment())):
        raise BadFileError(path, "expected a file to write, got one that is read as well")


def _named_by_environment() -> list[Path]:
    """The key that the environment names, which is read where nothing else opens a file."""
    named = os.environ.get("MODELSEAL_KEY_FILE")
    return [Path(named)] if named else []


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, which need not be there yet."""
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, RuntimeError):  # a loop of links leads nowhere
        return False


def emit(document: Mapping[str, object], path: Path) -> None:
    """Writes a document as JSON, to a file or to standard output."""
    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    if path == STANDARD_OUTPUT:
        Terminal().out(text, highlight=False)
    else:
        write_atomically(path, f"{text}\n".encode())


def read_fingerprint(
    path: Path,
    *,
    key: Path | None = None,
    passphrase_file: Path | None = None,
    signer: Path | None = None,
) -> "ms.Fingerprint":
    """Reads a fingerprint, and says so if a key for it was not needed."""
    found = ms.load(path, key=key, passphrase=passphrase_file, require_signature=signer)
    # A passphrase may be for what is written.
    if key is not None and not ms.is_encrypted_file(path):
        warn(f"{path} is not encrypted: {key} was not needed")
    return found


def check_lock(path: Path, lock: Path | None) -> None:
    """Makes sure that nothing plain is made of an encrypted file."""
    if lock is None and ms.is_encrypted_file(path):
        raise BadFileError(
            path, "is encrypted: expected --encrypt-to or --passphrase-file for what is made of it"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Destination:
    """Where a new fingerprint goes, what it is encrypted to, and what a check of it takes."""

    path: Path
    encrypt_to: Path | None = None
    passphrase_file: Path | None = None
    per_check: int | None = None

    @property
    def lock(self) -> Path | None:
        """The file of what it is encrypted to; None if it is written plainly."""
        return self.encrypt_to or self.passphrase_file

    def write(self, fingerprint: "ms.Fingerprint") -> None:
        """Writes the fingerprint, and begins its ledger if there shall be one."""
        fingerprint.save(self.path, encrypt_to=self.encrypt_to, passphrase=self.passphrase_file)
        if self.per_check is not None:
            ms.open_ledger(ms.ledger_file(self.path), fingerprint, per_check=self.per_check)


def choose_destination(
    path: Path,
    *,
    inputs: Sequence[Path],
    encrypt_to: Path | None,
    passphrase_file: Path | None,
    per_check: int | None = None,
    samples: int = 1,
) -> _Destination:
    """Makes sure, before long work begins, that its result can be written as it shall be."""
    secrets = [each for each in (encrypt_to, passphrase_file) if each]
    check_output(path, inputs=[*inputs, *secrets])
    if per_check is not None:
        _check_new_ledger(path, per_check=per_check, samples=samples)
    if secrets:
        ms.check_recipient(encrypt_to=encrypt_to, passphrase=passphrase_file)
    return _Destination(
        path=path, encrypt_to=encrypt_to, passphrase_file=passphrase_file, per_check=per_check
    )


def _check_new_ledger(path: Path, *, per_check: int, samples: int) -> None:
    """Makes sure, before long work begins, that a ledger can be begun beside its result."""
    if per_check > samples:
        raise InvalidArgumentError(
            f"--per-check needs to be at most --samples, but {per_check} is more than {samples}"
        )
    ledger = ms.ledger_file(path)
    check_output(ledger, inputs=[])
    if ledger.exists():
        raise BadFileError(
            ledger, "expected a new ledger, got one that is there; it may be moved away"
        )
