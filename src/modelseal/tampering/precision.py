"""Weights with fewer bits; the network still computes in its own precision."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights, copied, matrices


@dataclass(frozen=True, slots=True)
class Quantised:
    """Moves convolution and linear weights to the nearest of 2^bits values.

    Each tensor has a grid of its own: evenly spaced from its smallest to its largest entry, both
    included. Biases and BatchNorm (everything of one axis) stay, as quantised networks keep them.

    Args:
        bits: 1 to 16.

    Raises:
        InvalidArgumentError: The number of bits is another.
    """

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise InvalidArgumentError(f"bits needs 1 to 16, but is {self.bits}")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with quantised weights."""
        changed = copied(network)
        for tensor in matrices(changed).values():
            tensor.copy_(_on_grid(tensor, 2**self.bits - 1))
        return changed


@dataclass(frozen=True, slots=True)
class Rounded:
    """Rounds every floating parameter and BatchNorm statistic to a shorter format and back.

    Args:
        dtype: `torch.float16` or `torch.bfloat16`.

    Raises:
        InvalidArgumentError: The format is another.
    """

    dtype: torch.dtype

    def __post_init__(self) -> None:
        if self.dtype not in {torch.float16, torch.bfloat16}:
            raise InvalidArgumentError(f"dtype needs float16 or bfloat16, but is {self.dtype}")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with rounded weights of the same type as before."""
        changed = copied(network)
        for tensor in all_weights(changed).values():
            tensor.copy_(tensor.to(self.dtype))
        return changed


def _on_grid(tensor: Tensor, steps: int) -> Tensor:
    """The nearest of steps + 1 evenly spaced values from the smallest to the largest entry."""
    # In float64 both ends come out exactly; all-equal entries would divide 0 by 0.
    exact = tensor.double()
    low, high = exact.min(), exact.max()
    step = (high - low) / steps
    moved = ((exact - low) / step).round() * step + low
    return torch.where(step > 0, moved, exact)
