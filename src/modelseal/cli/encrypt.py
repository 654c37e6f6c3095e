"""`modelseal encrypt` and `modelseal decrypt`: for files that are there already."""

from modelseal.cli.options import FingerprintFile, Output
from modelseal.cli.secret_options import EncryptTo, KeyFile, LockPassphraseFile, PassphraseFile


def encrypt(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    encrypt_to: EncryptTo = None,
    passphrase_file: LockPassphraseFile = None,
) -> None:
    """Encrypt a fingerprint; the plain file stays, and is yours to remove."""
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import (
        PASSPHRASE,
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
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import read_fingerprint, write_fingerprint

    inputs = [each for each in (fingerprint, key, passphrase_file) if each]
    check_output(output, inputs=inputs)
    found = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    write_fingerprint(found, output, lock=None)
