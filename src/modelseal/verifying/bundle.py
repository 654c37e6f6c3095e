"""The form of an evidence bundle: what was asked, what came, and proofs that it was sealed so."""

import base64
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import canonical
from modelseal.fingerprint.parsing import Strict, parse
from modelseal.verifying.commitment import Commitment, Hex

SCHEMA = "modelseal.evidence/1"

DOMAIN = b"modelseal.evidence/1\n"
"""Stands before what is signed, so that it can be taken for nothing else."""

Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
Row = Annotated[tuple[float, ...], Field(min_length=1)]


class Sample(Strict):
    """A sample as it was sealed.

    Args:
        codes: Its bytes in base64: one a number, or float32 in little-endian order where inputs
            have no levels.
        labels: The expected labels, if the spec shows labels.
        values: The expected probabilities or scores, if the spec shows any.
        margin: By how much the expected answer misses becoming another one.
    """

    codes: str
    labels: Annotated[tuple[int, ...], Field(min_length=1)] | None
    values: Row | None
    margin: float


class Shown(Strict):
    """One raw answer: labels, probabilities or scores as they came, or the reason for none.

    Args:
        time: When it came, as the record says; None if it does not.
        digits: With how many decimal digits numbers came, if these are few.
    """

    time: str | None
    labels: Annotated[tuple[int, ...], Field(min_length=1)] | None
    probabilities: Row | None
    scores: Row | None
    digits: Annotated[int, Field(ge=0, le=400)] | None
    error: str | None


class Asked(Strict):
    """A sample that was asked.

    Args:
        number: Its number in the fingerprint.
        sample: What was sealed.
        salt: What proves that, with the sample and the commitment.
        answers: What came.
    """

    number: Annotated[int, Field(ge=0)]
    sample: Sample
    salt: Hex
    answers: Annotated[tuple[Shown, ...], Field(min_length=1)]


class Evidence(Strict):
    """All that is signed.

    Args:
        time: When its maker's clock says that it was made.
        endpoint: What was asked, as its maker says.
        names: The name of every class; empty if they have none.
        commitment: The commitment as it was made public.
        asked: The samples that were asked, by number.
    """

    schema_: Annotated[Literal["modelseal.evidence/1"], Field(alias="schema")]
    time: str
    endpoint: str
    names: tuple[str, ...]
    commitment: Commitment
    asked: Annotated[tuple[Asked, ...], Field(min_length=1)]


class Bundle(Evidence):
    """The evidence with its signature, in base64."""

    signature: Signature


def read_bundle(text: bytes, *, name: str) -> Bundle:
    """Reads an evidence bundle, without checking what it says.

    Raises:
        BadFileError: It is none, or not written as bundles are.
    """
    bundle = parse(Bundle, text, name=name)
    if text != write_bundle(bundle):
        raise BadFileError(name, "a canonical bundle was wanted, but this one is written otherwise")
    return bundle


def write_bundle(bundle: Bundle) -> bytes:
    """A bundle as the content of a file, always the same for the same bundle."""
    return f"{canonical(bundle.model_dump(mode='json', by_alias=True))}\n".encode()


def message_of(evidence: Evidence) -> bytes:
    """The bytes that are signed."""
    parts = evidence.model_dump(mode="json", by_alias=True, exclude={"signature"})
    return DOMAIN + canonical(parts).encode()


def sign_bundle(evidence: Evidence, signature: bytes) -> Bundle:
    """The bundle of evidence and its signature."""
    parts = evidence.model_dump(by_alias=True)
    return Bundle.model_validate({**parts, "signature": base64.b64encode(signature).decode()})
