"""The shapes of the tensors that generation works on, each named once.

The axes: `batch` counts inputs, `classes` scores, `tied` the classes of a tie, `gaps` the
differences that decide the shown answer (one fewer than `tied`), `pixels` the values of one
input laid flat.
"""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

Inputs: TypeAlias = Float[Tensor, "batch *shape"]
"""Inputs as the network takes them, inside the domain's bounds."""

Scores: TypeAlias = Float[Tensor, "batch classes"]
"""Logits, one for each class."""

Probabilities: TypeAlias = Float[Tensor, "batch classes"]
"""Rows that sum to 1."""

PerInput: TypeAlias = Float[Tensor, " batch"]
"""One number for each input."""

Classes: TypeAlias = Int[Tensor, "batch tied"]
"""The classes of a tie, in the order in which their scores shall stand."""

Gaps: TypeAlias = Float[Tensor, "batch gaps"]
"""The score differences that decide the shown answer: all positive while it stays."""

Numbers: TypeAlias = Float[Tensor, "batch pixels"]
"""Level numbers, whole and from 0, of inputs laid flat; or changes of them."""

Jacobian: TypeAlias = Float[Tensor, "batch gaps pixels"]
"""How each gap changes with each value of its own input."""

Proposals: TypeAlias = Float[Tensor, "batch proposals pixels"]
"""Several changes of level numbers for each input."""

Directions: TypeAlias = Float[Tensor, "batch directions classes"]
"""Several sums of outputs for each input, each given by its coefficients."""

Shared: TypeAlias = Float[Tensor, "directions classes"]
"""Several sums of outputs, the same for every input, each given by its coefficients."""

Labels: TypeAlias = Int[Tensor, " labels"]
"""Classes, one for each input unless somebody miscounted."""

Mask: TypeAlias = Bool[Tensor, " batch"]
"""A yes or no for each input."""

Objective: TypeAlias = Callable[[Inputs], PerInput]
"""A differentiable number to be made large, for each input by itself."""

Projection: TypeAlias = Callable[[Inputs], Inputs]
"""Brings inputs back to where they are allowed to be."""
