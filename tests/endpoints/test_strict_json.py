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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"got other text \(Expecting value at character 1\)"),
        ('{"a": [1, 2', "expected JSON"),
        ("<html><body>oh no</body></html>", "expected JSON"),
        *((b"\xff\xfe\xfd", "expected JSON"), (b"\xc3(", "expected JSON")),
        *(("[" * 200_000, "expected JSON"), ('{"a": ' + "1" * 5000 + "}", "expected JSON")),
        *(("[1]", "got a list"), ("null", "got nothing"), ('"text"', 'got "text"')),
        ('{"a": 1, "a": 1}', "a: .* twice"),
        ('{"b": {"a": 1, "c": 2, "a": 1}}', "a: .* twice"),
        *(('{"a": NaN}', "got NaN"), ('{"a": [-Infinity]}', "got -Infinity")),
    ],
)
def test_what_is_no_strict_json_object_is_refused(text, message):
    with pytest.raises(EndpointError, match=message):
        read_object(text)


@pytest.mark.parametrize(
    ("get", "value", "message"),
    [
        *((text_at, 3, "got 3"), (text_at, None, "got nothing")),
        *((list_at, {"a": 1}, "got an object"), (list_at, "abc", 'key: .*got "abc"')),
        *((objects_at, [{}, 1], r"key\[1\]: .*got 1"), (sizes_at, [1, True], r"got true")),
        *((sizes_at, [-2], r"got -2"), (sizes_at, [1.0], r"got 1.0")),
        (sizes_at, [[]], r"got a list"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_key(get, value, message):
    with pytest.raises(EndpointError, match=message):
        get({"key": value}, "key")


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
        *(([1.5, "2"], "float32", 'got "2"'), ([None], "float32", "got nothing")),
        *(([True], "float64", "got true"), ([[1.0]], "float64", "got a list")),
        *(([1, 2.0], "int64", "got 2.0"), ([False], "int64", "got false")),
        *(([300], "uint8", "uint8"), ([-1], "uint64", "uint64"), ([2**63], "int64", "int64")),
        *(([10**400], "float32", "float32"), ([1e39], "float32", "float32")),
        *(([1e5], "float16", "float16"), ([math.inf], "float64", "float64")),
    ],
)
def test_items_that_are_no_such_numbers_are_refused(items, dtype, message):
    with pytest.raises(EndpointError, match=message):
        to_array(items, np.dtype(dtype))


@given(st.text(max_size=2000))
def test_foreign_text_becomes_one_short_printable_line(text):
    line = shorten(text)
    assert len(line) <= 201
    assert line.isprintable()


def test_short_text_stays_and_long_text_ends_in_dots():
    assert shorten("no  such\n model\x1b[31m") == "no such model [31m"
    assert shorten("x" * 300) == "x" * 200 + "…"
    assert name_of("x" * 300).endswith("…")
