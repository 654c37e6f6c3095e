"""`modelseal reveal`: makes an evidence bundle of recorded answers."""

from modelseal.cli.options import FingerprintFile, Output
from modelseal.cli.secret_options import AskedEndpoint, KeyFile, PassphraseFile, RecordedFile


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
    from modelseal.verifying import bundle, revealing
    from modelseal.writing import write_atomically

    salts_file = salts_of(fingerprint)
    check_output(output, inputs=[fingerprint, record, salts_file])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    salts = read_salts(sealed, salts_file)
    text = read_bytes(record, most=revealing.MAX_RECORD)
    records = revealing.read_records(text, sealed, name=str(record))
    asked = revealing.endpoint_of(text) if endpoint is None else shown_name(endpoint)
    made = revealing.reveal(sealed, records, salts=salts, endpoint=asked, time=now())
    write_atomically(output, bundle.write_bundle(made))
    Paper().write(f"{output}: {len(records)} of {len(sealed)} samples with their answers")
    complain("whoever gets the bundle knows these samples: never ask them again")
