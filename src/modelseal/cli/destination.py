"""Where a new fingerprint goes: whether encrypted, and with a ledger or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.emitting import check_output
from modelseal.cli.fingerprints import find_lock, write_fingerprint
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.record import Fingerprint

if TYPE_CHECKING:
    from modelseal.fingerprint.encryption import Lock


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
            from modelseal.verifying.ledger import ledger_of, open_ledger

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
    from modelseal.verifying.ledger import ledger_of

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
