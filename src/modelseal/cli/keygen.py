"""`modelseal keygen`: makes a pair of keys."""

from modelseal.cli.secret_options import KeyPurpose, Pair, PurposeOption


def keygen(*, output: Pair, purpose: PurposeOption = KeyPurpose.ENCRYPTION) -> None:
    """Make a pair of keys, to encrypt fingerprints to or to sign them with."""
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import key_passphrase
    from modelseal.cli.paper import Paper
    from modelseal.errors import BadFileError
    from modelseal.fingerprint.keys import Purpose, make_pair
    from modelseal.writing import beside, write_new

    if output.name in ("", ".."):
        raise BadFileError(output, "a name for a pair of keys was wanted")
    private, public = (beside(output, end) for end in (".pem", ".pub.pem"))
    for path in (private, public):
        check_output(path, inputs=[])
        if path.exists():
            raise BadFileError(path, "a new file was wanted for a key, but there is one already")
    secret, shown = make_pair(Purpose(purpose.value), passphrase=key_passphrase())
    write_new(private, secret)
    write_new(public, shown)
    public.chmod(0o644)
    Paper().write(f"{private}: the private key, for {purpose.value}; {public}: the public one")
