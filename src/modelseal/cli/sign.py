"""`modelseal sign`: signs a fingerprint; and what `verify` requires of signatures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from modelseal.cli.options import FingerprintFile
from modelseal.cli.secret_options import (
    ModelFiles,
    OpeningKey,
    PassphraseFile,
    SigningKey,
    SigstoreSigner,
    TokenFile,
)
from modelseal.writing import beside

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint

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
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import read_fingerprint
    from modelseal.cli.paper import Paper
    from modelseal.errors import InvalidArgumentError
    from modelseal.writing import write_atomically

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
    from modelseal.fingerprint import keyless

    if file is None or not names_identity(file):
        raise BadFileError(file, f"a file of a signer that ends with {SIGNER_SUFFIX} was wanted")
    return list(keyless.signer_files(file))


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
    from modelseal.cli.fingerprints import key_passphrase
    from modelseal.cli.moment import now
    from modelseal.fingerprint import signature
    from modelseal.fingerprint.keys import key_id, read_signing_key
    from modelseal.fingerprint.statement import list_model_files

    private = read_signing_key(key, passphrase=key_passphrase())
    model = list_model_files(files) if files else None
    text = signature.sign(sealed, private, time=now(), model=model)
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
    from modelseal.cli.identity_token import find_token
    from modelseal.fingerprint import keyless
    from modelseal.fingerprint.statement import list_model_files

    signer = ask_sigstore(partial(keyless.read_signer, signer_file))
    token = find_token(signer, token_file)
    model = list_model_files(files) if files else None
    text = ask_sigstore(
        lambda: keyless.sign(sealed, signer, token=token, name=str(signer_file), model=model)
    )
    return text, signer.identity


def ask_sigstore(act: Callable[[], Result]) -> Result:
    """What a call gives that may ask Sigstore, whose client waits for an answer for ever.

    Raises:
        EndpointError: No answer came in time.
    """
    from modelseal.endpoints.deadline import within
    from modelseal.errors import PassingError

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
    from modelseal.cli.fingerprints import read_fingerprint

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
    from modelseal.fingerprint.reading import read_bytes

    by_identity = names_identity(signer)
    path = signature_file(file, by_identity=by_identity)
    missing = "a signature was wanted, but there is none"
    if by_identity:
        from modelseal.fingerprint import keyless

        text = read_bytes(path, most=keyless.MAX_BYTES, missing=missing)
        trusted = ask_sigstore(partial(keyless.read_signer, signer))
        keyless.check(text, fingerprint, trusted, name=str(path))
        return f"{trusted.identity} of {trusted.issuer}"
    from modelseal.fingerprint import signature
    from modelseal.fingerprint.keys import read_signer

    text = read_bytes(path, most=signature.MAX_BYTES, missing=missing)
    return signature.check(text, fingerprint, read_signer(signer), name=str(path)).key
