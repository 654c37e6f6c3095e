"""How strongly the shown outputs react to the weights: S(x) = ||dy/dW||_F².

The objective of He et al. (CVPR 2019), in closed form for the last linear layer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import Inputs, PerInput, Probabilities, Scores, score

# Numbers that are held at the same time: 2^25 floats are 128 MB.
ENTRIES = 2**25
# A backward pass holds about this many numbers for each value of the input beside the gradients:
# the widest activations of a convolutional network and what they were computed from.
ACTIVATIONS = 32


class Output(Enum):
    """The outputs y whose derivatives by the weights are measured."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _LastLayer:
    """The last linear layer in one run of a network: its name, what went in and what came out.

    The name is empty if the layer is the network; `scores` are the network's, too.
    """

    name: str
    module: nn.Linear
    features: Float[Tensor, "batch features"]
    scores: Scores


def run_last_layer(network: nn.Module, inputs: Inputs) -> _LastLayer:
    """Runs a network and keeps what went into its last linear layer, all differentiable."""
    runs: list[tuple[str, nn.Linear, Tensor, Tensor]] = []
    with _watching_linear(network, runs):
        scores: Tensor = network(inputs)
    for name, module, features, came in runs:
        if came is scores:
            return _LastLayer(name=name, module=module, features=features, scores=scores)
    raise InvalidArgumentError(
        "expected a network whose scores come straight from a torch.nn.Linear, "
        f"got {type(network).__name__}, which changes them afterwards or has no such layer"
    )


@contextmanager
def _watching_linear(
    network: nn.Module, runs: list[tuple[str, nn.Linear, Tensor, Tensor]]
) -> Iterator[None]:
    def note(name: str, module: nn.Linear, arguments: tuple[Tensor, ...], result: Tensor) -> None:
        runs.append((name, module, arguments[0], result))

    handles = [
        module.register_forward_hook(partial(note, name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def softmax_jacobian_norm(probabilities: Probabilities) -> PerInput:
    """Squared Frobenius norm of diag(p) - p pᵀ, the derivative of the probabilities by the logits.

    It is Σp² - 2 Σp³ + (Σp²)² = Σᵢ pᵢ² ((1 - pᵢ)² + Σⱼ pⱼ²) with j over all classes but i, from 0
    to 1/4. The second form is computed, and 1 - p of the highest class as the sum of all others: a
    confident network's norm would be lost to rounding otherwise, and its gradient too.
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
    """
    last = run_last_layer(network, inputs)
    features = last.features.square().sum(1)
    if last.module.bias is not None:
        features = features + 1
    if output is Output.LOGITS:
        return features * last.scores.shape[1]
    return features * softmax_jacobian_norm(last.scores.softmax(1))


def choose_parameters(network: nn.Module, names: Sequence[str] | None) -> dict[str, Tensor]:
    """The named parameters, or all that are floating, without their part in any graph."""
    known = {
        name: parameter.detach()
        for name, parameter in network.named_parameters()
        if parameter.is_floating_point()
    }
    wanted = list(known) if names is None else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise InvalidArgumentError(
            f"expected one or more of {', '.join(known) or 'none'}, "
            f"got {', '.join(unknown) or 'none'}",
            field="parameters",
        )
    return {name: known[name] for name in wanted}


def count_classes(network: nn.Module, inputs: Inputs) -> int:
    """How many scores a network gives for an input.

    In training mode it is refused: one input's scores depend on another's there, and on chance.
    """
    if not len(inputs):
        raise InvalidArgumentError("expected 1 input or more, got none", field="inputs")
    if network.training:
        raise InvalidArgumentError(
            "expected a network in evaluation mode, got one in training", field="network"
        )
    return score(network, inputs[:1]).shape[1]
