"""The ascent of He et al. (CVPR 2019) on the sensitivity to all weights of a network."""

from dataclasses import dataclass
from math import isfinite, sqrt

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.ascent import LEARNING_RATE, ascend
from modelseal.generation.sensitivity import (
    ACTIVATIONS,
    ENTRIES,
    choose_parameters,
    count_classes,
)
from modelseal.generation.shapes import Inputs, Objective, PerInput, Shared


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeSettings:
    """The numbers of the ascent.

    Args:
        steps: How many are taken, from 0.
        learning_rate: Adam's, in shares of the domain's span, above 0.
        directions: In how many directions of the probabilities the sensitivity is measured, at
            least 1: exact if there are as many as classes, an estimate with fewer.

    Raises:
        InvalidArgumentError: A value is out of its range.
    """

    steps: int = 200
    learning_rate: float = LEARNING_RATE
    # On ResNet-20 three raise the exact sensitivity as far as all ten do, in a quarter of the time.
    directions: int = 3

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("directions", 1)):
            if getattr(self, name) < least:
                raise InvalidArgumentError(
                    f"{name} needs {least} or more, but is {getattr(self, name)}"
                )
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InvalidArgumentError(
                f"learning_rate needs a finite number above 0, but is {self.learning_rate}"
            )


DEFAULT = WholeSettings()
"""A compromise of what is reached and what it costs."""


def ascend_whole(
    network: nn.Module,
    start: Inputs,
    *,
    domain: Domain,
    generator: Generator,
    settings: WholeSettings = DEFAULT,
) -> Inputs:
    """Makes the sensitivity of the probabilities to all weights large, each input by itself.

    Args:
        network: In evaluation mode; takes inputs, gives scores. It is not touched: the ascent
            differentiates by copies of the weights.
        start: Natural inputs, at least one.
        domain: The valid inputs.
        generator: Where directions are drawn from, the same for every input; not used if there
            are as many as classes.
        settings: The numbers.

    Returns:
        Inputs inside the bounds, not yet on the levels: the best that were met.

    Raises:
        InvalidArgumentError: There are no inputs, the network has no floating parameters, or it
            is training.
    """
    parameters = choose_parameters(network, None)
    directions = draw_directions(
        count_classes(network, start), count=settings.directions, generator=generator
    ).to(start)
    size = sum(each.numel() for each in parameters.values()) + ACTIVATIONS * start[0].numel()
    # All of a piece's derivatives are kept until they are derived themselves.
    piece = max(ENTRIES // (size * len(directions)), 1)
    objective = whole_network_objective(network, directions)
    rate = settings.learning_rate * domain.span
    return torch.cat(
        [
            ascend(objective, some, project=domain.clamp, steps=settings.steps, learning_rate=rate)
            for some in start.split(piece)
        ]
    )


def draw_directions(classes: int, *, count: int, generator: Generator) -> Shared:
    """Orthogonal directions in which the squared derivatives add up to the sensitivity.

    For the rows v of an orthogonal matrix Σ ||d(v·y)/dW||² = ||dy/dW||²: the classes themselves
    if there are `count` of them or fewer. Of more classes `count` random orthogonal directions
    of squared length classes / count are drawn, whose sum has the right mean.

    Args:
        classes: How many there are.
        count: How many directions are wanted at most, at least 1.
        generator: Where they are drawn from.
    """
    if count >= classes:
        return torch.eye(classes)
    drawn = torch.randn(classes, count, generator=generator, device=generator.device)
    basis: Tensor = torch.linalg.qr(drawn).Q.T
    return basis * sqrt(classes / count)


def whole_network_objective(network: nn.Module, directions: Shared) -> Objective:
    """The sum of ||d(v·p)/dW||² over directions v, p the probabilities; differentiable.

    Every input gets its own copy of the weights, by which the derivative of all inputs'
    probabilities is that of each.

    Args:
        network: In evaluation mode; takes inputs, gives scores.
        directions: The v.

    Raises:
        InvalidArgumentError: The network has no floating parameters.
    """
    parameters = choose_parameters(network, None)

    def measure(inputs: Inputs) -> PerInput:
        weights = {
            name: each.expand(len(inputs), *each.shape).requires_grad_()
            for name, each in parameters.items()
        }

        def show(own: dict[str, Tensor], one: Tensor) -> Tensor:
            scores: Tensor = functional_call(network, own, (one[None],))
            return scores.softmax(1)[0]

        probabilities = vmap(show)(weights, inputs)
        parts = []
        for direction in directions:
            total = (probabilities * direction).sum()
            slopes = torch.autograd.grad(
                total, list(weights.values()), create_graph=True, materialize_grads=True
            )
            parts += [slope.flatten(1).square().sum(1) for slope in slopes]
        return torch.stack(parts).sum(0)

    return measure
