"""What one use of a weight adds to its derivative, and the squared length of the whole sum.

The derivative of one input's outputs by a weight matrix is a sum of outer products: with a_t what
goes into the layer at position t, and g_t the derivative by what comes out, it is Σ_t g_t a_tᵀ.
Its squared length needs no derivative:

    ||Σ_t g_t a_tᵀ||² = Σ_{t,s} (g_t·g_s)(a_t·a_s)

(Goodfellow 2015; "ghost norm" in Li et al., ICLR 2022), which is far smaller where there are few
positions and many weights. Where there are many positions, the sum itself is smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

Lengths: TypeAlias = Float[Tensor, "batch directions"]
"""A squared length for each input and each of its directions."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factors:
    """A derivative as a sum of outer products, one for each position.

    Args:
        slopes: The g_t of every direction. A convolution has a sum of its own for each group of
            channels; any other layer has one group.
        features: The a_t.
    """

    slopes: Float[Tensor, "batch groups directions outside positions"]
    features: Float[Tensor, "batch groups inside positions"]

    @property
    def ghostly(self) -> bool:
        """Whether the squared length costs less without the sum than with it."""
        directions, outside, positions = self.slopes.shape[2:]
        inside = self.features.shape[2]
        columns = directions * outside
        return positions * (inside + columns) < inside * columns

    def add_up(self) -> "Direct":
        """The sum itself."""
        rows = self.slopes.flatten(2, 3) @ self.features.transpose(2, 3)
        split = rows.unflatten(2, self.slopes.shape[2:4])
        return Direct(values=split.transpose(1, 2).flatten(2))

    def square(self) -> Lengths:
        """The squared length of the sum, without the sum: all pairs of positions."""
        alike = self.features.transpose(2, 3) @ self.features
        mixed = (self.slopes.flatten(2, 3) @ alike).view(self.slopes.shape)
        # A sum of squares that rounds below 0 is 0.
        return (mixed * self.slopes).sum(dim=(1, 3, 4)).clamp(min=0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Direct:
    """A derivative itself, with the weight laid flat.

    Args:
        values: For each input and direction.
    """

    values: Float[Tensor, "batch directions entries"]

    def square(self) -> Lengths:
        """The squared length."""
        return self.values.square().sum(2)


Contribution: TypeAlias = Factors | Direct
"""What one use of a weight adds to its derivative."""


def square_sum(contributions: Sequence[Contribution]) -> Lengths:
    """The squared length of the sum of what all uses of one weight add, at least one.

    Uses of one layer are more positions of the same sum; other uses are added up as they are.
    """
    whole = join(contributions)
    if isinstance(whole, Factors):
        return whole.square() if whole.ghostly else whole.add_up().square()
    return whole.square()


def join(contributions: Sequence[Contribution]) -> Contribution:
    """Several contributions to the same weight as one."""
    first, *others = contributions
    if not others:
        return first
    factors = [each for each in contributions if isinstance(each, Factors)]
    alike = {each.features.shape[1:3] for each in factors}
    if len(factors) == len(contributions) and len(alike) == 1:
        return Factors(
            slopes=torch.cat([each.slopes for each in factors], dim=4),
            features=torch.cat([each.features for each in factors], dim=3),
        )
    sums = [each.add_up() if isinstance(each, Factors) else each for each in contributions]
    return Direct(values=torch.stack([each.values for each in sums]).sum(0))
