"""Strict reading of JSON that others wrote: no double keys, no NaN, no wrong types."""

import json
from collections.abc import Sequence
from typing import NoReturn, TypeAlias, cast

import numpy as np

from modelseal.errors import EndpointError
from modelseal.types import Array

JsonObject: TypeAlias = dict[str, object]  # a JSON object whose values are still to be checked

_SHORT = 200


def read_object(text: str | bytes) -> JsonObject:
    """Reads one JSON object."""
    value = read_value(text)
    if not isinstance(value, dict):
        raise EndpointError(f"expected a JSON object, got {name_of(value)}")
    return value


def read_value(text: str | bytes) -> object:
    """Reads JSON of any kind."""
    try:
        return cast(object, json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse))
    except json.JSONDecodeError as error:
        where = f"{error.msg} at character {error.pos + 1}"
        raise EndpointError(f"expected JSON, got other text ({where})") from error
    except (ValueError, RecursionError) as error:  # bad UTF-8, endless digits, endless nesting
        raise EndpointError(f"expected JSON, got other text ({error})") from error


def _unique(pairs: list[tuple[str, object]]) -> JsonObject:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise EndpointError(f"{shorten(double)}: expected one value, got the key twice")
    return result


def _refuse(token: str) -> NoReturn:
    raise EndpointError(f"expected finite numbers, got {token}")


def text_at(source: JsonObject, key: str) -> str:
    """A text that must be there."""
    value = source.get(key)
    if not isinstance(value, str):
        raise EndpointError(f"{key}: expected a text, got {name_of(value)}")
    return value


def list_at(source: JsonObject, key: str) -> list[object]:
    """A list that must be there."""
    value = source.get(key)
    if not isinstance(value, list):
        raise EndpointError(f"{key}: expected a list, got {name_of(value)}")
    return value


def objects_at(source: JsonObject, key: str) -> list[JsonObject]:
    """A list of objects that must be there."""
    for number, value in enumerate(entries := list_at(source, key)):
        if not isinstance(value, dict):
            raise EndpointError(f"{key}[{number}]: expected an object, got {name_of(value)}")
    return cast(list[JsonObject], entries)


def sizes_at(source: JsonObject, key: str) -> list[int]:
    """A list of whole numbers from -1 that must be there."""
    for number, value in enumerate(sizes := list_at(source, key)):
        if type(value) is not int or value < -1:
            raise EndpointError(f"{key}[{number}]: expected a size, got {name_of(value)}")
    return cast(list[int], sizes)


def to_array(items: Sequence[object], dtype: np.dtype[np.generic]) -> Array:
    """JSON numbers as an array of one axis; a type of whole numbers takes no fractions."""
    fraction = dtype.kind == "f"
    allowed = (int, float) if fraction else (int,)
    for item in items:
        if type(item) not in allowed:  # isinstance would take true for 1
            what = "a number" if fraction else "a whole number"
            raise EndpointError(f"expected {what}, got {name_of(item)}")
    too_large = f"expected finite numbers within {dtype.name}, got larger ones"
    try:
        numbers = np.array(items, np.float64 if fraction else dtype)
    except OverflowError as error:
        raise EndpointError(too_large) from error
    with np.errstate(over="ignore"):  # becomes an infinity, which is refused below
        result = cast(Array, numbers.astype(dtype))
    if fraction and not np.isfinite(result).all():
        raise EndpointError(too_large)
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
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _SHORT])
    line = " ".join(clean.split())
    return line if len(line) <= _SHORT else f"{line[:_SHORT]}…"
