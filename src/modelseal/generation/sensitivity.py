"""How strongly the shown outputs react to the weights: S(x) = ||dy/dW||_F².

The objective of He et al. (CVPR 2019). Three ways to the same number: in closed form for the last
linear layer, exactly for any parameters, and estimated for any parameters when there are many
classes.
"""

from collections.abc import Mapping, Sequence
from enum import Enum

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import score
from modelseal.generation.last_layer import run_last_layer
from modelseal.runtime.tensors import Directions, Inputs, PerInput, Probabilities, Scores

# Numbers that are held at the same time: 2^25 floats are 128 MB.
ENTRIES = 2**25
# A backward pass holds about this many numbers for each value of the input beside the gradients:
# the widest activations of a convolutional network and what they were computed from.
ACTIVATIONS = 32


class Output(Enum):
    """The outputs y whose derivatives by the weights are measured."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"


def softmax_jacobian_norm(probabilities: Probabilities) -> PerInput:
    """Squared Frobenius norm of the derivative of the probabilities by the logits.

    The derivative is diag(p) - p pᵀ. Its entries need not be formed, because the sum of their
    squares is Σp² - 2 Σp³ + (Σp²)², which is Σᵢ pᵢ² ((1 - pᵢ)² + Σⱼ pⱼ²) with j over all
    classes but i. The second form is computed, and 1 - p of the highest class as the sum of all
    others: a confident network's norm would be lost to rounding otherwise, and its gradient too.

    Returns:
        Values from 0, where one class is certain, to 1/4, where two classes share everything.
    """
    highest = probabilities.argmax(1, keepdim=True)
    first = probabilities.gather(1, highest)[:, 0]
    others = probabilities.scatter(1, highest, 0.0)
    squares = others.square()
    alike = squares.sum(1)
    rest = (1 - others).square() + (first.square() + alike)[:, None] - squares
    return first.square() * (others.sum(1).square() + alike) + (squares * rest).sum(1)


def last_layer_sensitivity(network: nn.Module, inputs: Inputs, *, output: Output) -> PerInput:
    """Sensitivity to the last linear layer, from one forward pass; differentiable by the inputs.

    With h what goes into the layer, dz_i/dW has h in row i and zeros elsewhere, so that
    S = ||A||_F² (||h||² + 1), where A = dy/dz is the identity for logits and diag(p) - p pᵀ for
    probabilities. The 1 is the bias's part, and is left out if the layer has none.

    Args:
        network: In evaluation mode; takes inputs, gives scores.
        inputs: Where to measure.
        output: Which outputs are meant.

    Raises:
        InvalidArgumentError: The scores do not come straight from a `torch.nn.Linear`.
    """
    last = run_last_layer(network, inputs)
    features = last.features.square().sum(1)
    if last.module.bias is not None:
        features = features + 1
    if output is Output.LOGITS:
        return features * last.scores.shape[1]
    return features * softmax_jacobian_norm(last.scores.softmax(1))


def exact_sensitivity(
    network: nn.Module,
    inputs: Inputs,
    *,
    output: Output,
    parameters: Sequence[str] | None = None,
) -> PerInput:
    """Sensitivity to any parameters, exactly: one backward pass for each class.

    Args:
        network: In evaluation mode; takes inputs, gives scores. Whether its parameters require
            gradients does not matter.
        inputs: Where to measure, at least one.
        output: Which outputs are meant.
        parameters: Names out of `network.named_parameters()`; all floating ones by default.

    Raises:
        InvalidArgumentError: There are no inputs, a name is unknown, or the network is training.
    """
    chosen = choose_parameters(network, parameters)
    classes = count_classes(network, inputs)
    basis = torch.eye(classes, dtype=inputs.dtype, device=inputs.device)
    directions = basis.expand(len(inputs), -1, -1)
    return squared_derivatives(network, inputs, directions, output=output, parameters=chosen).sum(1)


def estimated_sensitivity(
    network: nn.Module,
    inputs: Inputs,
    *,
    output: Output,
    probes: int,
    generator: Generator,
    parameters: Sequence[str] | None = None,
) -> PerInput:
    """Sensitivity to any parameters, estimated without bias: one backward pass for each probe.

    For v with independent entries of +1 and -1, E ||d(v·y)/dW||_F² = ||dy/dW||_F²
    (Hutchinson 1990). The mean over the probes is returned.

    Args:
        network: As for `exact_sensitivity`.
        inputs: Where to measure, at least one.
        output: Which outputs are meant.
        probes: How many v are drawn for each input, at least 1.
        generator: Where they are drawn from.
        parameters: As for `exact_sensitivity`.

    Raises:
        InvalidArgumentError: As for `exact_sensitivity`, or there are no probes.
    """
    if probes < 1:
        raise InvalidArgumentError(f"at least 1 probe is needed, but got {probes}")
    chosen = choose_parameters(network, parameters)
    shape = (len(inputs), probes, count_classes(network, inputs))
    coins = torch.randint(2, shape, generator=generator, device=generator.device)
    signs = (2 * coins - 1).to(inputs)
    return squared_derivatives(network, inputs, signs, output=output, parameters=chosen).mean(1)


def choose_parameters(network: nn.Module, names: Sequence[str] | None) -> dict[str, Tensor]:
    """The named parameters, or all that are floating, without their part in any graph.

    Raises:
        InvalidArgumentError: A name is unknown, or there are none.
    """
    known = {
        name: parameter.detach()
        for name, parameter in network.named_parameters()
        if parameter.is_floating_point()
    }
    wanted = list(known) if names is None else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise InvalidArgumentError(
            f"parameters need one or more of {', '.join(known) or 'none'}, "
            f"but are {', '.join(unknown) or 'none'}"
        )
    return {name: known[name] for name in wanted}


def count_classes(network: nn.Module, inputs: Inputs) -> int:
    """How many scores a network gives for an input.

    Raises:
        InvalidArgumentError: There is no input, or the network is in training mode, where one
            input's scores depend on another's and on chance.
    """
    if not len(inputs):
        raise InvalidArgumentError("at least one input is needed, but none came")
    if network.training:
        raise InvalidArgumentError("a network in evaluation mode is needed, but it is training")
    return score(network, inputs[:1]).shape[1]


def turn(directions: Tensor, scores: Tensor, *, output: Output) -> Tensor:
    """Directions u of the logits z such that d(u·z)/dW = d(v·y)/dW for directions v of y.

    For probabilities u = diag(p) v - p (p·v), in float64, and after the leading class's entry of
    v is taken from all of v, which changes nothing of u: what is left of it where the network is
    confident would be lost to rounding.

    Args:
        directions: The v: (..., directions, classes).
        scores: The logits: (..., classes).
        output: What y is.
    """
    if output is Output.LOGITS:
        return directions
    shares = scores.detach().double().softmax(-1).unsqueeze(-2)
    leading = scores.argmax(-1, keepdim=True).unsqueeze(-2).expand(*directions.shape[:-1], 1)
    offsets = directions - directions.gather(-1, leading)
    mean = (shares * offsets).sum(-1, keepdim=True)
    turned: Tensor = (shares * (offsets - mean)).to(directions.dtype)
    return turned


def squared_derivatives(
    network: nn.Module,
    inputs: Inputs,
    directions: Directions,
    *,
    output: Output,
    parameters: Mapping[str, Tensor],
) -> Tensor:
    """||d(v·y)/dW||_F² for each input and each of its directions v.

    Many inputs and directions are computed at the same time, as long as that holds no more than
    `ENTRIES` numbers.
    """
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

        return vmap(square, chunk_size=together)(turn(own, shown, output=output))

    pieces = max(ENTRIES // (size * together), 1)
    # Fused attention is run input by input, with a warning.
    with sdpa_kernel(SDPBackend.MATH):
        measured: Tensor = vmap(measure, chunk_size=pieces)(inputs.detach(), directions)
    return measured
