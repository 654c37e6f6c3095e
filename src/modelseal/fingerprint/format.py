"""The header of a fingerprint file: its exact form, read strictly."""

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from modelseal.errors import BadFileError
from modelseal.settings import Section, parse_json


class DomainHeader(Section):
    """The domain: shape, bounds and levels."""

    shape: tuple[int, ...]
    bounds: tuple[float, float]
    levels: int


def text_or_number(value: object) -> str | int | float:
    """A text, a whole number or a finite number; a truth value is none of them."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("input should be a text or a number")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("input should be a finite number")
    return value


Parameter = Annotated[str | int | float, PlainValidator(text_or_number)]
"""Checked by hand: pydantic's union would put the names of its members into the field's path."""


class OriginHeader(Section):
    """How the samples were made."""

    method: str
    parameters: dict[str, Parameter]
    seed: int
    weights_digest: str
    packages: dict[str, str]
    created: str
    variants: tuple[str, ...]
    harmless_answers: int


class Header(Section):
    """All of a fingerprint but its arrays."""

    format: str
    digest: str
    domain: DomainHeader
    spec: str
    classes: int
    names: tuple[str, ...]
    factor: float
    origin: OriginHeader

    @property
    def limits(self) -> "tuple[LimitHeader, ...]":
        """What the fingerprint was seen to notice: this format cannot say."""
        return ()


class LimitHeader(Section):
    """What was noticed of one family of changes."""

    family: str
    unit: str | None
    level: float | None
    noticed: int
    draws: int
    fixed: bool


class PowerHeader(Header):
    """A header that says what the fingerprint was seen to notice."""

    power: Annotated[tuple[LimitHeader, ...], Field(min_length=1)]

    @property
    def limits(self) -> tuple[LimitHeader, ...]:
        """What the fingerprint was seen to notice."""
        return self.power


class EnrolmentHeader(Section):
    """How a trusted deployment answered."""

    endpoint: str
    created: str
    alpha: float
    repeats: int
    asked: int
    differing: tuple[int, ...]
    otherwise: tuple[bool, ...]


class EnrolledHeader(Header):
    """A header that may speak of a deployment and of the neighbours of samples."""

    power: tuple[LimitHeader, ...]
    enrolment: EnrolmentHeader | None
    neighbours: Annotated[int, Field(ge=0, lt=2**31)]

    @property
    def limits(self) -> tuple[LimitHeader, ...]:
        """What the fingerprint was seen to notice."""
        return self.power


FORMATS: Mapping[str, type[Header]] = MappingProxyType(
    {"1.0": Header, "1.1": PowerHeader, "1.2": EnrolledHeader}
)
"""The header of every format that was ever released, oldest first; a newer one is refused."""

FORMAT = "1.2"
"""The newest of them."""


class Version(BaseModel):
    """The one key that every version of the header has."""

    model_config = ConfigDict(strict=True)

    format: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")]


class Metadata(Section):
    """The free part of a safetensors header: one text under one key."""

    modelseal: str


class Envelope(BaseModel):
    """The header of a safetensors file, without the tensors, which the library checks."""

    model_config = ConfigDict(strict=True)

    metadata: Annotated[Metadata, Field(alias="__metadata__")]


def parse_header(envelope: bytes, *, name: str) -> Header:
    """Reads the header of a fingerprint out of the header of a safetensors file.

    Args:
        envelope: The JSON of the safetensors file.
        name: What the file is called in errors.

    Raises:
        BadFileError: It is not exactly a header of a format that is known.
    """
    text = parse_json(Envelope, envelope, name=name).metadata.modelseal
    version = parse_json(Version, text, name=name).format
    if tuple(map(int, version.split("."))) > tuple(map(int, FORMAT.split("."))):
        raise BadFileError(
            name,
            f"this is format {version}, but only formats up to {FORMAT} are known here: "
            "a newer modelseal reads it",
            field="format",
        )
    if version not in FORMATS:
        wanted = " or ".join(FORMATS)
        raise BadFileError(name, f"{wanted} was wanted, but {version} came", field="format")
    return parse_json(FORMATS[version], text, name=name)
