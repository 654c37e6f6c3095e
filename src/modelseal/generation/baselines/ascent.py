"""Projected ascent on the sensitivity, to the last layer or to all weights."""

from math import inf, sqrt

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from modelseal.domain import Domain
from modelseal.generation.baselines import check_at_least, check_positive
from modelseal.generation.gaps import Inputs, Objective, PerInput, Projection, Shared, split
from modelseal.generation.image_quality import total_variation
from modelseal.generation.sensitivity import (
    ACTIVATIONS,
    ENTRIES,
    Output,
    choose_parameters,
    count_classes,
    last_layer_sensitivity,
)

# Adam moves every value by about this much in a step: a tenth of a grey level of inputs in 0 to 1.
# Of 0.03 to 2 grey levels it led to the highest sensitivity of ResNet-20 after 100 steps; with
# larger ones inputs jump to and fro over the boundary.
LEARNING_RATE = 0.1 / 255
# Adam's guard against division by zero. The sensitivity of a confident network has gradients far
# below the usual 1e-8, which would hold such an input where it is; below this one float32 cannot
# hold their squares.
_GUARD = 1e-16


def project_l2(inputs: Inputs, centre: Inputs, *, radius: float) -> Inputs:
    """The nearest inputs within Euclidean distance `radius`, above 0, of each one's centre."""
    offset = inputs - centre
    length = offset.flatten(1).norm(dim=1).clamp(min=radius)
    share: Tensor = radius / length
    return centre + offset * share.view(-1, *[1] * (inputs.dim() - 1))


def ascend(
    objective: Objective,
    start: Inputs,
    *,
    project: Projection,
    steps: int = 100,
    learning_rate: float = LEARNING_RATE,
    threshold: float = inf,
) -> Inputs:
    """Makes an objective large by projected gradient ascent with Adam, each input by itself.

    `project` brings inputs back to where they are allowed to be, after every step; the learning
    rate is in the domain's units. Ascent ends early when every input's best objective is above
    the threshold. The best inputs that were met come back, the projected start among them; an
    objective that is no number is worse than any.
    """
    check_at_least(0, steps=steps)
    check_positive(learning_rate=learning_rate)
    moving = project(start.detach()).clone()
    optimiser = torch.optim.Adam([moving], lr=learning_rate, eps=_GUARD, maximize=True)
    best = moving.clone()
    highest = torch.full((len(best),), -inf, dtype=best.dtype, device=best.device)
    for step in range(steps + 1):
        if step:
            optimiser.step()
            moving.copy_(project(moving))
        values, moving.grad = differentiate(objective, moving)
        better = values > highest
        best[better], highest[better] = moving[better], values[better].to(highest)
        if bool((highest > threshold).all()):
            break
    return best


def differentiate(objective: Objective, inputs: Inputs) -> tuple[PerInput, Inputs]:
    """The objective of each input and its gradient, computed in pieces that fit into memory."""
    values, gradients = [], []
    for rows in split(inputs):
        variable = inputs[rows].detach().requires_grad_()
        found = objective(variable)
        gradients.append(torch.autograd.grad(found.sum(), variable)[0])
        values.append(found.detach())
    return torch.cat(values), torch.cat(gradients)


def sensitivity_objective(
    network: nn.Module, *, output: Output, variation: float = 0.0
) -> Objective:
    """The sensitivity to the last linear layer, minus a penalty on rough images.

    `variation` weighs the total variation in the domain's units, so that the same look costs less
    in a narrower domain; without it the inputs need not be images.
    """
    check_at_least(0, variation=variation)

    def measure(inputs: Inputs) -> PerInput:
        sensitivity = last_layer_sensitivity(network, inputs, output=output)
        if not variation:
            return sensitivity
        return sensitivity - variation * total_variation(inputs)

    return measure


def ascend_whole(
    network: nn.Module,
    start: Inputs,
    *,
    domain: Domain,
    generator: Generator,
    steps: int = 200,
    directions: int = 3,
) -> Inputs:
    """Makes the sensitivity of the probabilities to all weights large, each input by itself.

    The sensitivity is measured in so many directions of the probabilities, the same for every
    input: exact if there are as many as classes, an estimate with fewer. On ResNet-20 three raise
    it as far as all ten do, in a quarter of the time. The network is not touched: the ascent
    differentiates by copies of the weights. The best inputs come back, not yet on the levels.
    """
    check_at_least(1, directions=directions)
    parameters = choose_parameters(network, None)
    classes = count_classes(network, start)
    drawn = draw_directions(classes, count=directions, generator=generator).to(start)
    size = sum(each.numel() for each in parameters.values()) + ACTIVATIONS * start[0].numel()
    # All of a piece's derivatives are kept until they are derived themselves.
    piece = max(ENTRIES // (size * len(drawn)), 1)
    objective = whole_network_objective(network, drawn)
    rate = LEARNING_RATE * domain.span
    return torch.cat(
        [
            ascend(objective, some, project=domain.clamp, steps=steps, learning_rate=rate)
            for some in start.split(piece)
        ]
    )


def draw_directions(classes: int, *, count: int, generator: Generator) -> Shared:
    """Orthogonal directions in which the squared derivatives add up to the sensitivity.

    For the rows v of an orthogonal matrix Σ ||d(v·y)/dW||² = ||dy/dW||²: the classes themselves
    if there are `count` of them or fewer. Of more classes `count` random orthogonal directions
    of squared length classes / count are drawn, whose sum has the right mean.
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
