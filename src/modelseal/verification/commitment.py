"""A public commitment to the samples of a fingerprint, which tells nothing of them.

It holds a salted hash of each sample. Needs the extra `crypto`.
"""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.files import beside, now, read_bytes, write_atomically, write_new
from modelseal.fingerprint.checks import MAX_CLASSES
from modelseal.fingerprint.file_format import canonical
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.settings import Section, parse_json

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ModuleNotFoundError as error:
    raise MissingExtraError("A commitment", "crypto") from error

MAX_BYTES = 2**26
"""The largest commitment, bundle or file of salts that is read."""

# These keep what is made of one secret, or hashed, apart from all else.
_HIDING = b"modelseal.commitment/1 salt\n"
_SIGNING = b"modelseal.commitment/1 signing key\n"
_LEAF = b"modelseal.commitment/1 sample\n"

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _DomainPart(Section):
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=32)]
    bounds: tuple[float, float]
    levels: int


class Commitment(Section):
    """What is made public."""

    schema_: Annotated[Literal["modelseal.commitment/1"], Field(alias="schema")]
    time: str
    weights_digest: Digest
    domain: _DomainPart
    spec: str
    classes: Annotated[int, Field(ge=1, le=MAX_CLASSES)]
    key: Hex
    samples: Annotated[tuple[Hex, ...], Field(min_length=1)]

    def save(self, path: Path) -> None:
        """Writes it to a file that everybody may read."""
        write_atomically(path, write_part(self))
        path.chmod(0o644)


class Salts(Section):
    """The random numbers that hide a fingerprint's samples: as secret as these.

    Were the salts made of the fingerprint itself, which can be guessed since sealing is
    deterministic, then whoever guessed it could see from the commitment that the guess is right.
    The same random numbers give the key that signs evidence bundles.
    """

    schema_: Annotated[Literal["modelseal.salts/1"], Field(alias="schema")]
    fingerprint: Digest
    time: str
    secret: Annotated[Hex, Field(repr=False)]

    def salt(self, number: int) -> bytes:
        """The salt of one sample; it tells nothing of the others."""
        return self._derive(_HIDING + number.to_bytes(8, "little"))

    @property
    def key(self) -> Ed25519PrivateKey:
        """The key that signs evidence bundles."""
        return Ed25519PrivateKey.from_private_bytes(self._derive(_SIGNING))

    def _derive(self, purpose: bytes) -> bytes:
        message = purpose + self.fingerprint.encode()
        return hmac.digest(bytes.fromhex(self.secret), message, "sha256")


def salts_file(fingerprint: Path) -> Path:
    """Where the salts of a fingerprint's file are."""
    return beside(fingerprint, ".salts")


def commit(fingerprint: Fingerprint, *, salts: Path) -> Commitment:
    """Makes the commitment to a fingerprint, always the same for the same random numbers.

    Args:
        fingerprint: A sealed one that is not enrolled: of an endpoint whose answers vary, no
            single answer is evidence.
        salts: The file of its random numbers, which is made if it is missing. Keep it secret.

    Raises:
        InvalidArgumentError: The fingerprint is enrolled.
        BadFileError: The salts are those of another fingerprint, or cannot be written.
    """
    check_sealed(fingerprint)
    if not salts.exists():
        drawn = draw_salts(fingerprint, time=now())
        write_new(salts, write_part(drawn))
        return make_commitment(fingerprint, drawn)
    return make_commitment(fingerprint, load_salts(salts, fingerprint))


def check_sealed(fingerprint: Fingerprint) -> None:
    """Makes sure that single answers to a fingerprint are evidence."""
    if fingerprint.enrollment is not None:
        raise InvalidArgumentError(
            "expected a fingerprint that was only sealed, got an enrolled one, and no single "
            "answer of an endpoint whose answers vary is evidence",
            field="fingerprint",
        )


def draw_salts(fingerprint: Fingerprint, *, time: str) -> Salts:
    """Draws the random numbers for a fingerprint, at this moment in UTC."""
    return Salts.model_validate(
        {
            "schema": "modelseal.salts/1",
            "fingerprint": fingerprint.digest,
            "time": time,
            "secret": secrets.token_hex(32),
        }
    )


def load_salts(path: Path, fingerprint: Fingerprint) -> Salts:
    """Reads the random numbers of a fingerprint."""
    text = read_bytes(path, most=MAX_BYTES, missing="expected salts, got none: commit first")
    salts = parse_json(Salts, text, name=str(path))
    if salts.fingerprint != fingerprint.digest:
        raise BadFileError(
            path, "expected the salts of this fingerprint, got another's", field="fingerprint"
        )
    return salts


def load_commitment(path: Path) -> Commitment:
    """Reads a commitment."""
    return parse_json(Commitment, read_bytes(path, most=MAX_BYTES), name=str(path))


def make_commitment(fingerprint: Fingerprint, salts: Salts) -> Commitment:
    """The commitment to a fingerprint under some random numbers."""
    domain = fingerprint.domain
    return Commitment.model_validate(
        {
            "schema": "modelseal.commitment/1",
            "time": salts.time,
            "weights_digest": fingerprint.origin.weights_digest,
            "domain": _DomainPart(
                shape=domain.shape,
                bounds=(float(domain.bounds[0]), float(domain.bounds[1])),
                levels=domain.levels,
            ),
            "spec": str(fingerprint.spec),
            "classes": fingerprint.classes,
            "key": salts.key.public_key().public_bytes_raw().hex(),
            "samples": tuple(
                hash_sample(describe_sample(fingerprint, number), salts.salt(number))
                for number in range(len(fingerprint))
            ),
        }
    )


def describe_sample(fingerprint: Fingerprint, number: int) -> dict[str, object]:
    """A sample with its expected answer and margin, as it is hashed and revealed."""
    codes = np.ascontiguousarray(fingerprint.samples[number])
    little = codes.astype(codes.dtype.newbyteorder("<"), copy=False)
    labels, values = fingerprint.expected.labels, fingerprint.expected.values
    return {
        "codes": base64.b64encode(little.tobytes()).decode(),
        "labels": None if labels is None else labels[number].tolist(),
        "values": None if values is None else [float(value) for value in values[number]],
        "margin": float(fingerprint.margins[number]),
    }


def hash_sample(sample: dict[str, object], salt: bytes) -> str:
    """The salted hash of a sample."""
    return hashlib.sha256(_LEAF + salt + canonical(sample).encode()).hexdigest()


def write_part(part: Section) -> bytes:
    """A part as the content of a file, always the same for the same part."""
    return f"{canonical(part.model_dump(mode='json', by_alias=True))}\n".encode()
