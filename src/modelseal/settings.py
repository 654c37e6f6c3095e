"""Files of settings and of results as typed values, with one sentence for whatever is wrong."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from modelseal.errors import BadFileError


class Section(BaseModel):
    """A part of a file: frozen, every key known, every value of its type, every number finite."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


Whole = TypeVar("Whole", bound=BaseModel)


def read_settings(path: Path, whole: type[Whole]) -> Whole:
    """Reads a TOML file of settings; files that it names are not opened.

    Args:
        path: The file.
        whole: The model of the whole file.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong; `field` says which.
    """
    try:
        return whole.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problem, field = first_problem(error, whole)
        raise BadFileError(path, problem, field=field) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFileError(path, f"is no TOML: {error}") from error


def read_lines(path: Path) -> tuple[str, ...]:
    """Reads a text file of one thing in each line, such as names; without spaces around them.

    Raises:
        BadFileError: It cannot be read.
    """
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFileError(path, f"is no text: {error.reason}") from error


def first_problem(error: ValidationError, whole: type[Whole]) -> tuple[str, str]:
    """What is wrong first of all, as one sentence, and the path of its key.

    Args:
        error: What pydantic found.
        whole: The model of the whole file, which says what keys there are.
    """
    # A misspelt key is both unknown and missing: the spelling says more.
    details = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    return _sentence(details, whole), _path(details["loc"])


def _sentence(details: ErrorDetails, whole: type[BaseModel]) -> str:
    match details["type"]:
        case "extra_forbidden":
            known = _known_keys(whole, details["loc"][:-1])
            return f"unknown key; there is only {', '.join(known)}"
        case "missing":
            return "is missing"
        case "json_invalid" | "value_error" as kind:
            before = "is no JSON: " if kind == "json_invalid" else ""
            return f"{before}{details['ctx']['error']}"
        case "list_type" if isinstance(details["input"], dict) and _holds_tables(whole, details):
            table = _path(details["loc"])
            return f"needs tables, each under [[{table}]], but is a single one under [{table}]"
        case "too_short":
            return f"needs at least {details['ctx']['min_length']} entry, but has none"
    wanted = details["msg"].removeprefix("Input should be ").removeprefix("String should have ")
    return f"needs {wanted}, but is {details['input']!r}"


def _known_keys(whole: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys of a section."""
    return list(_kind_at(whole, location).model_fields)


def _holds_tables(whole: type[BaseModel], details: ErrorDetails) -> bool:
    """Whether a list holds sections, each of which is a table of the file."""
    return hasattr(_last(get_args(_kind_at(whole, details["loc"]))), "model_fields")


def _kind_at(whole: type[BaseModel], location: tuple[int | str, ...]) -> Any:  # noqa: ANN401
    """The kind of a value, found by going down from the whole file."""
    found: Any = whole
    for step in location:
        if isinstance(step, str) and not get_args(found):
            found = found.model_fields[step].annotation
        else:
            found = _last(get_args(found))
        found = next(_without_none(found), found)
    return found


def _without_none(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 (of any kind)
    """The kinds of value beside None, if that is one of them."""
    kinds = get_args(annotation)
    return (kind for kind in kinds if NoneType in kinds and kind is not NoneType)


def _last(kinds: tuple[Any, ...]) -> Any:  # noqa: ANN401 (of any kind)
    """What a list or a mapping holds: `list[X]` and `dict[str, X]` end with it."""
    return kinds[-1]


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")
