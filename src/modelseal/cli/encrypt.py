"""`modelseal keygen`: makes a pair of keys."""

from modelseal.cli.options import (
    EncryptTo,
    FingerprintFile,
    KeyFile,
    KeyPurpose,
    LockPassphraseFile,
    Output,
    Pair,
    PassphraseFile,
    PurposeOption,
)


def keygen(*, output: Pair, purpose: PurposeOption = KeyPurpose.ENCRYPTION) -> None:
    """Make a pair of keys, to encrypt fingerprints to or to sign them with."""
    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import check_output, key_passphrase
    from modelseal.errors import BadFileError
    from modelseal.files import beside, write_new
    from modelseal.fingerprint.signatures import Purpose, make_pair

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


def encrypt(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    encrypt_to: EncryptTo = None,
    passphrase_file: LockPassphraseFile = None,
) -> None:
    """Encrypt a fingerprint; the plain file stays, and is yours to remove."""
    from modelseal.cli.fingerprint_files import (
        PASSPHRASE,
        check_output,
        find_lock,
        find_passphrase,
        is_encrypted_file,
        write_fingerprint,
    )
    from modelseal.errors import BadFileError, InvalidArgumentError
    from modelseal.fingerprint.codec import read

    inputs = [each for each in (fingerprint, encrypt_to, passphrase_file) if each]
    check_output(output, inputs=inputs)
    lock = find_lock(encrypt_to=encrypt_to, passphrase_file=passphrase_file)
    lock = lock or find_passphrase(None)
    if is_encrypted_file(fingerprint):
        raise BadFileError(
            fingerprint, "a plain fingerprint was wanted, but it is encrypted already"
        )
    if lock is None:
        raise InvalidArgumentError(
            f"--encrypt-to, --passphrase-file or {PASSPHRASE} was wanted, but none came"
        )
    write_fingerprint(read(fingerprint), output, lock=lock)


def decrypt(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write the plain copy of an encrypted fingerprint."""
    from modelseal.cli.fingerprint_files import check_output, read_fingerprint, write_fingerprint

    inputs = [each for each in (fingerprint, key, passphrase_file) if each]
    check_output(output, inputs=inputs)
    found = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    write_fingerprint(found, output, lock=None)
