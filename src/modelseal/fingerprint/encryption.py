"""Encrypted fingerprints, and the keys and passphrases of those who encrypt or sign.

The format is described in `docs/reference/file-format.md`: a line with the name and version, a
line of canonical JSON that says how the content is locked, then the content under an AEAD cipher.
Both lines are authenticated together with the content. All limits are checked before anything is
computed of what a file asks for. Needs the extra `crypto`.
"""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from modelseal.enums import KeyPurpose
from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.files import beside, read_bytes, too_large, write_new
from modelseal.fingerprint.file_format import (
    ENCRYPTED,
    canonical,
    is_encrypted,
    is_encrypted_file,
    load,
)
from modelseal.settings import Section, parse_json

try:
    from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
        load_pem_public_key,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("Encrypting or signing a fingerprint", "crypto") from error

# The environment variable that names the private key which opens encrypted fingerprints.
KEY_FILE = "MODELSEAL_KEY_FILE"

# The environment variable that holds the passphrase of encrypted fingerprints.
PASSPHRASE = "MODELSEAL_PASSPHRASE"  # noqa: S105 (the name of a variable, not a passphrase)

# The environment variable that holds the passphrase of private keys.
KEY_PASSPHRASE = "MODELSEAL_KEY_PASSPHRASE"  # noqa: S105 (the name of a variable, too)

# The largest content, in bytes: a header and a tag beside it stay within what the cipher takes.
MAX_CONTENT = 2**31 - 2**13

MAX_BYTES = 2**31 - 2**12  # the largest file that is read
MAX_LINE = 1024  # the longest header line, in bytes: those that are written have a third of it
COST = 17  # the power of two of scrypt's n: every guess takes 128 MiB of memory

# One sentence for both: which of them it is would help only whoever tries keys.
LOCKED = "cannot be opened: the key is wrong or the file was changed"

_VERSION = "1.0"
_COSTS = range(14, 19)  # below, guessing is cheap; 2^18 takes 256 MiB
_MAX_PASSPHRASE = 1024
_MAX_KEY_BYTES = 2**16
# Keeps keys that are agreed on here apart from those of any other protocol.
_INFO = b"modelseal-encrypted 1.0 x25519"


class _ByPassphrase(Section):
    """The key is made of a passphrase by scrypt with n = 2^`cost`, r = 8 and p = 1."""

    how: Literal["scrypt"]
    cost: Annotated[int, Field(ge=_COSTS.start, lt=_COSTS.stop)]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _ByPublicKey(Section):
    """The key is made of an X25519 agreement with a fresh key by HKDF-SHA256."""

    how: Literal["x25519"]
    ephemeral: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Lock(Section):
    """How the content is locked."""

    cipher: Literal["chacha20-poly1305"] = "chacha20-poly1305"
    lock: Annotated[_ByPassphrase | _ByPublicKey, Field(discriminator="how")]
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]

    @property
    def preamble(self) -> bytes:
        """The two lines before the content."""
        return ENCRYPTED + f"{_VERSION}\n{canonical(self.model_dump())}\n".encode()


def encrypt(
    path: Path | str,
    output: Path | str,
    *,
    encrypt_to: Path | str | X25519PublicKey | None = None,
    passphrase: str | bytes | Path | None = None,
) -> None:
    """Writes an encrypted copy of a plain fingerprint.

    Args:
        path: The file of the fingerprint.
        output: The file to be written.
        encrypt_to: The public X25519 key of whoever shall read it, or its PEM file.
        passphrase: The passphrase, or a Path of a file that holds it; if there is no key either,
            that of the environment variable `MODELSEAL_PASSPHRASE`.

    Raises:
        BadFileError: The file is no plain fingerprint, the key or the passphrase cannot be read,
            or the output cannot be written.
        InvalidArgumentError: There is neither a key nor a passphrase.
    """
    lock = None if encrypt_to is None else read_recipient(encrypt_to)
    secret = _find_passphrase(passphrase) if lock is None else None
    if is_encrypted_file(Path(path)):
        raise BadFileError(path, "expected a plain fingerprint, got an encrypted one")
    if lock is None and secret is None:
        raise InvalidArgumentError(f"expected a public key, a passphrase or {PASSPHRASE}, got none")
    load(path).save(output, encrypt_to=lock, passphrase=secret)


def decrypt(
    path: Path | str,
    output: Path | str,
    *,
    key: Path | str | X25519PrivateKey | None = None,
    passphrase: str | bytes | Path | None = None,
) -> None:
    """Writes the plain copy of an encrypted fingerprint; `key` and `passphrase` as in `load`."""
    load(path, key=key, passphrase=passphrase).save(output)


