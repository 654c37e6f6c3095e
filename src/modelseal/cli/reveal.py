"""`modelseal reveal`: makes an evidence bundle of recorded answers."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.options import FingerprintFile, Output
from modelseal.cli.secret_options import AskedEndpoint, KeyFile, PassphraseFile, RecordedFile

if TYPE_CHECKING:
    from modelseal.verifying.bundle import Bundle


def reveal(
    fingerprint: FingerprintFile,
    record: RecordedFile,
    *,
    output: Output,
    endpoint: AskedEndpoint = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write an evidence bundle of recorded answers, which anybody can check again."""
    from modelseal.cli.commit import read_salts, salts_of
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import read_fingerprint
    from modelseal.cli.moment import now
    from modelseal.cli.opening import shown_name
    from modelseal.cli.paper import Paper, complain
    from modelseal.fingerprint.reading import read_bytes
    from modelseal.verifying import commitment, revealing
    from modelseal.verifying.ledger import ledger_of

    salts_file = salts_of(fingerprint)
    beside = [fingerprint, record, salts_file, ledger_of(fingerprint)]
    check_output(output, inputs=[*beside, *(each for each in (key, passphrase_file) if each)])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    commitment.check_sealed(sealed)
    salts = read_salts(sealed, salts_file)
    text = read_bytes(record, most=revealing.MAX_RECORD)
    records = revealing.read_records(text, sealed, name=str(record))
    asked = revealing.endpoint_of(text) if endpoint is None else shown_name(endpoint)
    made = revealing.reveal(sealed, records, salts=salts, endpoint=asked, time=now())
    write(made, output)
    Paper().write(f"{output}: {len(records)} of {len(sealed)} samples with their answers")
    complain("whoever gets the bundle knows these samples: never ask them again")


def write(made: "Bundle", output: Path) -> None:
    """Writes a bundle that `recheck` can read.

    Raises:
        BadFileError: It is too large for that, or cannot be written.
    """
    from modelseal.errors import BadFileError
    from modelseal.verifying import bundle, commitment
    from modelseal.writing import write_atomically

    content = bundle.write_bundle(made)
    if len(content) > commitment.MAX_BYTES:
        raise BadFileError(
            output,
            f"at most {commitment.MAX_BYTES} bytes were wanted, which is what recheck reads, but "
            f"the bundle would have {len(content)}: reveal a record of fewer samples",
        )
    write_atomically(output, content)
