"""The form of an encrypted fingerprint: what is readable without a key.

The format is described in `docs/reference/file-format.md`.

A line with the name and version of the format, a line of canonical JSON that says how the content
is locked, then the content under an AEAD cipher. Both lines are authenticated together with the
content. All limits are checked here, before anything is computed of what a file asks for.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError
from modelseal.fingerprint.parsing import Strict, parse

NAME = b"modelseal-encrypted "
"""What an encrypted fingerprint begins with, before the version."""

VERSION = "1.0"
"""The only version that there is."""

CIPHER: Literal["chacha20-poly1305"] = "chacha20-poly1305"
"""The only cipher that there is."""

MAX_LINE = 1024
"""The longest header line, in bytes: those that are written have a third of it."""

MAX_CONTENT = 2**31 - 2**13
"""The largest content, in bytes: a header and a tag beside it stay within what the cipher takes."""

MAX_BYTES = 2**31 - 2**12
"""The largest file that is read."""

COSTS = range(14, 19)
"""The powers of two that scrypt's n may have: below, guessing is cheap; 2^18 takes 256 MiB."""

Salt = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]


class ByPassphrase(Strict):
    """The key is made of a passphrase by scrypt with n = 2^`cost`, r = 8 and p = 1."""

    how: Literal["scrypt"]
    cost: Annotated[int, Field(ge=COSTS.start, lt=COSTS.stop)]
    salt: Salt


class ByPublicKey(Strict):
    """The key is made of an X25519 agreement with a fresh key by HKDF-SHA256."""

    how: Literal["x25519"]
    ephemeral: Key


class Header(Strict):
    """How the content is locked."""

    cipher: Literal["chacha20-poly1305"]
    lock: Annotated[ByPassphrase | ByPublicKey, Field(discriminator="how")]
    nonce: Nonce


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """The parts of an encrypted fingerprint.

    Args:
        header: How the content is locked.
        preamble: The two lines as they stand in the file, with the ends of lines.
        content: The locked content with its tag.
    """

    header: Header
    preamble: bytes
    content: bytes


def is_encrypted(data: bytes) -> bool:
    """Whether bytes claim to be an encrypted fingerprint, of whatever version."""
    return data.startswith(NAME)


def preamble_of(header: Header) -> bytes:
    """The two lines before the content."""
    text = json.dumps(header.model_dump(), sort_keys=True, separators=(",", ":"))
    return NAME + VERSION.encode() + b"\n" + text.encode() + b"\n"


def split(data: bytes, *, name: str) -> Envelope:
    """Takes an encrypted fingerprint apart.

    Args:
        data: The whole content of a file.
        name: What the file is called in errors.

    Raises:
        BadFileError: It is none, of another version, or outside of the limits.
    """
    if not is_encrypted(data):
        raise BadFileError(name, "an encrypted fingerprint was wanted, but this is something else")
    first, _, rest = data[: len(NAME) + 2 * MAX_LINE].partition(b"\n")
    version = first.removeprefix(NAME).decode("ascii", "replace")
    if version != VERSION:
        raise BadFileError(
            name,
            f"version {VERSION} of encrypted fingerprints was wanted, but {version[:16]!r} came",
        )
    line, end, _ = rest.partition(b"\n")
    if not end or len(line) > MAX_LINE:
        raise BadFileError(name, f"a header of at most {MAX_LINE} bytes was wanted, but none came")
    header = parse(Header, line, name=name)
    preamble = preamble_of(header)
    if not data.startswith(preamble):
        raise BadFileError(name, "a canonical header was wanted, but this one is written otherwise")
    return Envelope(header=header, preamble=preamble, content=data[len(preamble) :])
