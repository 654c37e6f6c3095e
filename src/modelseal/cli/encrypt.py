"""`modelseal keygen`, `encrypt` and `decrypt`."""

import modelseal as ms
from modelseal.cli.options import (
    EncryptTo,
    FingerprintFile,
    KeyFile,
    LockPassphraseFile,
    Output,
    Pair,
    PassphraseFile,
    PurposeOption,
)
from modelseal.enums import KeyPurpose
from modelseal.files import beside


def keygen(*, output: Pair, purpose: PurposeOption = KeyPurpose.ENCRYPTION) -> None:
    """Make a pair of keys, to encrypt fingerprints to or to sign them with."""
    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import check_output

    if output.name not in ("", ".."):
        for end in (".pem", ".pub.pem"):
            check_output(beside(output, end), inputs=[])
    private, public = ms.make_keys(output, purpose)
    Paper().write(f"{private}: the private key, for {purpose.value}; {public}: the public one")


def encrypt(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    encrypt_to: EncryptTo = None,
    passphrase_file: LockPassphraseFile = None,
) -> None:
    """Encrypt a fingerprint; the plain file stays, and is yours to remove."""
    from modelseal.cli.fingerprint_files import check_output

    inputs = [each for each in (fingerprint, encrypt_to, passphrase_file) if each]
    check_output(output, inputs=inputs)
    ms.encrypt(fingerprint, output, encrypt_to=encrypt_to, passphrase=passphrase_file)


def decrypt(
    fingerprint: FingerprintFile,
    *,
    output: Output,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write the plain copy of an encrypted fingerprint."""
    from modelseal.cli.fingerprint_files import check_output, read_fingerprint

    inputs = [each for each in (fingerprint, key, passphrase_file) if each]
    check_output(output, inputs=inputs)
    read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file).save(output)
