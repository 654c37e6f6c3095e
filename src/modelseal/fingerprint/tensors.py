"""The arrays of a fingerprint as the tensors of a file."""

from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.checking import form_of
from modelseal.fingerprint.record import Fingerprint
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import OutputSpec
from modelseal.shapes import Array

NUMBERS = {"U8": np.uint8, "F32": np.float32, "F64": np.float64, "I64": np.int64}
"""The types that tensors have, by their name in safetensors."""

COLUMNS = {"margins": "F64", "moves": "F64", "psnr": "F64", "sources": "I64"}
"""The tensors with one number for each sample, and their type."""


def pack(fingerprint: Fingerprint) -> dict[str, Array]:
    """The arrays of a fingerprint by the name of their tensor, in its type."""
    arrays: dict[str, Array | None] = {
        "samples": fingerprint.samples,
        "expected_labels": fingerprint.expected.labels,
        "expected_values": fingerprint.expected.values,
        "margins": fingerprint.margins,
        "moves": fingerprint.moves,
        "psnr": fingerprint.psnr,
        "sources": fingerprint.sources,
        "neighbours": fingerprint.neighbours,
    }
    types = types_of(fingerprint.domain)
    return {
        name: np.ascontiguousarray(array, NUMBERS[types[name]])
        for name, array in arrays.items()
        if array is not None
    }


def types_of(domain: Domain) -> dict[str, str]:
    """The type of every tensor that a fingerprint may have."""
    samples = "U8" if domain.levels else "F32"
    return {
        "samples": samples,
        "expected_labels": "I64",
        "expected_values": "F64",
        "neighbours": "I64",
        **COLUMNS,
    }


def load(data: bytes) -> dict[str, Array]:
    """All tensors of a file by name.

    Raises:
        InvalidArgumentError: It is no valid safetensors file, or a type is not known.
    """
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise InvalidArgumentError(f"a safetensors file was wanted, but: {error}") from error
    except KeyError as error:
        raise InvalidArgumentError(f"no fingerprint has tensors of type {error}") from error


def expected_answers(
    arrays: Mapping[str, Array],
    *,
    domain: Domain,
    spec: OutputSpec,
    classes: int,
    neighbours: int = 0,
) -> Answers:
    """The expected answers among the tensors, once these are exactly those of a fingerprint.

    Args:
        arrays: The tensors.
        domain: What a valid input is.
        spec: What the endpoint shows.
        classes: How many scores there are.
        neighbours: How many neighbours each sample may have.

    Raises:
        InvalidArgumentError: A tensor is missing, or too many, or of another type or shape.
    """
    form = form_of(spec, classes)
    shapes: dict[str, tuple[int, ...]] = {"samples": domain.shape, **dict.fromkeys(COLUMNS, ())}
    if form.labels is not None:
        shapes["expected_labels"] = form.labels.shape[1:]
    if form.values is not None:
        shapes["expected_values"] = form.values.shape[1:]
    if neighbours:
        shapes["neighbours"] = (neighbours,)
    for name in sorted(shapes.keys() ^ arrays.keys()):
        raise InvalidArgumentError("is missing" if name in shapes else "is not known", field=name)
    count = arrays["margins"].shape[0] if arrays["margins"].ndim else 0
    types = types_of(domain)
    for name, shape in shapes.items():
        check_tensor(arrays[name], (count, *shape), types[name], field=name)
    return Answers(
        kind=form.kind,
        labels=arrays.get("expected_labels"),
        values=arrays.get("expected_values"),
    )


def check_tensor(array: Array, shape: tuple[int, ...], kind: str, *, field: str) -> None:
    """Makes sure that a tensor has a shape and a type."""
    if array.shape != shape or array.dtype != NUMBERS[kind]:
        raise InvalidArgumentError(
            f"type {np.dtype(NUMBERS[kind])} and shape {list(shape)} were wanted, "
            f"but {array.dtype} and {list(array.shape)} came",
            field=field,
        )
