"""`modelseal commit`, `reveal` and `recheck`: proofs for others, without giving samples away."""

import typer

import modelseal as ms
from modelseal.cli import options
from modelseal.cli.exit_codes import Exit


def commit(
    fingerprint: options.FingerprintFile,
    *,
    output: options.Output,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Write a commitment that may be made public; out.seal.salts stays secret."""
    from modelseal.cli.console import Terminal
    from modelseal.cli.destinations import check_output, read_fingerprint

    salts = ms.salts_file(fingerprint)
    read = (fingerprint, salts, ms.ledger_file(fingerprint), key, passphrase_file)
    check_output(output, inputs=[path for path in read if path])
    check_output(salts, inputs=[fingerprint])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    ms.commit(sealed, salts=salts).save(output)
    Terminal().write(f"{output}: a commitment to {len(sealed)} samples, to be made public")
    Terminal().write(f"{salts}: what reveals them, to be kept as the fingerprint is")


def reveal(
    fingerprint: options.FingerprintFile,
    record: options.RecordedFile,
    *,
    output: options.Output,
    endpoint: options.AskedEndpoint = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Write an evidence bundle of recorded answers, which anybody can check again."""
    from modelseal.cli.console import Terminal, warn
    from modelseal.cli.destinations import check_output, read_fingerprint

    salts = ms.salts_file(fingerprint)
    read = (fingerprint, record, salts, ms.ledger_file(fingerprint), key, passphrase_file)
    check_output(output, inputs=[path for path in read if path])
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    bundle = ms.reveal(sealed, record, salts=salts, endpoint=endpoint)
    bundle.save(output)
    Terminal().write(f"{output}: {len(bundle.asked)} of {len(sealed)} samples with their answers")
    warn("whoever gets the bundle knows these samples: never ask them again")


def recheck(
    bundle: options.BundleFile,
    *,
    commitment: options.CommitmentFile = None,
    json: options.JsonFile = None,
) -> None:
    """Check an evidence bundle again, and state the verdict.

    Exit codes: 0 intact, 1 tampered, 2 wrong use or a bundle that proves nothing, 3 undecided.
    """
    from modelseal.cli.console import Terminal, warn
    from modelseal.cli.destinations import STANDARD_OUTPUT, check_document, emit
    from modelseal.cli.render import show_verdict

    check_document(json, inputs=[each for each in (bundle, commitment) if each])
    found = ms.recheck(bundle, commitment=commitment)
    if commitment is None:
        warn("without --commitment anybody could have made this bundle")
    if json != STANDARD_OUTPUT:
        show_verdict(Terminal(), found.verdict, every=True)
    if json is not None:
        emit(found.to_json(), json)
    raise typer.Exit(Exit[found.verdict.outcome.name])
