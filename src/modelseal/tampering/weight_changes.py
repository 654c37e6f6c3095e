"""Weights with noise, pruned, quantised, rounded, edited, or with a flipped bit."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights, matrices, random_source


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Adds normal noise to every floating parameter and BatchNorm statistic.

    Its standard deviation is `scale` times that of the tensor, so a tensor of equal entries stays.
    A variance that noise would make negative is mirrored.

    Args:
        scale: Positive; 1 drowns the weights, 1e-3 is hardly seen in the accuracy.
        seed: Decides the noise.
    """

    scale: float
    seed: int = 0

    def __post_init__(self) -> None:
        _check("scale", self.scale, 0 < self.scale < inf, "a positive number")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a noisy copy."""
        changed, source = copy_network(network), random_source(self.seed)
        for name, tensor in all_weights(changed).items():
            noise = torch.randn(tensor.shape, generator=source).to(tensor)
            tensor += self.scale * tensor.std(correction=0) * noise
            if name.endswith("running_var"):
                tensor.abs_()
        return changed


@dataclass(frozen=True, slots=True)
class Pruned:
    """Sets the convolution and linear weights of smallest magnitude to zero.

    They are ranked over the whole network, not layer by layer; biases and BatchNorm stay.

    Args:
        share: Which part of these weights becomes zero, above 0 and up to 1, to the nearest one.
    """

    share: float

    def __post_init__(self) -> None:
        _check("share", self.share, 0 < self.share <= 1, "more than 0 and up to 1")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a pruned copy."""
        changed = copy_network(network)
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


SIGN_BIT = 31


@dataclass(frozen=True, slots=True)
class FlippedBit:
    """Flips one bit of one convolution or linear weight; each weight is equally likely.

    The weight may become huge, infinite or NaN, and stays so, as it would in memory.

    Args:
        bit: Of a float32: 0 to 22 are the mantissa from its last bit, 23 to 30 the exponent, 31 is
            the sign.
        seed: Decides the weight; with another bit it is the same weight.
    """

    bit: int
    seed: int = 0

    def __post_init__(self) -> None:
        _check("bit", self.bit, 0 <= self.bit <= SIGN_BIT, f"0 to {SIGN_BIT}")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with one changed weight."""
        changed = copy_network(network)
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
        raise InvalidArgumentError(f"expected float32 weights, got {tensor.dtype}")
    place = torch.unravel_index(torch.tensor(number), tensor.shape)
    # Bit 31 alone is the smallest int32.
    mask = -(2**SIGN_BIT) if bit == SIGN_BIT else 2**bit
    tensor[place] = (tensor[place].view(torch.int32) ^ mask).view(torch.float32)


@dataclass(frozen=True, slots=True)
class Quantised:
    """Moves convolution and linear weights to the nearest of 2^bits values.

    Each tensor has a grid of its own: evenly spaced from its smallest to its largest entry, both
    included. Biases and BatchNorm (everything of one axis) stay, as quantised networks keep them.

    Args:
        bits: 1 to 16.
    """

    bits: int

    def __post_init__(self) -> None:
        _check("bits", self.bits, 1 <= self.bits <= 16, "1 to 16")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with quantised weights."""
        changed = copy_network(network)
        for tensor in matrices(changed).values():
            tensor.copy_(_on_grid(tensor, 2**self.bits - 1))
        return changed


@dataclass(frozen=True, slots=True)
class Rounded:
    """Rounds every floating parameter and BatchNorm statistic to a shorter format and back.

    Args:
        dtype: `torch.float16` or `torch.bfloat16`.
    """

    dtype: torch.dtype

    def __post_init__(self) -> None:
        _check(
            "dtype",
            self.dtype,
            self.dtype in {torch.float16, torch.bfloat16},
            "float16 or bfloat16",
        )

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with rounded weights of the same type as before."""
        changed = copy_network(network)
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


@dataclass(frozen=True, slots=True)
class RankOne:
    """Adds a random matrix of rank one to one convolution or linear weight.

    W + scale ||W|| u vᵀ / ||u vᵀ|| with normal u and v, where W is outputs x everything else and
    || || the Frobenius norm: the form of edits of what a network knows (ROME: Meng et al., NeurIPS
    2022), drawn instead of computed. Each weight is equally likely; one that is all zeros stays.

    Args:
        scale: The norm of what is added, relative to that of the weight; positive.
        seed: Decides the weight and both vectors; with another scale they are the same.
    """

    scale: float
    seed: int = 0

    def __post_init__(self) -> None:
        _check("scale", self.scale, 0 < self.scale < inf, "a positive number")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with one edited weight."""
        changed, source = copy_network(network), random_source(self.seed)
        weights = list(matrices(changed).values())
        weight = weights[int(torch.randint(len(weights), (), generator=source))]
        weight += _random_edit(weight, rank=1, scale=self.scale, source=source)
        return changed


@dataclass(frozen=True, slots=True)
class LowRank:
    """Adds a random product of low rank to every convolution and linear weight.

    W + scale ||W|| B A / ||B A|| with normal B and A: the form of a merged LoRA adapter on each
    layer (Hu et al., ICLR 2022), where W is outputs x everything else and || || the Frobenius norm.
    A weight that is all zeros stays.

    Args:
        scale: The norm of what is added, relative to that of each weight; positive.
        rank: Of each product, from 1; a weight with a smaller side gets that side's length.
        seed: Decides the factors; with another scale they are the same.
    """

    scale: float
    rank: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        _check("scale", self.scale, 0 < self.scale < inf, "a positive number")
        _check("rank", self.rank, self.rank >= 1, "a positive number")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with every weight edited."""
        changed, source = copy_network(network), random_source(self.seed)
        for weight in matrices(changed).values():
            weight += _random_edit(weight, rank=self.rank, scale=self.scale, source=source)
        return changed


def _random_edit(weight: Tensor, *, rank: int, scale: float, source: torch.Generator) -> Tensor:
    """A random matrix of this rank, shaped like the weight and `scale` times as large."""
    outputs, rest = weight.flatten(1).shape
    inner = min(rank, outputs, rest)
    # In float64 and on the CPU, so that every device gets the same.
    left = torch.randn(outputs, inner, generator=source, dtype=torch.float64)
    product = left @ torch.randn(inner, rest, generator=source, dtype=torch.float64)
    factor = scale * float(weight.double().norm()) / float(product.norm())
    return (product * factor).reshape(weight.shape).to(weight)


def _check(field: str, value: object, fits: bool, expected: str) -> None:  # noqa: FBT001 (a fact)
    if not fits:
        raise InvalidArgumentError(f"expected {expected}, got {value}", field=field)
