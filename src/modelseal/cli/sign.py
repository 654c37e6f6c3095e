"""Finds the token that says who signs by Sigstore: a secret, which is in no text."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from modelseal.cli.options import (
    FingerprintFile,
    ModelFiles,
    OpeningKey,
    PassphraseFile,
    SigningKey,
    SigstoreSigner,
    TokenFile,
)
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import beside

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.fingerprint.sigstore_bundles import Signer


TOKEN = "SIGSTORE_IDENTITY_TOKEN"  # noqa: S105 (the name of a variable, not a token)
"""The environment variable that Sigstore's own client takes a token from, too."""

MAX_BYTES = 2**16
"""The largest token that is read from a file."""


def find_token(signer: "Signer", file: Path | None) -> str:
    """The token in a file, or in the environment, or of the CI, or of who logs in in a browser.

    Args:
        signer: Who signs, and where.
        file: The file; None for none.

    Raises:
        BadFileError: The file cannot be used, or there is no token to be had.
        InvalidArgumentError: There is no token, and nobody to log in.
    """
    from sigstore.oidc import Issuer, detect_credential

    from modelseal.fingerprint.sigstore_bundles import told

    if file is not None:
        return read_token(file)
    if given := os.environ.get(TOKEN):
        return given
    with told("Sigstore", "an identity token was wanted"):
        host = detect_credential()
    if host is not None:
        return host
    if signer.config is None or sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgumentError(
            f"an identity token was wanted: from --identity-token-file, {TOKEN}, a CI that gives "
            "one, or a terminal to log in from"
        )
    with told("Sigstore", "an identity token was wanted"):
        return str(Issuer(signer.config.signing_config.get_oidc_url()).identity_token())


def read_token(file: Path) -> str:
    """The token in a file, without the spaces around it.

    Raises:
        BadFileError: It cannot be read, or is no token.
    """
    from modelseal.files import read_bytes

    # Whoever gives the token itself shall not find it in a log.
    if file.name.startswith("eyJ"):
        raise InvalidArgumentError("a file with an identity token was wanted, but a token came")
    try:
        return read_bytes(file, most=MAX_BYTES).decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise BadFileError(file, "an identity token was wanted, but this is none") from error


Result = TypeVar("Result")

SUFFIX = ".sig"
"""What is added to the fingerprint's name for its signature by a key."""

BUNDLE_SUFFIX = ".sigstore.json"
"""What is added to it for its signature by an identity."""

PATIENCE = 60.0
"""How many seconds Sigstore is waited for."""

SIGNER_SUFFIX = ".toml"
"""What the file of an identity ends with; any other is that of a key."""


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
    from modelseal.cli.fingerprint_files import check_output, read_fingerprint
    from modelseal.errors import InvalidArgumentError
    from modelseal.files import write_atomically

    if (key is None) == (sigstore is None):
        raise InvalidArgumentError(
            f"one of --key and --sigstore was wanted, but {'both' if key else 'none'} came"
        )
    if identity_token_file and key:
        raise InvalidArgumentError("--identity-token-file is for --sigstore, but --key came")
    files = model_files or []
    output = signature_file(fingerprint, by_identity=key is None)
    opening = [each for each in (opening_key, passphrase_file, identity_token_file) if each]
    signing = [key] if key else list_signer_files(sigstore)
    check_output(output, inputs=[fingerprint, *signing, *opening, *files])
    sealed = read_fingerprint(fingerprint, key=opening_key, passphrase_file=passphrase_file)
    if key is not None:
        text, name = sign_by_key(sealed, files, key)
    else:
        text, name = sign_by_identity(sealed, files, signing[0], identity_token_file)
    write_atomically(output, text)
    Paper().write(f"{output}: signed by {name}")


def list_signer_files(file: Path | None) -> list[Path]:
    """The file of an identity, and the one that it names.

    Raises:
        BadFileError: It cannot be used.
        MissingExtraError: The extra is not installed.
    """
    from modelseal.errors import BadFileError
    from modelseal.fingerprint import sigstore_bundles

    if file is None or not names_identity(file):
        raise BadFileError(file, f"a file of a signer that ends with {SIGNER_SUFFIX} was wanted")
    return list(sigstore_bundles.signer_files(file))


def names_identity(file: Path) -> bool:
    """Whether the file of a signer is that of an identity and not that of a key."""
    return file.suffix.lower() == SIGNER_SUFFIX


def sign_by_key(sealed: "Fingerprint", files: list[Path], key: Path) -> tuple[bytes, str]:
    """Signs by a key.

    Args:
        sealed: What is signed.
        files: The files of its model, if they are named.
        key: The file of the private key.

    Returns:
        The signature, and what the key is called.

    Raises:
        BadFileError: It is no such key, or a file cannot be read.
        MissingExtraError: The extra is not installed.
    """
    from modelseal.cli.fingerprint_files import key_passphrase
    from modelseal.files import now
    from modelseal.fingerprint import signatures
    from modelseal.fingerprint.signatures import key_id, list_model_files, read_signing_key

    private = read_signing_key(key, passphrase=key_passphrase())
    model = list_model_files(files) if files else None
    text = signatures.sign(sealed, private, time=now(), model=model)
    return text, key_id(private.public_key())


