"""How strongly the outputs react to the weights of any layers, without those derivatives.

The squared norm of the exact derivatives, for all inputs of a batch together: one forward pass, one
backward pass by what comes out of the layers for each output, and products of both.
"""

from collections.abc import Mapping, Sequence
from enum import Enum

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from modelseal.errors import InvalidArgumentError
from modelseal.generation.sensitivity import (
    ACTIVATIONS,
    ENTRIES,
    Output,
    choose_parameters,
    count_classes,
)
from modelseal.research.layer_kinds import Contribution, Lengths, Moment, square_sum
from modelseal.research.parameter_uses import Survey, Watched, survey, watch
from modelseal.runtime.tensors import Directions, Inputs, PerInput, Scores

# Derivatives by what came out of the layers that are held at the same time: 256 MB of them.
SLOPES = 2**26


class Unknown(Enum):
    """What becomes of parameters whose part is not known."""

    REFUSE = "refuse"
    """An error names them."""
    EXCLUDE = "exclude"
    """They are left out."""
    EXACT = "exact"
    """Their part is measured input by input, exactly and slowly."""


def ghost_sensitivity(
    network: nn.Module,
    inputs: Inputs,
    *,
    output: Output,
    parameters: Sequence[str] | None = None,
    excluded: Sequence[str] = (),
    unknown: Unknown = Unknown.REFUSE,
) -> PerInput:
    """Sensitivity to any parameters, exactly and fast, by ghost norms.

    Known are linear layers, convolutions, normalisations, embeddings, attention, and parameters
    that are added or multiplied. A parameter that is used more than once counts with the sum of
    its derivatives.

    Args:
        network: In evaluation mode; takes inputs, gives scores. It is not touched.
        inputs: Where to measure, at least one.
        output: Which outputs are meant.
        parameters: Names out of `network.named_parameters()`; all floating ones by default.
        excluded: Names of parameters, or of modules with all that is in them, to leave out.
        unknown: What becomes of parameters whose part is not known.

    Raises:
        InvalidArgumentError: There are no inputs, a name is unknown, the network is training, or
            a parameter's part is not known and it shall be refused.
    """
    chosen = _leave_out(choose_parameters(network, parameters), excluded)
    classes = count_classes(network, inputs)
    basis = torch.eye(classes, dtype=inputs.dtype, device=inputs.device)
    directions = basis.expand(len(inputs), -1, -1)
    return squared_ghosts(
        network, inputs, directions, output=output, parameters=chosen, unknown=unknown
    ).sum(1)


def squared_ghosts(
    network: nn.Module,
    inputs: Inputs,
    directions: Directions,
    *,
    output: Output,
    parameters: Mapping[str, Tensor],
    unknown: Unknown = Unknown.REFUSE,
) -> Lengths:
    """||d(v·y)/dW||_F² for each input and each of its directions v, as `squared_derivatives`.

    Raises:
        InvalidArgumentError: A parameter's part is not known and it shall be refused.
    """
    inputs = inputs.detach()
    everything = choose_parameters(network, None)
    found = survey(network, inputs, everything, tuple(parameters))
    if found.unknown and unknown is Unknown.REFUSE:
        named = "; ".join(f"{name} ({why})" for name, why in found.unknown.items())
        raise InvalidArgumentError(
            f"expected layers of a known kind, got {named}: exclude them by name, or ask for "
            "Unknown.EXACT"
        )
    # Few inputs with all their directions: what goes into the layers is unfolded once for all.
    piece = max(SLOPES // max(found.size * directions.shape[1], 1), 1)
    parts = []
    for some, own in zip(inputs.split(piece), directions.split(piece), strict=True):
        parts.append(_measure(watch(network, some, everything), own, found, output=output))
    squares = torch.cat(parts)
    if found.unknown and unknown is Unknown.EXACT:
        rest = {name: parameters[name] for name in found.unknown}
        squares += squared_derivatives(network, inputs, directions, output=output, parameters=rest)
    return squares


def _measure(watched: Watched, directions: Directions, found: Survey, *, output: Output) -> Lengths:
    """The squared derivatives by all known parameters, for inputs that fit into memory."""
    scores = watched.scores
    totals = (turn(directions, scores, output=output) * scores[:, None]).sum((0, 2))
    together = max(SLOPES // (found.size * len(scores)), 1)
    pieces = []
    for some in totals.split(together) if found.numbers else ():
        slopes = _differentiate(some, watched, found)
        with torch.no_grad():
            pieces.append(_add_up(watched, slopes, found))
    return torch.cat(pieces, dim=1) if pieces else torch.zeros_like(directions[:, :, 0])


def _differentiate(totals: Tensor, watched: Watched, found: Survey) -> dict[int, Tensor]:
    """The derivatives of some totals by what came out of each use, behind the inputs' axis."""
    edges = [watched.uses[number].edge for number in found.numbers]
    rows = [
        torch.autograd.grad(
            total, edges, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for total in totals
    ]
    pairs = zip(found.numbers, zip(*rows, strict=True), strict=True)
    return {number: torch.stack(row, dim=found.axis(number) + 1) for number, row in pairs}


def _add_up(watched: Watched, slopes: Mapping[int, Tensor], found: Survey) -> Lengths:
    """The squared derivatives by each known parameter, added up over parameters."""

    def contribute(number: int, argument: str) -> Contribution:
        use = watched.uses[number]
        moment = Moment(
            function=use.function,
            given=use.given,
            slopes=slopes[number],
            axis=found.axis(number),
            inputs=len(watched.scores),
        )
        return use.kind.shares[argument](moment, use.given[argument])

    sums = [square_sum([contribute(*use) for use in uses]) for uses in found.uses.values()]
    return torch.stack(sums).sum(0)


def _leave_out(parameters: Mapping[str, Tensor], excluded: Sequence[str]) -> dict[str, Tensor]:
    """The parameters without those of these names, or in modules of these names."""
    met = {
        word: [name for name in parameters if name == word or name.startswith(f"{word}.")]
        for word in excluded
    }
    if strange := [word for word, names in met.items() if not names]:
        raise InvalidArgumentError(
            f"expected parameters or modules with some, got {', '.join(strange)}", field="excluded"
        )
    dropped = {name for names in met.values() for name in names}
    left = {name: each for name, each in parameters.items() if name not in dropped}
    if not left:
        raise InvalidArgumentError("expected at least one parameter left", field="excluded")
    return left


def turn(directions: Tensor, scores: Tensor, *, output: Output) -> Tensor:
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
