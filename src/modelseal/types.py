"""The shapes of the arrays that travel between modules, each named once.

The axes: `batch` counts inputs, `classes` counts scores, `shown` counts the labels that an
endpoint shows, and `*shape` is the domain's own shape. Shapes of tensors are named in
`modelseal.generation.gaps`, so that this module needs no torch.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped, UInt8

Codes: TypeAlias = UInt8[np.ndarray, "batch *shape"] | Float32[np.ndarray, "batch *shape"]
"""Inputs as they are stored: level numbers if the domain has 256 levels, else the values."""

Inputs: TypeAlias = Float[np.ndarray, "batch *shape"]
"""Inputs as the network takes them, inside the domain's bounds."""

Scores: TypeAlias = Float[np.ndarray, "batch classes"]
"""What a network says of every class: logits (raw scores)."""

Labels: TypeAlias = Int[np.ndarray, "batch shown"]
"""Class numbers, best first."""

Values: TypeAlias = Float[np.ndarray, "batch shown"]
"""The score or probability of each shown label."""

PerInput: TypeAlias = Float[np.ndarray, " batch"]
"""One number for each input."""

Mask: TypeAlias = Bool[np.ndarray, " batch"]
"""Yes or no for each input."""

Array: TypeAlias = Shaped[np.ndarray, "..."]
"""An array of a shape that is checked where it is used."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told the stage of long work, how many steps of it are done, and of how many."""


def ignore(stage: str, done: int, total: int) -> None:
    """Takes reports of progress and does nothing with them."""
