"""`modelseal commit`: a public commitment to the samples of a fingerprint."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.options import FingerprintFile, Output
from modelseal.cli.secret_options import KeyFile, PassphraseFile

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verifying.commitment import Salts


def commit(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write a commitment that may be made public; out.seal.salts stays secret."""
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import read_fingerprint
    from modelseal.cli.moment import now
    from modelseal.cli.paper import Paper
    from modelseal.verifying import commitment
    from modelseal.verifying.ledger import ledger_of
    from modelseal.writing import write_atomically, write_new

    salts_file = salts_of(fingerprint)
    beside = [fingerprint, salts_file, ledger_of(fingerprint)]
    check_output(output, inputs=[*beside, *(each for each in (key, passphrase_file) if each)])
    check_output(salts_file, inputs=[fingerprint])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    if salts_file.exists():
        salts = read_salts(sealed, salts_file)
    else:
        salts = commitment.draw_salts(sealed, time=now())
        write_new(salts_file, commitment.write_part(salts))
    write_atomically(output, commitment.write_part(commitment.commit(sealed, salts)))
    output.chmod(0o644)
    Paper().write(f"{output}: a commitment to {len(sealed)} samples, to be made public")
    Paper().write(f"{salts_file}: what reveals them, to be kept as the fingerprint is")


def salts_of(fingerprint: Path) -> Path:
    """Where the salts of a fingerprint's file are."""
    from modelseal.verifying.commitment import SUFFIX
    from modelseal.writing import beside

    return beside(fingerprint, SUFFIX)


def read_salts(fingerprint: "Fingerprint", path: Path) -> "Salts":
    """Reads the salts of a fingerprint.

    Raises:
        BadFileError: They are missing, or those of another fingerprint.
    """
    from modelseal.fingerprint.reading import read_bytes
    from modelseal.verifying import commitment

    missing = "the salts of a commitment were wanted, but there are none: commit first"
    text = read_bytes(path, most=commitment.MAX_BYTES, missing=missing)
    return commitment.read_salts(text, fingerprint, name=str(path))
