"""The form of an encrypted fingerprint: what is readable without a key.

The format is described in `docs/reference/file-format.md`.

A line with the name and version of the format, a line of canonical JSON that says how the content
is locked, then the content under an AEAD cipher. Both lines are authenticated together with the
content. All limits are checked here, before anything is computed of what a file asks for.
"""

import json
import os
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.files import too_large
from modelseal.settings import Section, parse_json

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


class ByPassphrase(Section):
    """The key is made of a passphrase by scrypt with n = 2^`cost`, r = 8 and p = 1."""

    how: Literal["scrypt"]
    cost: Annotated[int, Field(ge=COSTS.start, lt=COSTS.stop)]
    salt: Salt


class ByPublicKey(Section):
    """The key is made of an X25519 agreement with a fresh key by HKDF-SHA256."""

    how: Literal["x25519"]
    ephemeral: Key


class Header(Section):
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
    header = parse_json(Header, line, name=name)
    preamble = preamble_of(header)
    if not data.startswith(preamble):
        raise BadFileError(name, "a canonical header was wanted, but this one is written otherwise")
    return Envelope(header=header, preamble=preamble, content=data[len(preamble) :])


try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
except ModuleNotFoundError as error:
    raise MissingExtraError("An encrypted fingerprint", "crypto") from error

COST = 17
"""The power of two of scrypt's n: every guess takes 128 MiB of memory."""

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
MAX_PASSPHRASE = 1024
INFO = b"modelseal-encrypted 1.0 x25519"
"""Keeps keys that are agreed on here apart from those of any other protocol."""

LOCKED = "cannot be opened: the key is wrong or the file was changed"
"""One sentence for both: which of them it is would help only whoever tries keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passphrase:
    """A passphrase, which never shows in a text.

    Args:
        secret: Its bytes, 1 to 1,024.

    Raises:
        InvalidArgumentError: It is empty or too long.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.secret) <= MAX_PASSPHRASE:
            raise InvalidArgumentError(
                f"a passphrase of 1 to {MAX_PASSPHRASE} bytes was wanted, "
                f"but one of {len(self.secret)} came"
            )


Lock: TypeAlias = Passphrase | X25519PublicKey
"""What a fingerprint is encrypted to."""

Opener: TypeAlias = Passphrase | X25519PrivateKey
"""What opens it."""


def encrypt(content: bytes, lock: Lock, *, cost: int = COST) -> bytes:
    """Locks the content of a fingerprint file; no two results are the same.

    Args:
        content: What `codec.encode` gave.
        lock: A passphrase, or the public key of whoever shall read it.
        cost: For a passphrase, the power of two of scrypt's n, from 14 to 18.

    Raises:
        InvalidArgumentError: The content is too large, or the cost out of its range.
    """
    if len(content) > MAX_CONTENT:
        raise InvalidArgumentError(
            f"at most {MAX_CONTENT} bytes can be encrypted, but {len(content)} came"
        )
    nonce = os.urandom(NONCE_BYTES)
    form: ByPassphrase | ByPublicKey
    if isinstance(lock, Passphrase):
        if cost not in COSTS:
            raise InvalidArgumentError(
                f"a cost from {COSTS.start} to {COSTS.stop - 1} was wanted, but {cost} came"
            )
        form = ByPassphrase(how="scrypt", cost=cost, salt=os.urandom(SALT_BYTES).hex())
        key = stretch(lock, form)
    else:
        fresh = X25519PrivateKey.generate()
        form = ByPublicKey(how="x25519", ephemeral=fresh.public_key().public_bytes_raw().hex())
        key = derive(fresh.exchange(lock), form, recipient=lock)
    preamble = preamble_of(Header(cipher=CIPHER, lock=form, nonce=nonce.hex()))
    return preamble + ChaCha20Poly1305(key).encrypt(nonce, content, preamble)


def decrypt(data: bytes, opener: Opener | None, *, name: str) -> bytes:
    """Unlocks what `encrypt` gave.

    Args:
        data: The whole content of a file.
        opener: The passphrase or the private key; None if there is none.
        name: What the file is called in errors.

    Raises:
        BadFileError: It is no encrypted fingerprint, of another version or too large; it takes
            the other kind of opener; or it cannot be opened, of which the reason is not told.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data), most=MAX_BYTES, name=name)
    envelope = split(data, name=name)
    nonce = bytes.fromhex(envelope.header.nonce)
    key = key_for(envelope.header, opener, name=name)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, envelope.content, envelope.preamble)
    except InvalidTag as error:
        raise BadFileError(name, LOCKED) from error


def key_for(header: Header, opener: Opener | None, *, name: str) -> bytes:
    """The key that a header and an opener lead to.

    Raises:
        BadFileError: It is locked by something else than this kind of opener.
    """
    match header.lock, opener:
        case ByPassphrase() as form, Passphrase() as passphrase:
            try:
                return stretch(passphrase, form)
            except MemoryError as error:
                need = 2 ** (form.cost - 10)
                raise BadFileError(
                    name, f"cannot be opened: this takes {need} MiB of memory, which is not there"
                ) from error
        case ByPublicKey() as form, X25519PrivateKey() as private:
            return agree(private, form, name=name)
        case ByPassphrase(), _:
            raise BadFileError(name, "is encrypted: its passphrase was wanted, but none came")
    raise BadFileError(name, "is encrypted: its private key was wanted, but none came")


def stretch(passphrase: Passphrase, form: ByPassphrase) -> bytes:
    """The key that scrypt makes of a passphrase."""
    salt = bytes.fromhex(form.salt)
    return Scrypt(salt=salt, length=KEY_BYTES, n=2**form.cost, r=8, p=1).derive(passphrase.secret)


def agree(private: X25519PrivateKey, form: ByPublicKey, *, name: str) -> bytes:
    """The key that a private key and the fresh public one agree on.

    Raises:
        BadFileError: The public one is of those that give everybody the same secret.
    """
    fresh = X25519PublicKey.from_public_bytes(bytes.fromhex(form.ephemeral))
    try:
        shared = private.exchange(fresh)
    except ValueError as error:
        raise BadFileError(name, LOCKED) from error
    return derive(shared, form, recipient=private.public_key())


def derive(shared: bytes, form: ByPublicKey, *, recipient: X25519PublicKey) -> bytes:
    """The key of a shared secret, bound to both public keys as RFC 7748 advises."""
    salt = bytes.fromhex(form.ephemeral) + recipient.public_bytes_raw()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=INFO).derive(shared)
