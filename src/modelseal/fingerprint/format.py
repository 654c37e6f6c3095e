"""The header of a fingerprint file: its exact form, read strictly."""

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from modelseal.errors import BadFileError


class Strict(BaseModel):
    """A part of the header: no unknown keys, no conversions, no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class DomainHeader(Strict):
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


class OriginHeader(Strict):
    """How the samples were made."""

    method: str
    parameters: dict[str, Parameter]
    seed: int
    weights_digest: str
    packages: dict[str, str]
    created: str
    variants: tuple[str, ...]
    harmless_answers: int


class Header(Strict):
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


class LimitHeader(Strict):
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


class EnrolmentHeader(Strict):
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


class Metadata(Strict):
    """The free part of a safetensors header: one text under one key."""

    modelseal: str


class Envelope(BaseModel):
    """The header of a safetensors file, without the tensors, which the library checks."""

    model_config = ConfigDict(strict=True)

    metadata: Annotated[Metadata, Field(alias="__metadata__")]


LONGEST = 60
"""How many characters of a wrong word are shown."""

Model = TypeVar("Model", bound=BaseModel)


def parse_header(envelope: bytes, *, name: str) -> Header:
    """Reads the header of a fingerprint out of the header of a safetensors file.

    Args:
        envelope: The JSON of the safetensors file.
        name: What the file is called in errors.

    Raises:
        BadFileError: It is not exactly a header of a format that is known.
    """
    text = parse(Envelope, envelope, name=name).metadata.modelseal
    version = parse(Version, text, name=name).format
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
    return parse(FORMATS[version], text, name=name)


def parse(model: type[Model], text: bytes | str, *, name: str) -> Model:
    """Reads a model from JSON.

    Raises:
        BadFileError: The JSON is not valid; the error names the first wrong field.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = path_of(first["loc"])
        problem = problem_of(first["type"], first["msg"])
        if first["type"] == "literal_error" and isinstance(first["input"], str):
            problem = f"{problem}, but is {first['input'][:LONGEST]!r}"
        raise BadFileError(name, problem, field=field) from error


def path_of(location: tuple[int | str, ...]) -> str:
    """The path to a field as text, such as `names[3]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def problem_of(kind: str, message: str) -> str:
    """What is wrong with a field, in one sentence."""
    known = {"missing": "is missing", "extra_forbidden": "is not known"}
    if kind in known:
        return known[kind]
    sentence = message.removeprefix("Value error, ")
    return sentence[:1].lower() + sentence[1:]
