import hashlib
import itertools
import struct

import numpy as np
import pytest

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.codec import content_digest, weights_digest

WEIGHTS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "layer.bias": np.array([0.5, -0.5], np.float32),
    "steps": np.array(7, np.int64),
}


def slow_digest(arrays):
    text = b""
    for name, array in sorted(arrays.items()):
        kind = {"float32": b"<f4", "int64": b"<i8", "uint8": b"|u1"}[array.dtype.name]
        letter = {"float32": "f", "int64": "q", "uint8": "B"}[array.dtype.name]
        values = b"".join(struct.pack("<" + letter, value) for value in array.flatten().tolist())
        for part in (name.encode(), kind, ",".join(map(str, array.shape)).encode(), values):
            text += struct.pack("<Q", len(part)) + part
    return "sha256:" + hashlib.sha256(text).hexdigest()


def test_the_digest_is_that_of_the_framed_bytes():
    assert weights_digest(WEIGHTS) == slow_digest(WEIGHTS)


def test_order_byte_order_and_memory_layout_make_no_difference():
    turned = {
        name: array.astype(array.dtype.newbyteorder(">"), order="F")
        for name, array in reversed(WEIGHTS.items())
    }
    assert weights_digest(turned) == weights_digest(WEIGHTS)


def test_names_types_shapes_values_and_borders_all_make_a_difference():
    one = np.zeros(1, np.float32)
    different = [
        {},
        {"a": one},
        {"b": one},
        {"a": one.view(np.int32)},
        {"a": one.reshape(1, 1)},
        {"a": one.reshape(())},
        {"a": -one},
        {"a": np.zeros(2, np.float32)},
        {"a": one, "b": one},
        {"a": one[:0], "b": np.zeros(2, np.float32)},
        {"a": np.zeros(2, np.float32), "b": one[:0]},
        {"ab": one},
    ]
    for first, second in itertools.combinations(map(weights_digest, different), 2):
        assert first != second


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([b"a"])])
def test_what_is_no_array_of_numbers_is_refused(array):
    with pytest.raises(InvalidArgumentError, match="arrays of numbers were wanted, but 'w' is"):
        weights_digest({"w": array})


def test_the_content_digest_covers_header_and_tensors():
    parts = {"": np.frombuffer(b"{}", np.uint8), **WEIGHTS}
    assert content_digest(b"{}", WEIGHTS) == slow_digest(parts)
    assert content_digest(b"{ }", WEIGHTS) != content_digest(b"{}", WEIGHTS)
