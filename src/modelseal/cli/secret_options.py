"""The options of the verbs that keep fingerprints secret, sign them, spend and reveal samples."""

from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class KeyPurpose(Enum):
    """What a pair of keys is for; the same as `modelseal.fingerprint.keys.Purpose`."""

    ENCRYPTION = "encryption"
    SIGNING = "signing"


KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="PRIVATE.PEM",
        help="Opens an encrypted file; by default the one that MODELSEAL_KEY_FILE names.",
        show_default=False,
    ),
]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds the passphrase of an encrypted file; by default MODELSEAL_PASSPHRASE does.",
        show_default=False,
    ),
]
EncryptTo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--encrypt-to",
        metavar="PUBLIC.PEM",
        help="Encrypt what is written to this X25519 key.",
        show_default=False,
    ),
]
LockPassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Encrypt what is written by the passphrase in this file.",
        show_default=False,
    ),
]
BothPassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds a passphrase: an encrypted file is opened by it, and what is written is "
        "encrypted by it unless --encrypt-to says otherwise.",
        show_default=False,
    ),
]
RequiredSignature: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--require-signature",
        metavar="PUBLIC.PEM|SIGNER.TOML",
        help="Ask nothing unless this Ed25519 key, or whom this file names, has signed the "
        "fingerprint.",
        show_default=False,
    ),
]
PerCheck: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--per-check",
        min=1,
        metavar="N",
        help="How many samples a check asks, the least spent ones; by default as the ledger "
        "says, or all.",
        show_default=False,
    ),
]
MaxUses: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-uses",
        min=1,
        metavar="N",
        help="Ask nothing if too few samples are left that were asked less often than this.",
        show_default=False,
    ),
]
SigningKey: TypeAlias = Annotated[
    Path | None,
    typer.Option("--key", metavar="PRIVATE.PEM", help="The Ed25519 key.", show_default=False),
]
SigstoreSigner: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--sigstore",
        metavar="SIGNER.TOML",
        help="Sign by Sigstore instead of a key, as whom this file names.",
        show_default=False,
    ),
]
TokenFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--identity-token-file",
        metavar="FILE",
        help="Holds the OIDC token of whoever signs by Sigstore; by default "
        "SIGSTORE_IDENTITY_TOKEN does, the CI gives one, or a browser asks for it.",
        show_default=False,
    ),
]
OpeningKey: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--opening-key",
        metavar="PRIVATE.PEM",
        help="Opens an encrypted file; by default the one that MODELSEAL_KEY_FILE names.",
        show_default=False,
    ),
]
ModelFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--model-files",
        metavar="FILE",
        help="A file of the model, whose SHA-256 is signed too; may come several times.",
        show_default=False,
    ),
]
Pair: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="NAME",
        help="NAME.pem is the private key, NAME.pub.pem the public one.",
        show_default=False,
    ),
]
PurposeOption: TypeAlias = Annotated[
    KeyPurpose, typer.Option("--for", help="What the keys are for.")
]
RecordedFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="RECORD.JSONL", help="The recorded answers.", show_default=False),
]
AskedEndpoint: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="TEXT",
        help="What was asked; by default what the record says.",
        show_default=False,
    ),
]
BundleFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="What `reveal` wrote.", show_default=False)
]
CommitmentFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--commitment",
        metavar="FILE",
        help="The commitment, from where it was made public.",
        show_default=False,
    ),
]
