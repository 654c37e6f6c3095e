"""Inputs beside a sample that it may be asked by: one value changed by one level.

A neighbour is kept as one whole number: p + 1 if the value in place p, counted in C order from 0,
goes one level up, -(p + 1) if it goes one level down, and 0 if there is none.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Int

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.checking import check_each
from modelseal.shapes import Array, Codes

Neighbours: TypeAlias = Int[np.ndarray, "batch neighbours"]
"""The neighbours of each sample, each as one number."""


def list_faces(sample: Array, neighbours: Array) -> Array:
    """A sample and its neighbours, as they are stored.

    Args:
        sample: One sample, as a batch of one.
        neighbours: Its neighbours; 0 stands for none.

    Examples:
        >>> list_faces(np.array([[7, 7]], np.uint8), np.array([1, -2, 0])).tolist()
        [[7, 7], [8, 7], [7, 6]]
    """
    moves = neighbours[neighbours != 0]
    faces = np.repeat(sample, len(moves) + 1, axis=0)
    flat = faces.reshape(len(faces), -1)
    rows = np.arange(1, len(faces))
    # Codes are unsigned: adding 255 goes one level down.
    flat[rows, np.abs(moves) - 1] += np.where(moves > 0, 1, 255).astype(np.uint8)
    return faces


def check_neighbours(neighbours: Array, samples: Codes, domain: Domain) -> None:
    """Makes sure that every neighbour is a valid input of its own.

    Raises:
        InvalidArgumentError: The domain is continuous, the array is of another shape or type, a
            place or a level does not exist, or a neighbour comes twice.
    """
    field = "neighbours"
    if not domain.levels:
        raise InvalidArgumentError("levels were wanted, but the domain has none", field=field)
    if neighbours.ndim != 2 or neighbours.dtype.kind != "i" or not neighbours.shape[1]:
        raise InvalidArgumentError(
            "one row of whole numbers for each sample was wanted, but an array of shape "
            f"{neighbours.shape} and type {neighbours.dtype} came",
            field=field,
        )
    if len(neighbours) != len(samples):
        raise InvalidArgumentError(
            f"{len(samples)} rows were wanted, but {len(neighbours)} came", field=field
        )
    flat = samples.reshape(len(samples), -1)
    size = flat.shape[1]
    there = (neighbours >= -size) & (neighbours <= size)
    check_each(there, neighbours, wanted=f"0 or a place from 1 to {size} with a sign", field=field)
    places = np.maximum(np.abs(neighbours) - 1, 0)
    levels = np.take_along_axis(flat, places, axis=1).astype(np.int64) + np.sign(neighbours)
    valid = (levels >= 0) & (levels < domain.levels)
    check_each(valid, neighbours, wanted="a step to a level that is there", field=field)
    ordered = np.sort(neighbours, axis=1)
    twice = (np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] != 0)
    check_each(~twice, ordered[:, 1:], wanted="each neighbour once", field=field)