def encrypt_bytes(
    content: bytes,
    *,
    encrypt_to: Path | str | X25519PublicKey | None = None,
    passphrase: str | bytes | Path | None = None,
) -> bytes:
    """Locks the content of a fingerprint file by a key or else a passphrase; never twice alike."""
    if len(content) > MAX_CONTENT:
        raise InvalidArgumentError(f"expected at most {MAX_CONTENT} bytes, got {len(content)}")
    form: _ByPassphrase | _ByPublicKey
    if encrypt_to is not None:
        recipient, fresh = read_recipient(encrypt_to), X25519PrivateKey.generate()
        form = _ByPublicKey(how="x25519", ephemeral=fresh.public_key().public_bytes_raw().hex())
        key = _derive(fresh.exchange(recipient), form, recipient)
    else:
        form = _ByPassphrase(how="scrypt", cost=COST, salt=os.urandom(16).hex())
        key = _stretch(_read_passphrase(passphrase or b""), form)
    nonce = os.urandom(12)
    preamble = Lock(lock=form, nonce=nonce.hex()).preamble
    return preamble + ChaCha20Poly1305(key).encrypt(nonce, content, preamble)


def decrypt_bytes(
    data: bytes,
    *,
    name: str,
    key: Path | str | X25519PrivateKey | None = None,
    passphrase: str | bytes | Path | None = None,
) -> bytes:
    """Unlocks what `encrypt_bytes` gave; `name` is what the file is called in errors."""
    if len(data) > MAX_BYTES:
        raise too_large(len(data), most=MAX_BYTES, name=name)
    lock = _read_lock(data, name=name)
    if isinstance(lock.lock, _ByPassphrase):
        opened = _open_by_passphrase(lock.lock, _find_passphrase(passphrase), name=name)
    else:
        opened = _open_by_key(lock.lock, find_opening_key(key), name=name)
    content, nonce = data[len(lock.preamble) :], bytes.fromhex(lock.nonce)
    try:
        return ChaCha20Poly1305(opened).decrypt(nonce, content, lock.preamble)
    except InvalidTag as error:
        raise BadFileError(name, LOCKED) from error


def _read_lock(data: bytes, *, name: str) -> Lock:
    if not is_encrypted(data):
        raise BadFileError(name, "expected an encrypted fingerprint, got something else")
    first, _, rest = data[: len(ENCRYPTED) + 2 * MAX_LINE].partition(b"\n")
    version = first.removeprefix(ENCRYPTED).decode("ascii", "replace")
    if version != _VERSION:
        raise BadFileError(name, f"expected version {_VERSION}, got {version[:16]!r}")
    line, end, _ = rest.partition(b"\n")
    if not end or len(line) > MAX_LINE:
        raise BadFileError(name, f"expected a header of at most {MAX_LINE} bytes, got none")
    lock = parse_json(Lock, line, name=name)
    if not data.startswith(lock.preamble):
        raise BadFileError(name, "expected a canonical header, got one that is written otherwise")
    return lock


def _open_by_passphrase(form: _ByPassphrase, secret: bytes | None, *, name: str) -> bytes:
    if secret is None:
        raise BadFileError(name, "is encrypted: expected its passphrase, got none")
    try:
        return _stretch(secret, form)
    except MemoryError as error:
        need = 2 ** (form.cost - 10)
        raise BadFileError(name, f"cannot be opened: expected {need} MiB of free memory") from error


def _open_by_key(form: _ByPublicKey, private: X25519PrivateKey | None, *, name: str) -> bytes:
    if private is None:
        raise BadFileError(name, "is encrypted: expected its private key, got none")
    fresh = X25519PublicKey.from_public_bytes(bytes.fromhex(form.ephemeral))
    try:
        shared = private.exchange(fresh)
    except ValueError as error:  # one of the keys that give everybody the same secret
        raise BadFileError(name, LOCKED) from error
    return _derive(shared, form, private.public_key())


def _stretch(secret: bytes, form: _ByPassphrase) -> bytes:
    salt = bytes.fromhex(form.salt)
    return Scrypt(salt=salt, length=32, n=2**form.cost, r=8, p=1).derive(secret)


def _derive(shared: bytes, form: _ByPublicKey, recipient: X25519PublicKey) -> bytes:
    """The key of a shared secret, bound to both public keys as RFC 7748 advises."""
    salt = bytes.fromhex(form.ephemeral) + recipient.public_bytes_raw()
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=_INFO).derive(shared)


