"""`modelseal keygen`, `encrypt`, `decrypt` and `sign`."""

import modelseal as ms
from modelseal.cli import options
from modelseal.enums import KeyPurpose
from modelseal.files import beside


def keygen(*, output: options.Pair, purpose: options.PurposeOption = KeyPurpose.ENCRYPTION) -> None:
    """Make a pair of keys, to encrypt fingerprints to or to sign them with."""
    from modelseal.cli.console import Terminal
    from modelseal.cli.destinations import check_output

    if output.name not in ("", ".."):
        for end in (".pem", ".pub.pem"):
            check_output(beside(output, end), inputs=[])
    private, public = ms.make_keys(output, purpose)
    Terminal().write(f"{private}: the private key, for {purpose.value}; {public}: the public one")


def encrypt(
    fingerprint: options.FingerprintFile,
    *,
    output: options.Output,
    encrypt_to: options.EncryptTo = None,
    passphrase_file: options.LockPassphraseFile = None,
) -> None:
    """Encrypt a fingerprint; the plain file stays, and is yours to remove."""
    from modelseal.cli.destinations import check_output

    inputs = [each for each in (fingerprint, encrypt_to, passphrase_file) if each]
    check_output(output, inputs=inputs)
    ms.encrypt(fingerprint, output, encrypt_to=encrypt_to, passphrase=passphrase_file)


def decrypt(
    fingerprint: options.FingerprintFile,
    *,
    output: options.Output,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Write the plain copy of an encrypted fingerprint."""
    from modelseal.cli.destinations import check_output, read_fingerprint

    inputs = [each for each in (fingerprint, key, passphrase_file) if each]
    check_output(output, inputs=inputs)
    read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file).save(output)


def sign(  # noqa: PLR0913 (a verb)
    fingerprint: options.FingerprintFile,
    *,
    key: options.SigningKey = None,
    sigstore: options.SigstoreSigner = None,
    identity_token_file: options.TokenFile = None,
    model_files: options.ModelFiles = None,
    opening_key: options.OpeningKey = None,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Sign a fingerprint; the signature is written beside it.

    It is out.seal.sig by a key, and out.seal.sigstore.json by Sigstore.
    """
    from modelseal.cli.console import Terminal
    from modelseal.cli.destinations import check_output

    if (key is None) == (sigstore is None):
        raise ms.InvalidArgumentError(
            f"expected one of --key and --sigstore, got {'both' if key else 'none'}"
        )
    if identity_token_file and key:
        raise ms.InvalidArgumentError("expected --sigstore with --identity-token-file, got --key")
    files = model_files or []
    opening = [each for each in (opening_key, passphrase_file, identity_token_file) if each]
    output, *signing = ms.signature_files(fingerprint, sigstore or key)
    check_output(output, inputs=[fingerprint, *signing, *opening, *files])
    made = ms.sign(
        fingerprint,
        key=key,
        sigstore=sigstore,
        identity_token=identity_token_file,
        model_files=files,
        opening_key=opening_key,
        passphrase=passphrase_file,
    )
    Terminal().write(f"{made.file}: signed by {made.signer}")
