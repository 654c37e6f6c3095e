"""Files from outside as typed values: TOML and JSON, with one sentence for whatever is wrong."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from modelseal.errors import BadFileError, InvalidArgumentError

_LONGEST = 60
"""How many characters of a wrong value are shown."""


class Section(BaseModel):
    """A part of a file: frozen, every key known, every value of its type, every number finite."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


Whole = TypeVar("Whole", bound=BaseModel)


def read_settings(path: Path, whole: type[Whole]) -> Whole:
    """Reads a TOML file; files that it names are not opened. `whole` is the model of the file."""
    try:
        return whole.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise _refusal(path, error, whole) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFileError(path, f"expected TOML: {error}") from error


def parse_json(whole: type[Whole], text: bytes | str, *, name: object) -> Whole:
    """Reads JSON; `whole` is its model, and `name` what it is called in errors."""
    try:
        return whole.model_validate_json(text)
    except ValidationError as error:
        raise _refusal(name, error, whole) from error


def read_lines(path: Path) -> tuple[str, ...]:
    """Reads a text file of one thing in each line, such as names; without spaces around them."""
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFileError(path, f"expected UTF-8 text: {error.reason}") from error


@contextmanager
def blame_file(path: Path, field: str) -> Iterator[None]:
    """Turns a wrong value into a fault of the file, at the field, that holds it."""
    try:
        yield
    except InvalidArgumentError as error:
        field = ".".join(part for part in (field, error.field) if part)
        raise BadFileError(path, error.problem, field=field) from error


def _refusal(name: object, error: ValidationError, whole: type[BaseModel]) -> BadFileError:
    # A misspelt key is both unknown and missing: the spelling says more.
    first = min(error.errors(include_url=False), key=lambda one: not _is_unknown(one))
    field, cause = _path(first["loc"]), first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidArgumentError):
        field = ".".join(part for part in (field, cause.field) if part)
        return BadFileError(name, cause.problem, field=field)
    return BadFileError(name, _describe(first, whole), field=field)


def _is_unknown(details: ErrorDetails) -> bool:
    return details["type"] in {"extra_forbidden", "unexpected_keyword_argument"}


def _describe(details: ErrorDetails, whole: type[BaseModel]) -> str:
    match details["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = ", ".join(_keys(_kind_at(whole, details["loc"][:-1])))
            return f"unknown key, expected one of {known}"
        case "missing":
            return "is missing"
        case "json_invalid":
            return f"expected JSON: {details['ctx']['error']}"
        case "value_error":
            return str(details["ctx"]["error"])
        case "list_type" if isinstance(details["input"], dict) and _holds_tables(whole, details):
            table = _path(details["loc"])
            return f"expected tables, each under [[{table}]], got a single one under [{table}]"
    wanted = re.sub(r"^\w+ should (be |have )?| after validation.*", "", details["msg"])
    wanted = re.sub(r"^(?=greater|less)", "a number ", wanted)
    came = repr(details["input"])
    return f"expected {wanted}, got {came if len(came) <= _LONGEST else f'{came[:_LONGEST]}...'}"


def _holds_tables(whole: type[BaseModel], details: ErrorDetails) -> bool:
    return bool(_keys(get_args(_kind_at(whole, details["loc"]))[-1]))


def _kind_at(whole: type[BaseModel], location: tuple[int | str, ...]) -> Any:  # noqa: ANN401
    """The type of a value, found by going down from the whole file."""
    found: Any = whole
    for step in location:
        if isinstance(step, str) and step in _keys(found):
            found = _keys(found)[step]
        elif get_args(found):
            # `list[X]`, `tuple[X, ...]` and `dict[str, X]` end with what they hold.
            found = [kind for kind in get_args(found) if kind is not ...][-1]
        if NoneType in get_args(found):
            found = next(kind for kind in get_args(found) if kind is not NoneType)
    return found


def _keys(kind: Any) -> dict[str, Any]:  # noqa: ANN401 (of any kind)
    """The keys of a section with their types; none of anything else."""
    if is_dataclass(kind):
        return {field.name: field.type for field in fields(kind)}
    known = getattr(kind, "model_fields", {})
    return {field.alias or key: field.annotation for key, field in known.items()}


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")
