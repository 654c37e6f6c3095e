"""Digests that tell one set of weights, or one content of a file, from another."""

import hashlib
from collections.abc import Mapping

import numpy as np

from modelseal.errors import InvalidArgumentError
from modelseal.shapes import Array


def weights_digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the names, types, shapes and values of arrays.

    The order of the mapping, the byte order and the memory layout make no difference. Each of
    the four parts of an array goes in with its length before it, so that no two sets of arrays
    give the same bytes.

    Args:
        arrays: The arrays by name; of booleans, whole, floating-point or complex numbers.

    Returns:
        `sha256:` and 64 hexadecimal digits.

    Raises:
        InvalidArgumentError: An array holds something else.

    Examples:
        >>> weights_digest({"bias": np.zeros(2, np.float32)})[:15]
        'sha256:4df101b7'
    """
    hasher = hashlib.sha256()
    for name in sorted(arrays):
        for part in parts(name, arrays[name]):
            hasher.update(len(part).to_bytes(8, "little"))
            hasher.update(part)
    return f"sha256:{hasher.hexdigest()}"


def content_digest(header: bytes, tensors: Mapping[str, Array]) -> str:
    """SHA-256 over the header and the tensors of a file, as `weights_digest` takes it.

    The header counts as one more array, of bytes, with an empty name.
    """
    return weights_digest({"": np.frombuffer(header, np.uint8), **tensors})


def parts(name: str, array: Array) -> tuple[bytes, bytes, bytes, bytes]:
    """The name, type, shape and values of an array as bytes."""
    if array.dtype.kind not in "biufc":
        raise InvalidArgumentError(f"arrays of numbers were wanted, but {name!r} is {array.dtype}")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    shape = ",".join(map(str, array.shape))
    return name.encode(), little.dtype.str.encode(), shape.encode(), little.tobytes()
