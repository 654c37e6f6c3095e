"""How strongly the outputs react to the weights of any layers: ||dy/dW||_F², exactly.

One derivative by every weight for each input and output, as many of them at the same time as fit
into memory. Whatever a network is made of, its parameters are known; one that is used more than
once counts with the sum of its derivatives.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import Directions, Inputs, PerInput, Scores
from modelseal.generation.sensitivity import (
    ACTIVATIONS,
    ENTRIES,
    Output,
    choose_parameters,
    count_classes,
)


def weight_sensitivity(
    network: nn.Module,
    inputs: Inputs,
    *,
    output: Output,
    parameters: Sequence[str] | None = None,
    excluded: Sequence[str] = (),
) -> PerInput:
    """Sensitivity to any parameters, for each input."""
    chosen = _leave_out(choose_parameters(network, parameters), excluded)
    classes = count_classes(network, inputs)
    basis = torch.eye(classes, dtype=inputs.dtype, device=inputs.device)
    directions = basis.expand(len(inputs), -1, -1)
    return _squared_derivatives(network, inputs, directions, output=output, parameters=chosen).sum(
        1
    )


def _squared_derivatives(
    network: nn.Module,
    inputs: Inputs,
    directions: Directions,
    *,
    output: Output,
    parameters: Mapping[str, Tensor],
) -> Tensor:
    """||d(v·y)/dW||_F² for each input and each of its directions v, as (batch, directions)."""
    size = sum(parameter.numel() for parameter in parameters.values())
    size += ACTIVATIONS * inputs[0].numel()
    together = min(directions.shape[1], max(ENTRIES // size, 1))

    def measure(one: Tensor, own: Tensor) -> Tensor:
        def show(weights: Mapping[str, Tensor]) -> Tensor:
            scores: Scores = functional_call(network, dict(weights), (one[None],))
            return scores[0]

        shown, pull_back = vjp(show, dict(parameters))[:2]

        def square(direction: Tensor) -> Tensor:
            gradients = pull_back(direction)[0].values()
            return torch.stack([gradient.square().sum() for gradient in gradients]).sum()

        return vmap(square, chunk_size=together)(_turn(own, shown, output=output))

    pieces = max(ENTRIES // (size * together), 1)
    # Fused attention is run input by input, with a warning.
    with sdpa_kernel(SDPBackend.MATH):
        measured: Tensor = vmap(measure, chunk_size=pieces)(inputs.detach(), directions)
    return measured


def _turn(directions: Tensor, scores: Tensor, *, output: Output) -> Tensor:
    """Directions u of the logits z such that d(u·z)/dW = d(v·y)/dW for directions v of y.

    For probabilities u = diag(p) v - p (p·v), in float64, and after the leading class's entry of
    v is taken from all of v, which changes nothing of u: what is left of it where the network is
    confident would be lost to rounding.
    """
    if output is Output.LOGITS:
        return directions
    shares = scores.detach().double().softmax(-1).unsqueeze(-2)
    leading = scores.argmax(-1, keepdim=True).unsqueeze(-2).expand(*directions.shape[:-1], 1)
    offsets = directions - directions.gather(-1, leading)
    mean = (shares * offsets).sum(-1, keepdim=True)
    turned: Tensor = (shares * (offsets - mean)).to(directions.dtype)
    return turned


def _leave_out(parameters: Mapping[str, Tensor], excluded: Sequence[str]) -> dict[str, Tensor]:
    met = {
        word: {name for name in parameters if name == word or name.startswith(f"{word}.")}
        for word in excluded
    }
    if strange := [word for word, names in met.items() if not names]:
        raise InvalidArgumentError(
            f"expected parameters or modules with some, got {', '.join(strange)}", field="excluded"
        )
    dropped = set().union(*met.values())
    left = {name: each for name, each in parameters.items() if name not in dropped}
    if not left:
        raise InvalidArgumentError("expected at least one parameter left", field="excluded")
    return left
