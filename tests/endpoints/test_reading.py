import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.endpoints.strict_json import (
    list_at,
    name_of,
    objects_at,
    read_object,
    shorten,
    sizes_at,
    text_at,
    to_array,
)
from modelseal.errors import EndpointError

FLOAT32 = np.dtype(np.float32)


def test_an_object_is_read_as_json_reads_it():
    assert read_object(b'{"a": [1, 2.5, {"b": null}]}') == {"a": [1, 2.5, {"b": None}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"JSON was wanted, but other text came \(Expecting value at character 1\)"),
        ('{"a": [1, 2', "JSON was wanted"),
        ("<html><body>oh no</body></html>", "JSON was wanted"),
        (b"\xff\xfe\xfd", "JSON was wanted"),
        (b"\xc3(", "JSON was wanted"),
        ("[" * 200_000, "JSON was wanted"),
        ('{"a": ' + "1" * 5000 + "}", "JSON was wanted"),
        ("[1]", "a JSON object was wanted, but a list came"),
        ("null", "a JSON object was wanted, but nothing came"),
        ('"text"', 'a JSON object was wanted, but "text" came'),
        ('{"a": 1, "a": 1}', "a: one value was wanted, but the key comes twice"),
        ('{"b": {"a": 1, "c": 2, "a": 1}}', "a: one value was wanted"),
        ('{"a": NaN}', "finite numbers were wanted, but NaN came"),
        ('{"a": [-Infinity]}', "finite numbers were wanted, but -Infinity came"),
    ],
)
def test_what_is_no_strict_json_object_is_refused(text, message):
    with pytest.raises(EndpointError, match=message):
        read_object(text)


@pytest.mark.parametrize(
    ("get", "value", "message"),
    [
        (text_at, 3, "key: a text was wanted, but 3 came"),
        (text_at, None, "key: a text was wanted, but nothing came"),
        (list_at, {"a": 1}, "key: a list was wanted, but an object came"),
        (list_at, "abc", 'key: a list was wanted, but "abc" came'),
        (objects_at, [{}, 1], r"key\[1\]: an object was wanted, not 1"),
        (sizes_at, [1, True], r"key\[1\]: a size was wanted, but true came"),
        (sizes_at, [-2], r"key\[0\]: a size was wanted, but -2 came"),
        (sizes_at, [1.0], r"key\[0\]: a size was wanted, but 1.0 came"),
        (sizes_at, [[]], r"key\[0\]: a size was wanted, but a list came"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_key(get, value, message):
    with pytest.raises(EndpointError, match=message):
        get({"key": value}, "key")


@pytest.mark.parametrize("get", [text_at, list_at, objects_at, sizes_at])
def test_a_missing_value_is_refused_with_its_key(get):
    with pytest.raises(EndpointError, match=r"key: a .* was wanted, but nothing came"):
        get({}, "key")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_float32_survives_json_exactly(numbers):
    wanted = np.array(numbers, np.float32)
    items = json.loads(json.dumps(wanted.tolist()))
    assert to_array(items, FLOAT32).tobytes() == wanted.tobytes()


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_every_int64_is_read_exactly(numbers):
    assert to_array(numbers, np.dtype(np.int64)).tolist() == numbers


@pytest.mark.parametrize(
    ("items", "dtype", "message"),
    [
        ([1.5, "2"], "float32", 'a number was wanted, but "2" came'),
        ([None], "float32", "a number was wanted, but nothing came"),
        ([True], "float64", "a number was wanted, but true came"),
        ([[1.0]], "float64", "a number was wanted, but a list came"),
        ([1, 2.0], "int64", "a whole number was wanted, but 2.0 came"),
        ([False], "int64", "a whole number was wanted, but false came"),
        ([300], "uint8", "numbers that fit uint8 were wanted"),
        ([-1], "uint64", "numbers that fit uint64 were wanted"),
        ([2**63], "int64", "numbers that fit int64 were wanted"),
        ([10**400], "float32", "numbers that fit float32 were wanted"),
        ([1e39], "float32", "finite numbers within float32 were wanted"),
        ([1e5], "float16", "finite numbers within float16 were wanted"),
        ([math.inf], "float64", "finite numbers within float64 were wanted"),
    ],
)
def test_items_that_are_no_such_numbers_are_refused(items, dtype, message):
    with pytest.raises(EndpointError, match=message):
        to_array(items, np.dtype(dtype))


def test_whole_json_numbers_are_fractions_too():
    assert to_array([1, 2.5], FLOAT32).tolist() == [1.0, 2.5]


@given(st.text(max_size=2000))
def test_foreign_text_becomes_one_short_printable_line(text):
    line = shorten(text)
    assert len(line) <= 201
    assert line.isprintable()


def test_short_text_stays_and_long_text_ends_in_dots():
    assert shorten("no  such\n model\x1b[31m") == "no such model [31m"
    assert shorten("x" * 300) == "x" * 200 + "…"
    assert name_of("x" * 300).endswith("…")
