"""A public commitment to the samples of a fingerprint, which tells nothing of them.

It holds a salted hash of each sample with its expected answer and margin. Whoever has it can check
later that a sample that is shown then was among the sealed ones, and learns nothing of the others.

The salts are made of random numbers in a file of its own, `out.seal.salts`, and not of the
fingerprint itself. Samples can be guessed: sealing is deterministic, and a provider has the network
and may have the natural images; were the salts made of what the file holds, then whoever guessed
the file could see from the commitment that the guess is right. And the more samples are shown, the
less would be left to guess. With random salts a commitment hides even what was guessed, however
many of the other samples are known. Without that file nothing can be revealed.

The same random numbers give an Ed25519 key, whose public half is in the commitment. It signs
evidence bundles, so that nobody else can change one.

Needs the extra `crypto`.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.fingerprint.checks import MAX_CLASSES
from modelseal.fingerprint.codec import NUMBERS, canonical, file_digest, types_of
from modelseal.fingerprint.record import Fingerprint
from modelseal.settings import Section, parse_json

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ModuleNotFoundError as error:
    raise MissingExtraError("A commitment", "crypto") from error

SCHEMA = "modelseal.commitment/1"
SALTS = "modelseal.salts/1"

SUFFIX = ".salts"
"""What is added to the fingerprint's name for the file of the random numbers."""

MAX_BYTES = 2**26
"""The largest commitment, bundle or file of salts that is read."""

HIDING = b"modelseal.commitment/1 salt\n"
SIGNING = b"modelseal.commitment/1 signing key\n"
LEAF = b"modelseal.commitment/1 sample\n"
"""Keep what is made of one secret, or hashed, apart from all else."""

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class DomainPart(Section):
    """What a valid input is."""

    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=32)]
    bounds: tuple[float, float]
    levels: int


class Commitment(Section):
    """What is made public.

    Args:
        time: When its maker's clock says that it was made; whoever receives it knows when it came.
        weights_digest: The digest of the sealed weights.
        domain: What a valid input is.
        spec: What the endpoint shows of its scores.
        classes: How many scores the network has.
        key: The public Ed25519 key of evidence bundles.
        samples: The salted hash of each sample, in the order of the fingerprint.
    """

    schema_: Annotated[Literal["modelseal.commitment/1"], Field(alias="schema")]
    time: str
    weights_digest: Digest
    domain: DomainPart
    spec: str
    classes: Annotated[int, Field(ge=1, le=MAX_CLASSES)]
    key: Hex
    samples: Annotated[tuple[Hex, ...], Field(min_length=1)]


class Salts(Section):
    """The random numbers that hide a fingerprint's samples: as secret as these.

    Args:
        fingerprint: SHA-256 of its canonical plain bytes.
        time: When they were drawn, which is the time of the commitment.
        secret: 32 random bytes.
    """

    schema_: Annotated[Literal["modelseal.salts/1"], Field(alias="schema")]
    fingerprint: Digest
    time: str
    secret: Annotated[Hex, Field(repr=False)]

    def salt(self, number: int) -> bytes:
        """The salt of one sample; it tells nothing of the others."""
        return self.derive(HIDING + number.to_bytes(8, "little"))

    @property
    def key(self) -> Ed25519PrivateKey:
        """The key that signs evidence bundles."""
        return Ed25519PrivateKey.from_private_bytes(self.derive(SIGNING))

    def derive(self, purpose: bytes) -> bytes:
        """HMAC-SHA256 under the secret, of a purpose and the fingerprint that it is for."""
        message = purpose + self.fingerprint.encode()
        return hmac.digest(bytes.fromhex(self.secret), message, "sha256")


def draw_salts(fingerprint: Fingerprint, *, time: str) -> Salts:
    """Draws the random numbers for a fingerprint.

    Args:
        fingerprint: What they are for.
        time: The present moment in UTC, such as `2026-11-23T10:00:00Z`.

    Raises:
        InvalidArgumentError: The fingerprint is enrolled, and so nothing is ever revealed of it.
    """
    check_sealed(fingerprint)
    return Salts.model_validate(
        {
            "schema": SALTS,
            "fingerprint": file_digest(fingerprint),
            "time": time,
            "secret": secrets.token_hex(32),
        }
    )


def check_sealed(fingerprint: Fingerprint) -> None:
    """Makes sure that single answers of a fingerprint are evidence.

    Raises:
        InvalidArgumentError: It is enrolled: one answer of an endpoint whose answers vary proves
            nothing, and a bundle holds no more than answers.
    """
    if fingerprint.enrollment is not None:
        raise InvalidArgumentError(
            "a fingerprint that was only sealed was wanted, but this one is enrolled, and no "
            "single answer of an endpoint whose answers vary is evidence"
        )


def commit(fingerprint: Fingerprint, salts: Salts) -> Commitment:
    """The commitment to a fingerprint, always the same for the same random numbers.

    Raises:
        InvalidArgumentError: The fingerprint is enrolled.
    """
    check_sealed(fingerprint)
    domain = fingerprint.domain
    return Commitment.model_validate(
        {
            "schema": SCHEMA,
            "time": salts.time,
            "weights_digest": fingerprint.origin.weights_digest,
            "domain": DomainPart(
                shape=domain.shape,
                bounds=(float(domain.bounds[0]), float(domain.bounds[1])),
                levels=domain.levels,
            ),
            "spec": str(fingerprint.spec),
            "classes": fingerprint.classes,
            "key": salts.key.public_key().public_bytes_raw().hex(),
            "samples": tuple(
                leaf(describe_sample(fingerprint, number), salts.salt(number))
                for number in range(len(fingerprint))
            ),
        }
    )


def describe_sample(fingerprint: Fingerprint, number: int) -> dict[str, object]:
    """A sample with its expected answer and margin, as it is hashed and revealed."""
    kind = types_of(fingerprint.domain)["samples"]
    codes = np.ascontiguousarray(fingerprint.samples[number], NUMBERS[kind])
    little = codes.astype(codes.dtype.newbyteorder("<"), copy=False)
    expected = fingerprint.expected
    return {
        "codes": base64.b64encode(little.tobytes()).decode(),
        "labels": None if expected.labels is None else expected.labels[number].tolist(),
        "values": None
        if expected.values is None
        else [float(value) for value in expected.values[number]],
        "margin": float(fingerprint.margins[number]),
    }


def leaf(sample: dict[str, object], salt: bytes) -> str:
    """The salted hash of a sample."""
    return hashlib.sha256(LEAF + salt + canonical(sample).encode()).hexdigest()


def write_part(part: Section) -> bytes:
    """A part as the content of a file, always the same for the same part."""
    return f"{canonical(part.model_dump(mode='json', by_alias=True))}\n".encode()


def read_commitment(text: bytes, *, name: str) -> Commitment:
    """Reads a commitment.

    Raises:
        BadFileError: It is none.
    """
    return parse_json(Commitment, text, name=name)


def read_salts(text: bytes, fingerprint: Fingerprint, *, name: str) -> Salts:
    """Reads the random numbers of a fingerprint.

    Raises:
        BadFileError: They are none, or those of another fingerprint.
    """
    salts = parse_json(Salts, text, name=name)
    if salts.fingerprint != file_digest(fingerprint):
        raise BadFileError(
            name, "the salts of this fingerprint were wanted, but they are those of another one"
        )
    return salts


def domain_of(commitment: Commitment) -> Domain:
    """What a valid input is.

    Raises:
        InvalidArgumentError: The domain is none.
    """
    return Domain(**commitment.domain.model_dump())
