"""Which flips of a bit samples notice, foretold for thousands of flips by a few derivatives.

Scores are taken to follow in the first order: a score plus its derivative by the weight times the
move. That holds where a bit moves its weight little, and tells which scores gain where it moves it
far. One derivative by all weights serves every flip, where a changed copy of the network serves
one; so a sample costs a few backward passes, however many flips there are. What is foretold only
helps to choose samples: what they notice is measured on copies.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.errors import ModelsealError
from modelseal.outputs.specs import OutputSpec
from modelseal.runtime.inference import foreign_errors
from modelseal.runtime.tensors import Inputs
from modelseal.tampering.base import matrices

FLIPS = 4096
"""How many flips there are."""

BITS = (*range(16, 26), 31)
"""The bits of a float32 that are flipped: low ones, which few samples notice, the two lowest of the
exponent, and the sign. The lowest change nothing that shows, the highest nearly everything."""

CLASSES = 16
"""So many scores follow the flips, the highest ones, and the others stay: each costs a pass."""

AT_ONCE = 2**22
"""So many foretold scores are in memory at once."""

# These flips are drawn with random numbers of their own, whatever else has the same seed.
STREAM = 0xF11B


@dataclass(frozen=True, slots=True, eq=False)
class Flips:
    """Flipped bits of random weights, by the tensor that they are in.

    Args:
        places: The number of the weight in its tensor, by the tensor's name.
        moves: How far the flip moves it.
    """

    places: Mapping[str, Int64[np.ndarray, "..."]]
    moves: Mapping[str, Float64[np.ndarray, "..."]]


def foretell_flips(
    network: nn.Module, samples: Inputs, *, spec: OutputSpec, seed: int, count: int = FLIPS
) -> Bool[np.ndarray, "batch flips"]:
    """Which flipped bits each sample notices, to the first order.

    Args:
        network: The network, in evaluation mode.
        samples: As the network takes them, on its device.
        spec: What the endpoint shows.
        seed: Decides the weights and the bits.
        count: How many flips there are.

    Returns:
        A row for each sample; none has a column if the network has no float32 weights of two or
        more axes, or no derivatives by them.
    """
    none = np.zeros((len(samples), 0), dtype=bool)
    try:
        weights = matrices(network)
        if any(weight.dtype != torch.float32 for weight in weights.values()):
            return none
        flips = draw_flips(weights, seed=seed, count=count)
        with foreign_errors():
            rows = [
                np.concatenate(list(notice(network, sample[None], flips, spec)))
                for sample in samples
            ]
    except ModelsealError:
        return none
    return np.array(rows)


def draw_flips(weights: Mapping[str, Tensor], *, seed: int, count: int) -> Flips:
    """Random flips; every weight is equally likely."""
    source = np.random.default_rng((STREAM, seed))
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    numbers = np.sort(source.integers(ends[-1], size=count))
    masks = (np.uint32(1) << source.choice(np.array(BITS, np.uint32), size=count)).view(np.int32)
    tensors = np.searchsorted(ends, numbers, side="right")
    places, moves = {}, {}
    for tensor, (name, weight) in enumerate(weights.items()):
        own = tensors == tensor
        places[name] = numbers[own] - (ends[tensor] - weight.numel())
        values = weight.detach().flatten()[torch.from_numpy(places[name]).to(weight.device)]
        before = values.cpu().numpy()
        after = (before.view(np.int32) ^ masks[own]).view(np.float32)
        moves[name] = after.astype(np.float64) - before
    return Flips(places, moves)


def notice(
    network: nn.Module, sample: Inputs, flips: Flips, spec: OutputSpec
) -> Iterator[Bool[np.ndarray, " flips"]]:
    """Which flips one sample notices, some flips at a time."""
    own, classes, moved = follow(network, sample, flips)
    step = max(1, AT_ONCE // len(own))
    for first in range(0, moved.shape[1], step):
        some = moved[:, first : first + step]
        scores = np.repeat(own[None], some.shape[1], axis=0)
        scores[:, classes] += some.T
        agree = spec.agree(
            spec.reveal(np.repeat(own[None], len(scores), axis=0)), spec.reveal(scores)
        )
        yield ~agree & np.isfinite(scores).all(axis=1)


def follow(
    network: nn.Module, sample: Inputs, flips: Flips
) -> tuple[Float64[np.ndarray, " classes"], list[int], Float64[np.ndarray, "followed flips"]]:
    """How far the highest scores of one sample follow each flip.

    Returns:
        All scores, the classes of the highest, and how far each of these moves.
    """
    # They share the weights' memory; only the derivatives need some of their own.
    loose = {name: each.detach().requires_grad_() for name, each in matrices(network).items()}
    with torch.enable_grad():
        scores = functional_call(network, loose, (sample,))[0]
    classes = scores.topk(min(CLASSES, len(scores))).indices.tolist()
    moved = []
    for number in classes:
        keep = number != classes[-1]
        slopes = torch.autograd.grad(
            scores[number], list(loose.values()), retain_graph=keep, materialize_grads=True
        )
        parts = [
            slope.flatten()[torch.from_numpy(flips.places[name]).to(slope.device)]
            for name, slope in zip(loose, slopes, strict=True)
        ]
        moved.append(torch.cat(parts).double().cpu().numpy())
    moves = np.concatenate([flips.moves[name] for name in loose])
    return scores.detach().double().cpu().numpy(), classes, np.array(moved) * moves
