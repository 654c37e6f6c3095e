"""Small weights set to zero."""

from dataclasses import dataclass

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import copied, matrices


@dataclass(frozen=True, slots=True)
class Pruned:
    """Sets the convolution and linear weights of smallest magnitude to zero.

    They are ranked over the whole network, not layer by layer; biases and BatchNorm stay.

    Args:
        share: Which part of these weights becomes zero, above 0 and up to 1. The count is rounded
            to the nearest whole number.

    Raises:
        InvalidArgumentError: The share is outside.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidArgumentError(f"share needs 0 to 1, and not 0, but is {self.share}")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a pruned copy."""
        changed = copied(network)
        tensors = list(matrices(changed).values())
        magnitudes = torch.cat([tensor.abs().flatten() for tensor in tensors])
        # Sorting, and not a threshold, keeps the count exact where magnitudes are equal.
        smallest = magnitudes.argsort(stable=True)[: round(self.share * len(magnitudes))]
        gone = torch.zeros_like(magnitudes, dtype=torch.bool)
        gone[smallest] = True
        parts = torch.split_with_sizes(gone, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor[part.reshape(tensor.shape)] = 0
        return changed
