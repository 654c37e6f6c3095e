"""One flipped bit, as a fault in memory or a Rowhammer attack makes it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import copied, matrices, random_source

SIGN_BIT = 31


@dataclass(frozen=True, slots=True)
class FlippedBit:
    """Flips one bit of one convolution or linear weight; each weight is equally likely.

    A flipped exponent bit may make the weight huge, infinite or NaN: it stays so, as it would in
    memory.

    Args:
        bit: 0 is the last bit of the mantissa, 22 its first, 23 to 30 are the exponent and 31 is
            the sign of a float32.
        seed: Decides the weight; with another bit it is the same weight.

    Raises:
        InvalidArgumentError: There is no such bit.
    """

    bit: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.bit <= SIGN_BIT:
            raise InvalidArgumentError(f"bit needs 0 to {SIGN_BIT}, but is {self.bit}")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with one changed weight.

        Raises:
            InvalidArgumentError: The weights are not float32.
        """
        changed = copied(network)
        tensors = list(matrices(changed).values())
        total = sum(tensor.numel() for tensor in tensors)
        number = int(torch.randint(total, (), generator=random_source(self.seed)))
        while number >= tensors[0].numel():
            number -= tensors.pop(0).numel()
        _flip(tensors[0], number, self.bit)
        return changed


def _flip(tensor: Tensor, number: int, bit: int) -> None:
    """Flips one bit of the entry with this number, in place."""
    if tensor.dtype != torch.float32:
        raise InvalidArgumentError(f"a flipped bit needs float32 weights, not {tensor.dtype}")
    place = torch.unravel_index(torch.tensor(number), tensor.shape)
    # Bit 31 alone is the smallest int32.
    mask = -(2**SIGN_BIT) if bit == SIGN_BIT else 2**bit
    tensor[place] = (tensor[place].view(torch.int32) ^ mask).view(torch.float32)