def make_keys(
    path: Path | str,
    purpose: KeyPurpose | str = KeyPurpose.ENCRYPTION,
    *,
    passphrase: str | bytes | Path | None = None,
) -> tuple[Path, Path]:
    """Makes a fresh pair of keys, as PEM files (PKCS#8 and SubjectPublicKeyInfo).

    Args:
        path: What the files are called, without their ending.
        purpose: `encryption` for X25519, `signing` for Ed25519.
        passphrase: Encrypts the private one; by default that of the environment variable
            `MODELSEAL_KEY_PASSPHRASE`, if there is one.

    Returns:
        The file of the private key, for its owner alone, and that of the public one.

    Raises:
        BadFileError: One of the files is there already, or cannot be written.
    """
    private, public = (beside(Path(path), end) for end in (".pem", ".pub.pem"))
    if Path(path).name in ("", ".."):
        raise BadFileError(path, "expected a name for a pair of keys, got none")
    for file in (private, public):
        if file.exists():
            raise BadFileError(file, "expected a new file for a key, got one that is there")
    encryption = KeyPurpose(purpose) is KeyPurpose.ENCRYPTION
    fresh = X25519PrivateKey.generate() if encryption else Ed25519PrivateKey.generate()
    secret = _key_passphrase() if passphrase is None else _read_passphrase(passphrase)
    locked = BestAvailableEncryption(secret) if secret else NoEncryption()
    write_new(private, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    shown = fresh.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_new(public, shown)
    public.chmod(0o644)
    return private, public


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """A private key that signs; its own passphrase comes from the environment."""
    key = _read_private(path, wanted="a private Ed25519 key")
    if not isinstance(key, Ed25519PrivateKey):
        raise BadFileError(path, "expected a private Ed25519 key, got another one")
    return key


def read_signer_key(path: Path) -> Ed25519PublicKey:
    """A public key that signatures are checked by."""
    key = _read_public(path, wanted="a public Ed25519 key")
    if not isinstance(key, Ed25519PublicKey):
        raise BadFileError(path, "expected a public Ed25519 key, got another one")
    return key


def read_recipient(key: Path | str | X25519PublicKey) -> X25519PublicKey:
    """A public key that fingerprints are encrypted to, of a file if it is none itself."""
    if not isinstance(key, Path | str):
        return key
    found = _read_public(Path(key), wanted="a public X25519 key")
    if not isinstance(found, X25519PublicKey):
        raise BadFileError(key, "expected a public X25519 key, got another one")
    return found


def find_opening_key(key: Path | str | X25519PrivateKey | None) -> X25519PrivateKey | None:
    """A private key that opens fingerprints, or that of the environment; None if there is none."""
    named = key or os.environ.get(KEY_FILE) or None
    if not isinstance(named, Path | str):
        return named
    found = _read_private(Path(named), wanted="a private X25519 key")
    if not isinstance(found, X25519PrivateKey):
        raise BadFileError(named, "expected a private X25519 key, got another one")
    return found


def _read_private(path: Path, *, wanted: str) -> object:
    data = read_bytes(path, most=_MAX_KEY_BYTES)
    secret = _key_passphrase() if b"ENCRYPTED" in data else None
    if b"ENCRYPTED" in data and not secret:
        raise BadFileError(path, f"is encrypted: expected its passphrase in {KEY_PASSPHRASE}")
    try:
        return load_pem_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = ", or its passphrase is another one" if secret else ""
        raise BadFileError(path, f"expected {wanted}, got none{hint}") from error


def _read_public(path: Path, *, wanted: str) -> object:
    try:
        return load_pem_public_key(read_bytes(path, most=_MAX_KEY_BYTES))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadFileError(path, f"expected {wanted}, got none") from error


def key_id(key: X25519PublicKey | Ed25519PublicKey) -> str:
    """What a public key is called: SHA-256 of its DER form, as OpenSSL writes it."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def check_recipient(
    *, encrypt_to: Path | str | X25519PublicKey | None, passphrase: str | bytes | Path | None
) -> None:
    """Makes sure, before long work begins, that what a result is encrypted to can be read."""
    if encrypt_to is not None:
        read_recipient(encrypt_to)
    elif passphrase is not None:
        _read_passphrase(passphrase)


def _key_passphrase() -> bytes | None:
    text = os.environ.get(KEY_PASSPHRASE)
    return os.fsencode(text) if text else None


def _find_passphrase(given: str | bytes | Path | None) -> bytes | None:
    """A passphrase as bytes, or that of the environment; None if there is none."""
    found = os.environ.get(PASSPHRASE) or None if given is None else given
    return None if found is None else _read_passphrase(found)


def _read_passphrase(given: str | bytes | Path) -> bytes:
    """A passphrase as bytes; of a file, all of it but the end of its last line."""
    wanted = f"expected a passphrase of 1 to {_MAX_PASSPHRASE} bytes"
    if isinstance(given, Path):
        secret = read_bytes(given, most=_MAX_PASSPHRASE + 2)
        secret = secret.removesuffix(b"\n").removesuffix(b"\r")
        if not 0 < len(secret) <= _MAX_PASSPHRASE:
            raise BadFileError(given, f"{wanted}, got {len(secret)}")
        return secret
    secret = os.fsencode(given)
    if not 0 < len(secret) <= _MAX_PASSPHRASE:
        raise InvalidArgumentError(f"{wanted}, got {len(secret)}", field="passphrase")
    return secret
