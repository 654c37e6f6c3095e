"""Finds the token that says who signs by Sigstore: a secret, which is in no text."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import BadFileError, InvalidArgumentError

if TYPE_CHECKING:
    from modelseal.fingerprint.keyless import Signer

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

    from modelseal.fingerprint.sigstore_faults import told

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
    from modelseal.fingerprint.reading import read_bytes

    # Whoever gives the token itself shall not find it in a log.
    if file.name.startswith("eyJ"):
        raise InvalidArgumentError("a file with an identity token was wanted, but a token came")
    try:
        return read_bytes(file, most=MAX_BYTES).decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise BadFileError(file, "an identity token was wanted, but this is none") from error
