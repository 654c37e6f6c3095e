"""`modelseal sign`, and fingerprints that must be signed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.options import (
    FingerprintFile,
    ModelFiles,
    OpeningKey,
    PassphraseFile,
    SigningKey,
    SigstoreSigner,
    TokenFile,
)
from modelseal.errors import InvalidArgumentError

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint


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
    from modelseal.fingerprint import signatures

    if (key is None) == (sigstore is None):
        raise InvalidArgumentError(
            f"expected one of --key and --sigstore, got {'both' if key else 'none'}"
        )
    if identity_token_file and key:
        raise InvalidArgumentError("expected --sigstore with --identity-token-file, got --key")
    files = model_files or []
    output = signatures.signature_file(fingerprint, by_identity=key is None)
    opening = [each for each in (opening_key, passphrase_file, identity_token_file) if each]
    signing = signatures.identity_files(sigstore) if sigstore else [key] if key else []
    check_output(output, inputs=[fingerprint, *signing, *opening, *files])
    made = signatures.sign(
        fingerprint,
        key=key,
        sigstore=sigstore,
        identity_token=identity_token_file,
        model_files=files,
        opening_key=opening_key,
        passphrase=passphrase_file,
    )
    Paper().write(f"{made.file}: signed by {made.signer}")


def signature_files(fingerprint: Path, signer: Path | None) -> list[Path]:
    """What is read where a signer is required: the signature, and what the signer's file names."""
    if signer is None:
        return []
    from modelseal.fingerprint.signatures import names_identity, signature_file, signer_files

    found = signature_file(fingerprint, by_identity=names_identity(signer))
    return [found, *signer_files(signer)]


def read_signed(
    file: Path, *, key: Path | None, passphrase_file: Path | None, signer: Path | None
) -> "Fingerprint":
    """Reads a fingerprint, which somebody must have signed if that is asked for."""
    from modelseal.cli.fingerprint_files import read_fingerprint

    found = read_fingerprint(file, key=key, passphrase_file=passphrase_file)
    if signer is None:
        return found
    from modelseal.fingerprint.signatures import require

    return replace(found, signer=require(found, file, signer))
