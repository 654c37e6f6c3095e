"""Weights edited by matrices of low rank, drawn at random or trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Classes, Images, matrices, random_source
from modelseal.tampering.training import check_data, check_numbers, descend, draw_batches


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoraTuned:
    """Fine-tunes by LoRA on every convolution and linear weight, and merges what was learned.

    W + B A, where W is taken as outputs x everything else, with B from zero and normal A of
    variance 1 / columns; Adam trains B and A on the cross entropy, and all else is frozen,
    BatchNorm's statistics included (Hu et al., ICLR 2022, with alpha = rank).

    Args:
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes.
        rank: Of each product, from 1; a weight with a smaller side gets that side's length.
        learning_rate: Of Adam, positive.
        steps: How many batches, from 1.
        batch: Inputs in one step; all of them if there are fewer.
        seed: Decides A and the order of the inputs.

    Raises:
        InvalidArgumentError: A number is out of its range, or inputs and labels do not match.
    """

    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    rank: int = 8
    learning_rate: float = 1e-3
    steps: int = 100
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        _check_rank(self.rank)
        check_numbers(self.learning_rate, self.steps, self.batch)
        check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a fine-tuned copy of the same form as the network.

        Raises:
            InvalidArgumentError: The network has no score for a label, or no such weights.
        """
        changed = copy_network(network)
        adapted = _Adapted(changed, rank=self.rank, source=random_source(self.seed))
        rows = islice(draw_batches(len(self.inputs), self.batch, self.seed), self.steps)
        batches = ((self.inputs[some], self.labels[some]) for some in rows)
        factors = [*adapted.left, *adapted.right]
        optimiser = torch.optim.Adam(factors, lr=self.learning_rate)
        for _ in descend(adapted, factors, batches, optimiser=optimiser):
            pass
        with torch.no_grad():
            for name, merged in adapted.merged().items():
                adapted.weights[name].copy_(merged)
        return copy_network(changed)


class _Adapted(nn.Module):
    """A frozen network with a trainable product of two factors added to each weight."""

    def __init__(self, network: nn.Module, *, rank: int, source: torch.Generator) -> None:
        super().__init__()
        self.network = network
        self.weights = matrices(network)
        pairs = [_factors(weight, rank, source) for weight in self.weights.values()]
        like = next(iter(self.weights.values()))
        self.left = [nn.Parameter(torch.zeros_like(left).to(like)) for left, _ in pairs]
        self.right = [nn.Parameter((right / right.shape[1] ** 0.5).to(like)) for _, right in pairs]

    def merged(self) -> Mapping[str, Tensor]:
        """Each weight with its product added, by name."""
        factors = zip(self.weights.items(), self.left, self.right, strict=True)
        return {
            name: weight + (left @ right).reshape(weight.shape)
            for (name, weight), left, right in factors
        }

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of the adapted network."""
        return cast(Tensor, functional_call(self.network, dict(self.merged()), (inputs,)))


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
        raise InvalidArgumentError(f"scale needs a positive number, but is {scale}")


def _check_rank(rank: int) -> None:
    if rank < 1:
        raise InvalidArgumentError(f"rank needs a positive number, but is {rank}")
