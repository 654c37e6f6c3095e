"""The sensitivity to any parameters, slow and obvious: one gradient for each input and output."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from modelseal.generation.sensitivity import Output

SHOWS: dict[Output, Callable[[Tensor], Tensor]] = {
    Output.LOGITS: lambda scores: scores,
    Output.PROBABILITIES: lambda scores: scores.softmax(1),
}


def weight_jacobian(
    network: nn.Module,
    one: Tensor,
    show: Callable[[Tensor], Tensor] = SHOWS[Output.LOGITS],
    names: Sequence[str] | None = None,
) -> Tensor:
    """dy/dW of one input as rows, one class after another, by plain autograd."""
    network = copy.deepcopy(network).requires_grad_()
    weights = [each for name, each in network.named_parameters() if names is None or name in names]
    rows = []
    for value in show(network(one[None]))[0]:
        slopes = torch.autograd.grad(value, weights, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([slope.flatten() for slope in slopes]))
    return torch.stack(rows)


def exact_sensitivity(
    network: nn.Module,
    inputs: Tensor,
    *,
    output: Output,
    parameters: Sequence[str] | None = None,
) -> Tensor:
    """||dy/dW||_F² of each input, in float64: little is left of it where a network is confident."""
    exact = copy.deepcopy(network).double()
    rows = [weight_jacobian(exact, one.double(), SHOWS[output], parameters) for one in inputs]
    return torch.stack([row.square().sum() for row in rows]).to(inputs)
