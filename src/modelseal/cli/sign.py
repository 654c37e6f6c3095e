"""`modelseal sign`: signs a fingerprint; and what `verify` requires of signatures."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.options import FingerprintFile
from modelseal.cli.secret_options import ModelFiles, OpeningKey, PassphraseFile, SigningKey

if TYPE_CHECKING:
    from modelseal.fingerprint.record import Fingerprint

SUFFIX = ".sig"
"""What is added to the fingerprint's name for its signature."""


def sign(
    fingerprint: FingerprintFile,
    *,
    key: SigningKey,
    model_files: ModelFiles = None,
    opening_key: OpeningKey = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign a fingerprint: the signature is written beside it, as out.seal.sig."""
    from modelseal.cli.emitting import check_output
    from modelseal.cli.fingerprints import key_passphrase, read_fingerprint
    from modelseal.cli.moment import now
    from modelseal.cli.paper import Paper
    from modelseal.fingerprint import signature
    from modelseal.fingerprint.keys import key_id, read_signing_key
    from modelseal.writing import write_atomically

    files = model_files or []
    output = fingerprint.with_name(fingerprint.name + SUFFIX)
    check_output(output, inputs=[fingerprint, key, *files])
    private = read_signing_key(key, passphrase=key_passphrase())
    sealed = read_fingerprint(fingerprint, key=opening_key, passphrase_file=passphrase_file)
    model = signature.list_model_files(files) if files else None
    write_atomically(output, signature.sign(sealed, private, time=now(), model=model))
    Paper().write(f"{output}: signed by {key_id(private.public_key())}")


def read_signed(
    file: Path, *, key: Path | None, passphrase_file: Path | None, signer: Path | None
) -> "Fingerprint":
    """Reads a fingerprint, which somebody must have signed if that is asked for.

    Args:
        file: The file, plain or encrypted.
        key: The private key that opens it, if it is encrypted.
        passphrase_file: The file of the passphrase that opens it, if it is encrypted.
        signer: The file of the public key that must have signed it; None for none.

    Raises:
        BadFileError: It cannot be read, or the signature is missing, foreign or wrong.
        MissingExtraError: The extra is needed and not installed.
    """
    from modelseal.cli.fingerprints import read_fingerprint

    found = read_fingerprint(file, key=key, passphrase_file=passphrase_file)
    if signer is not None:
        require_signature(found, file, signer)
    return found


def require_signature(fingerprint: "Fingerprint", file: Path, public: Path) -> None:
    """Makes sure that a key has signed a fingerprint.

    Args:
        fingerprint: What was read from the file.
        file: The file, plain or encrypted; its signature is beside it.
        public: The file of the public key.

    Raises:
        BadFileError: The signature is missing, foreign or wrong, or the key is none.
        MissingExtraError: The extra is not installed.
    """
    from modelseal.errors import BadFileError
    from modelseal.fingerprint import signature
    from modelseal.fingerprint.keys import read_signer
    from modelseal.fingerprint.reading import read_bytes

    key = read_signer(public)
    path = file.with_name(file.name + SUFFIX)
    if not path.exists():
        raise BadFileError(file, f"a signature was wanted, but there is no {path}")
    text = read_bytes(path, most=signature.MAX_BYTES)
    signature.check(text, fingerprint, key, name=str(path))
