"""Strict reading of JSON that others wrote: no double keys, no NaN, no wrong types."""

import json
from collections.abc import Sequence
from typing import NoReturn, TypeAlias, cast

import numpy as np

from modelseal.errors import EndpointError
from modelseal.types import Array

JsonObject: TypeAlias = dict[str, object]
"""A JSON object whose values are still to be checked."""

SHORT = 200
"""How many characters of foreign text fit into a sentence."""


def read_object(text: str | bytes) -> JsonObject:
    """Reads one JSON object.

    Raises:
        EndpointError: The text is not JSON, or something else than an object, or has a key twice,
            or an infinity or NaN.
    """
    value = read_value(text)
    if not isinstance(value, dict):
        raise EndpointError(f"a JSON object was wanted, but {name_of(value)} came")
    return value


def read_value(text: str | bytes) -> object:
    """Reads JSON of any kind.

    Raises:
        EndpointError: The text is not JSON, or has a key twice, or an infinity or NaN.
    """
    try:
        return cast(object, json.loads(text, object_pairs_hook=unique, parse_constant=refuse))
    except json.JSONDecodeError as error:
        where = f"{error.msg} at character {error.pos + 1}"
        raise EndpointError(f"JSON was wanted, but other text came ({where})") from error
    except (ValueError, RecursionError) as error:  # bad UTF-8, endless digits, endless nesting
        raise EndpointError(f"JSON was wanted, but other text came ({error})") from error


def unique(pairs: list[tuple[str, object]]) -> JsonObject:
    """The pairs as an object.

    Raises:
        EndpointError: A key occurs twice.
    """
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise EndpointError(f"{shorten(double)}: one value was wanted, but the key comes twice")
    return result


def refuse(token: str) -> NoReturn:
    """Refuses the tokens NaN, Infinity and -Infinity, which are not JSON.

    Raises:
        EndpointError: Always.
    """
    raise EndpointError(f"finite numbers were wanted, but {token} came")


def text_at(source: JsonObject, key: str) -> str:
    """A text that must be there.

    Raises:
        EndpointError: It is missing or something else.
    """
    value = source.get(key)
    if not isinstance(value, str):
        raise EndpointError(f"{key}: a text was wanted, but {name_of(value)} came")
    return value


def list_at(source: JsonObject, key: str) -> list[object]:
    """A list that must be there.

    Raises:
        EndpointError: It is missing or something else.
    """
    value = source.get(key)
    if not isinstance(value, list):
        raise EndpointError(f"{key}: a list was wanted, but {name_of(value)} came")
    return value


def objects_at(source: JsonObject, key: str) -> list[JsonObject]:
    """A list of objects that must be there.

    Raises:
        EndpointError: It is missing or something else.
    """
    for number, value in enumerate(entries := list_at(source, key)):
        if not isinstance(value, dict):
            raise EndpointError(f"{key}[{number}]: an object was wanted, not {name_of(value)}")
    return cast(list[JsonObject], entries)


def sizes_at(source: JsonObject, key: str) -> list[int]:
    """A list of whole numbers from -1 that must be there.

    Raises:
        EndpointError: It is missing or something else.
    """
    for number, value in enumerate(sizes := list_at(source, key)):
        if type(value) is not int or value < -1:
            raise EndpointError(f"{key}[{number}]: a size was wanted, but {name_of(value)} came")
    return cast(list[int], sizes)


def to_array(items: Sequence[object], dtype: np.dtype[np.generic]) -> Array:
    """JSON numbers as an array of one axis.

    Args:
        items: The numbers.
        dtype: The wanted type; a type of whole numbers takes no fractions.

    Raises:
        EndpointError: An item is no such number, or too large.
    """
    fraction = dtype.kind == "f"
    allowed = (int, float) if fraction else (int,)
    for item in items:
        if type(item) not in allowed:  # isinstance would take true for 1
            what = "a number" if fraction else "a whole number"
            raise EndpointError(f"{what} was wanted, but {name_of(item)} came")
    try:
        numbers = np.array(items, np.float64 if fraction else dtype)
    except OverflowError as error:
        raise EndpointError(f"numbers that fit {dtype.name} were wanted, not larger") from error
    with np.errstate(over="ignore"):  # becomes an infinity, which is refused below
        result = cast(Array, numbers.astype(dtype))
    if fraction and not np.isfinite(result).all():
        raise EndpointError(f"finite numbers within {dtype.name} were wanted, not larger")
    return result


def name_of(value: object) -> str:
    """A JSON value as a few words of a sentence."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "a list"
    return shorten(json.dumps(value))


def shorten(text: str) -> str:
    """Foreign text made fit for a sentence: one line, printable, not long."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * SHORT])
    line = " ".join(clean.split())
    return line if len(line) <= SHORT else f"{line[:SHORT]}…"