def sign_by_identity(
    sealed: "Fingerprint", files: list[Path], signer_file: Path, token_file: Path | None
) -> tuple[bytes, str]:
    """Signs by Sigstore.

    Args:
        sealed: What is signed.
        files: The files of its model, if they are named.
        signer_file: Says who signs.
        token_file: The file of the token, if it is in one.

    Returns:
        The bundle, and what the signer is called.

    Raises:
        BadFileError: A file cannot be used, or there is no signature to be had.
        InvalidArgumentError: There is no token, or there are too many files.
        MissingExtraError: The extra is not installed.
    """
    from modelseal.fingerprint import sigstore_bundles
    from modelseal.fingerprint.signatures import list_model_files

    signer = ask_sigstore(partial(sigstore_bundles.read_signer, signer_file))
    token = find_token(signer, token_file)
    model = list_model_files(files) if files else None
    text = ask_sigstore(
        lambda: sigstore_bundles.sign(
            sealed, signer, token=token, name=str(signer_file), model=model
        )
    )
    return text, signer.identity


def ask_sigstore(act: Callable[[], Result]) -> Result:
    """What a call gives that may ask Sigstore, whose client waits for an answer for ever.

    Raises:
        EndpointError: No answer came in time.
    """
    from modelseal.errors import PassingError
    from modelseal.timeouts import within

    try:
        return within(PATIENCE, act)
    except PassingError as error:
        raise error.at("Sigstore") from error


def signature_file(fingerprint: Path, *, by_identity: bool) -> Path:
    """Where the signature of a fingerprint is.

    Args:
        fingerprint: The file, plain or encrypted.
        by_identity: Whether an identity has signed it and not a key.
    """
    return beside(fingerprint, BUNDLE_SUFFIX if by_identity else SUFFIX)


def signature_files(fingerprint: Path, signer: Path | None) -> list[Path]:
    """What is read where a signer is required: the signature, and what the signer's file names."""
    if signer is None:
        return []
    by_identity = names_identity(signer)
    files = list_signer_files(signer) if by_identity else []
    return [signature_file(fingerprint, by_identity=by_identity), *files]


class Signed(NamedTuple):
    """A fingerprint, and what its signer is called, if one was asked for."""

    fingerprint: "Fingerprint"
    signer: str | None


def read_signed(
    file: Path, *, key: Path | None, passphrase_file: Path | None, signer: Path | None
) -> "Signed":
    """Reads a fingerprint, which somebody must have signed if that is asked for.

    Args:
        file: The file, plain or encrypted.
        key: The private key that opens it, if it is encrypted.
        passphrase_file: The file of the passphrase that opens it, if it is encrypted.
        signer: The file of the public key that must have signed it, or that names the identity;
            None for none.

    Raises:
        BadFileError: It cannot be read, or the signature is missing, foreign or wrong.
        MissingExtraError: The extra is needed and not installed.
    """
    from modelseal.cli.fingerprint_files import read_fingerprint

    found = read_fingerprint(file, key=key, passphrase_file=passphrase_file)
    return Signed(found, None if signer is None else require_signature(found, file, signer))


def require_signature(fingerprint: "Fingerprint", file: Path, signer: Path) -> str:
    """Makes sure that somebody has signed a fingerprint.

    Args:
        fingerprint: What was read from the file.
        file: The file, plain or encrypted; its signature is beside it.
        signer: The file of the public key, or the `.toml` that names the identity.

    Returns:
        What the signer is called.

    Raises:
        BadFileError: The signature is missing, foreign or wrong, or the signer's file is.
        MissingExtraError: The extra is not installed.
    """
    from modelseal.files import read_bytes

    by_identity = names_identity(signer)
    path = signature_file(file, by_identity=by_identity)
    missing = "a signature was wanted, but there is none"
    if by_identity:
        from modelseal.fingerprint import sigstore_bundles

        text = read_bytes(path, most=sigstore_bundles.MAX_BYTES, missing=missing)
        trusted = ask_sigstore(partial(sigstore_bundles.read_signer, signer))
        sigstore_bundles.check(text, fingerprint, trusted, name=str(path))
        return f"{trusted.identity} of {trusted.issuer}"
    from modelseal.fingerprint import signatures
    from modelseal.fingerprint.signatures import read_signer

    text = read_bytes(path, most=signatures.MAX_BYTES, missing=missing)
    return signatures.check(text, fingerprint, read_signer(signer), name=str(path)).key
