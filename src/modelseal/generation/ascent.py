"""Projected gradient ascent, and the objective of He et al. (CVPR 2019) for it."""

from math import inf, isfinite

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import cut
from modelseal.generation.naturalness import total_variation
from modelseal.generation.sensitivity import Output, last_layer_sensitivity
from modelseal.generation.shapes import Inputs, Objective, PerInput, Projection

# Adam moves every value by about this much in a step: a tenth of a grey level of inputs in 0 to 1.
# Of 0.03 to 2 grey levels it led to the highest sensitivity of ResNet-20 after 100 steps; with
# larger ones inputs jump to and fro over the boundary.
LEARNING_RATE = 0.1 / 255
# Adam's guard against division by zero. The sensitivity of a confident network has gradients far
# below the usual 1e-8, which would hold such an input where it is; below this one float32 cannot
# hold their squares.
GUARD = 1e-16


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

    Args:
        objective: What to make large. It is given some of the inputs at a time, and each value
            may depend on its own input only.
        start: Where to begin.
        project: Brings all inputs back to where they are allowed to be, after every step.
        steps: How many steps are taken at most, from 0.
        learning_rate: Adam's, in the domain's units, above 0.
        threshold: Ascent ends early when every input's best objective is above it.

    Returns:
        The best inputs that were met, the projected start among them: never worse than that. An
        objective that is no number is worse than any.

    Raises:
        InvalidArgumentError: The number of steps or the learning rate is out of its range.
    """
    if steps < 0 or not (isfinite(learning_rate) and learning_rate > 0):
        raise InvalidArgumentError(
            "steps need to be 0 or more and the learning rate finite and above 0, "
            f"but they are {steps} and {learning_rate}"
        )
    moving = project(start.detach()).clone()
    optimiser = torch.optim.Adam([moving], lr=learning_rate, eps=GUARD, maximize=True)
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
    for rows in cut(inputs):
        variable = inputs[rows].detach().requires_grad_()
        found = objective(variable)
        gradients.append(torch.autograd.grad(found.sum(), variable)[0])
        values.append(found.detach())
    return torch.cat(values), torch.cat(gradients)


def sensitivity_objective(
    network: nn.Module, *, output: Output, variation: float = 0.0
) -> Objective:
    """The sensitivity to the last linear layer, minus a penalty on rough images.

    Args:
        network: In evaluation mode; its scores come straight from a `torch.nn.Linear`.
        output: Which outputs are meant.
        variation: The weight of the total variation, from 0. The inputs are in the domain's
            units, so that the same look costs less in a narrower domain. Without weight the
            inputs need not be images.

    Raises:
        InvalidArgumentError: The weight is out of its range.
    """
    if not (isfinite(variation) and variation >= 0):
        raise InvalidArgumentError(f"variation needs a finite weight from 0, but is {variation}")

    def measure(inputs: Inputs) -> PerInput:
        sensitivity = last_layer_sensitivity(network, inputs, output=output)
        if not variation:
            return sensitivity
        return sensitivity - variation * total_variation(inputs)

    return measure
