"""Weights edited by random matrices of low rank."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import matrices, random_source


@dataclass(frozen=True, slots=True)
class RankOne:
    """Adds a random matrix of rank one to one convolution or linear weight.

    W + scale ||W|| u vᵀ / ||u vᵀ|| with normal u and v, where W is taken as outputs x everything
    else and || || is the Frobenius norm. Methods that edit what a network knows change one matrix
    by rank one in just this form, with u and v computed instead of drawn (ROME: Meng et al.,
    NeurIPS 2022). Each weight is equally likely; one that is all zeros stays.

    Args:
        scale: The norm of what is added, relative to that of the weight; positive.
        seed: Decides the weight and both vectors; with another scale they are the same.

    Raises:
        InvalidArgumentError: The scale is not positive and finite.
    """

    scale: float
    seed: int = 0

    def __post_init__(self) -> None:
        _check_scale(self.scale)

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
    layer (Hu et al., ICLR 2022), where W is taken as outputs x everything else and || || is the
    Frobenius norm. A weight that is all zeros stays.

    Args:
        scale: The norm of what is added, relative to that of each weight; positive.
        rank: Of each product, from 1; a weight with a smaller side gets that side's length.
        seed: Decides the factors; with another scale they are the same.

    Raises:
        InvalidArgumentError: The scale is not positive and finite, or the rank not positive.
    """

    scale: float
    rank: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        _check_rank(self.rank)

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with every weight edited."""
        changed, source = copy_network(network), random_source(self.seed)
        for weight in matrices(changed).values():
            weight += _random_edit(weight, rank=self.rank, scale=self.scale, source=source)
        return changed


def _factors(weight: Tensor, rank: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Normal B (outputs x rank) and A (rank x everything else), in float64 on the CPU."""
    outputs, rest = weight.flatten(1).shape
    inner = min(rank, outputs, rest)
    left = torch.randn(outputs, inner, generator=source, dtype=torch.float64)
    right = torch.randn(inner, rest, generator=source, dtype=torch.float64)
    return left, right


def _random_edit(weight: Tensor, *, rank: int, scale: float, source: torch.Generator) -> Tensor:
    """A random matrix of this rank, shaped like the weight and `scale` times as large."""
    left, right = _factors(weight, rank, source)
    product = left @ right
    factor = scale * float(weight.double().norm()) / float(product.norm())
    return (product * factor).reshape(weight.shape).to(weight)


def _check_scale(scale: float) -> None:
    if not 0 < scale < inf:
        raise InvalidArgumentError(f"expected a positive number, got {scale}", field="scale")


def _check_rank(rank: int) -> None:
    if rank < 1:
        raise InvalidArgumentError(f"expected a positive number, got {rank}", field="rank")
