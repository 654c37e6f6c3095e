"""`modelseal commit`: a public commitment to the samples of a fingerprint."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from modelseal.cli.options import (
    AskedEndpoint,
    BundleFile,
    CommitmentFile,
    FingerprintFile,
    JsonFile,
    KeyFile,
    Output,
    PassphraseFile,
    RecordedFile,
)

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verification.commitment import Salts
    from modelseal.verification.evidence import Bundle


def commit(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write a commitment that may be made public; out.seal.salts stays secret."""
    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import check_output, read_fingerprint
    from modelseal.files import now, write_atomically, write_new
    from modelseal.verification import commitment
    from modelseal.verification.ledger import ledger_of

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
    from modelseal.files import beside
    from modelseal.verification.commitment import SUFFIX

    return beside(fingerprint, SUFFIX)


def read_salts(fingerprint: "Fingerprint", path: Path) -> "Salts":
    """Reads the salts of a fingerprint.

    Raises:
        BadFileError: They are missing, or those of another fingerprint.
    """
    from modelseal.files import read_bytes
    from modelseal.verification import commitment

    missing = "the salts of a commitment were wanted, but there are none: commit first"
    text = read_bytes(path, most=commitment.MAX_BYTES, missing=missing)
    return commitment.read_salts(text, fingerprint, name=str(path))


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
    from modelseal.cli.console import Paper, complain
    from modelseal.cli.fingerprint_files import check_output, read_fingerprint
    from modelseal.endpoints.factory import endpoint_name
    from modelseal.files import now, read_bytes
    from modelseal.verification import commitment, evidence
    from modelseal.verification.ledger import ledger_of

    salts_file = salts_of(fingerprint)
    beside = [fingerprint, record, salts_file, ledger_of(fingerprint)]
    check_output(output, inputs=[*beside, *(each for each in (key, passphrase_file) if each)])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    commitment.check_sealed(sealed)
    salts = read_salts(sealed, salts_file)
    text = read_bytes(record, most=evidence.MAX_RECORD)
    records = evidence.read_records(text, sealed, name=str(record))
    asked = evidence.endpoint_of(text) if endpoint is None else endpoint_name(endpoint)
    made = evidence.reveal(sealed, records, salts=salts, endpoint=asked, time=now())
    write(made, output)
    Paper().write(f"{output}: {len(records)} of {len(sealed)} samples with their answers")
    complain("whoever gets the bundle knows these samples: never ask them again")


def write(made: "Bundle", output: Path) -> None:
    """Writes a bundle that `recheck` can read.

    Raises:
        BadFileError: It is too large for that, or cannot be written.
    """
    from modelseal.errors import BadFileError
    from modelseal.files import write_atomically
    from modelseal.verification import commitment, evidence

    content = evidence.write_bundle(made)
    if len(content) > commitment.MAX_BYTES:
        raise BadFileError(
            output,
            f"at most {commitment.MAX_BYTES} bytes were wanted, which is what recheck reads, but "
            f"the bundle would have {len(content)}: reveal a record of fewer samples",
        )
    write_atomically(output, content)


def recheck(
    bundle: BundleFile, *, commitment: CommitmentFile = None, json: JsonFile = None
) -> None:
    """Check an evidence bundle again, and state the verdict.

    Exit codes: 0 intact, 1 tampered, 2 wrong use or a bundle that proves nothing, 3 undecided.
    """
    from modelseal.cli.console import Paper, complain
    from modelseal.cli.documents import recheck_document
    from modelseal.cli.fingerprint_files import STANDARD_OUTPUT, check_document, emit
    from modelseal.cli.render import tell_findings, tell_verdict
    from modelseal.cli.verify import CODES
    from modelseal.files import read_bytes
    from modelseal.verification import evidence
    from modelseal.verification.commitment import MAX_BYTES, read_commitment
    from modelseal.verification.evidence import read_bundle

    check_document(json, inputs=[each for each in (bundle, commitment) if each])
    public = None
    if commitment is not None:
        text = read_bytes(commitment, most=MAX_BYTES)
        public = read_commitment(text, name=str(commitment))
    found = read_bundle(read_bytes(bundle, most=MAX_BYTES), name=str(bundle))
    verdict = evidence.recheck(found, name=str(bundle), commitment=public)
    if commitment is None:
        complain("without --commitment anybody could have made this bundle")
    if json != STANDARD_OUTPUT:
        tell_verdict(Paper(), verdict)
        tell_findings(Paper(), verdict.evidence)
    if json is not None:
        emit(recheck_document(verdict, found, file=bundle, commitment=commitment), json)
    raise typer.Exit(CODES[verdict.outcome])
