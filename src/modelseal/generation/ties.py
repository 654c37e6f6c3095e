"""Inputs at which several classes tie, by minimum-norm Newton steps."""

from math import sqrt

import torch
from torch import Tensor, nn

from modelseal.domain import Domain
from modelseal.generation.gaps import (
    Gaps,
    Inputs,
    Jacobian,
    Numbers,
    PerInput,
    Ranking,
    differentiate_gaps,
)

# The longest step, in shares of the domain's span for each value (4 of 255 grey levels): beyond
# it the linear model of a ReLU network says little.
_TRUST = 4 / 255
# Rounding to the nearest level moves a value by this share of a level's width on average (the
# standard deviation of a uniform error): to be nearer to the tie than that moves it is wasted.
_ROUNDING = 1 / sqrt(12)
# Scores are float32: a gap cannot be brought nearer to its aim than a few units in the last
# place of scores of size 10 to 100. A small aim needs to be met to a share of itself all the same.
FLOAT_TOLERANCE = 1e-5
_AIM_SHARE = 0.25
# A regulariser so small that it only matters when two gaps have the same gradient, and yet above
# the 1e-7 below which float32 would lose it.
_RIDGE = 1e-6
# What it is a share of when nothing depends on the input at all: any number that float32 knows.
_SMALLEST = 1e-20


def tie(
    network: nn.Module,
    start: Inputs,
    ranking: Ranking,
    *,
    domain: Domain,
    aim: PerInput,
    steps: int = 12,
) -> Inputs:
    """Moves inputs to where all gaps of their ranking are equal to `aim`, as near as possible.

    With c the gaps minus the aim and J = dc/dx, a step is dx = -Jᵀ (J Jᵀ)⁻¹ c, the shortest one
    that solves the linear model, shortened to a trust radius and clamped to the bounds. An
    input stops when rounding it to the domain's levels would move its gaps more than they are
    off; about five steps are usual. An aim of 0, in scores, is an exact tie.
    """
    inputs = start.clone()
    near = torch.where(aim > 0, _AIM_SHARE * aim, FLOAT_TOLERANCE).clamp(max=FLOAT_TOLERANCE)
    active = torch.arange(len(inputs), device=inputs.device)
    for _ in range(steps):
        gaps, jacobian = differentiate_gaps(network, inputs[active], ranking.take(active))
        residual = gaps - aim[active, None]
        reach = domain.step * _ROUNDING * jacobian.norm(dim=2) + near[active, None]
        moving = (residual.abs() > reach).any(dim=1)
        active = active[moving]
        if not len(active):
            break
        inputs[active] = _step(inputs[active], jacobian[moving], residual[moving], domain=domain)
    return inputs


def _step(inputs: Inputs, jacobian: Jacobian, residual: Gaps, *, domain: Domain) -> Inputs:
    """One Newton step inside the bounds.

    Values that a step would push out of the bounds stay where they are, and the step is computed
    anew without them: an image with white ground would else lose most of every step.
    """
    flat = inputs.flatten(1)
    change = shortest_change(jacobian, residual, domain=domain)
    held = (domain.clamp(flat + change) == flat) & (change != 0)
    change = shortest_change(jacobian * ~held[:, None], residual, domain=domain)
    return domain.clamp(flat + change).view_as(inputs)


def shortest_change(jacobian: Jacobian, residual: Gaps, *, domain: Domain) -> Numbers:
    """The shortest change, laid flat, that the linear model says removes the residual.

    It is no longer than the trust radius, and in the domain's units.
    """
    gram = jacobian @ jacobian.transpose(1, 2)
    ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=_SMALLEST)
    eye = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram + ridge[:, None, None] * eye, residual[:, :, None])
    change: Tensor = -(jacobian.transpose(1, 2) @ weights).squeeze(2)
    trust = _TRUST * domain.span * sqrt(change.shape[1])
    share: Tensor = trust / change.norm(dim=1, keepdim=True).clamp(min=trust)
    return change * share
