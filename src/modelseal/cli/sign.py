"""`modelseal sign`: signs a fingerprint."""

import modelseal as ms
from modelseal.cli.options import (
    FingerprintFile,
    ModelFiles,
    OpeningKey,
    PassphraseFile,
    SigningKey,
    SigstoreSigner,
    TokenFile,
)


def sign(  # noqa: PLR0913 (a verb)
    fingerprint: FingerprintFile,
    *,
    key: SigningKey = None,
    sigstore: SigstoreSigner = None,
    identity_token_file: TokenFile = None,
    model_files: ModelFiles = None,
    opening_key: OpeningKey = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign a fingerprint; the signature is written beside it.

    It is out.seal.sig by a key, and out.seal.sigstore.json by Sigstore.
    """
    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import check_output

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
    Paper().write(f"{made.file}: signed by {made.signer}")
