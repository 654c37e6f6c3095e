"""Small changes of a network, and which samples notice them: asked of copies, or foretold."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.errors import ModelsealError
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.generation.gaps import Inputs
from modelseal.models.loader import Model
from modelseal.outputs.specs import OutputSpec, changed_answers
from modelseal.runtime.inference import foreign_errors, run_network
from modelseal.tampering.base import Tampering, matrices
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.weight_changes import (
    SIGN_BIT,
    FlippedBit,
    GaussianNoise,
    Pruned,
    Quantised,
    RankOne,
    Rounded,
)
from modelseal.types import Mask

_EXPONENT_BITS, _TOP_MANTISSA_BITS = range(23, 31), range(19, 23)
# The smallest size of a graded change is 2 to the power of minus this.
_FINEST = 20
# A step of fine-tuning sees so many inputs, of no more than so many values together: that is 128
# images of 32 x 32 with room to spare, and keeps the memory of larger ones in bounds.
BATCH, _MOST_VALUES = 128, 2**20
# Steps are drawn from so many inputs at the most: more make them no more different.
POOL = 512
# Copies and flips are made with random numbers of their own, whatever else has the same seed.
_COPY_STREAM, _FLIP_STREAM = 0x5EA1, 0xF11B
# How many flips are foretold.
FLIPS = 4096
# The bits of a float32 that are flipped: low ones, which few samples notice, the two lowest of the
# exponent, and the sign. The lowest change nothing that shows, the highest nearly everything.
FLIPPED_BITS = (*range(16, 26), SIGN_BIT)
# So many scores follow the flips, the highest ones, and the others stay: each costs a pass.
CLASSES = 16
# So many foretold scores are in memory at once.
AT_ONCE = 2**22


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Changes of one kind, of one size or of several."""

    name: str
    make: Callable[[float, int], Tampering]
    # What sizes are counted in, and they themselves, the smallest change first.
    unit: str | None = None
    levels: tuple[float, ...] = (1.0,)
    # Those that some samples notice and others do not.
    small: tuple[float, ...] = (1.0,)
    # Whether the seed makes no difference.
    fixed: bool = False


def small_copies(
    model: Model, inputs: Inputs, *, draws: int, seed: int, fixed: bool = True
) -> Iterator[nn.Module]:
    """Slightly changed copies of a network, made one at a time.

    One that is dropped before the next, as by `map(ask, small_copies(...))`, is alone in memory. A
    change that cannot be made of this network is left out.
    """
    source = np.random.default_rng((_COPY_STREAM, seed))
    for family in list_families(model, inputs, seed=seed):
        if family.fixed and not fixed:
            continue
        for number in range(len(family.small) if family.fixed else draws):
            level = family.small[number % len(family.small)]
            changed = _apply(family.make(level, draw_seed(source)), model.network)
            if changed is not None:
                yield changed
            # Whoever asked for it has dropped it by now: so do we, before the next one is made.
            del changed


def draw_seed(source: np.random.Generator) -> int:
    """A seed that nobody else has."""
    return int(source.integers(2**62))


def _apply(change: Tampering, network: nn.Module) -> nn.Module | None:
    try:
        with foreign_errors():
            return change(network)
    except ModelsealError:
        return None


def differs(network: nn.Module, samples: Inputs, fingerprint: Fingerprint) -> Mask:
    """Which samples a network answers otherwise than the fingerprint expects."""
    scores = run_network(network, samples, size=min(len(samples), 32))
    return changed_answers(fingerprint.spec, fingerprint.expected, scores)


def list_families(model: Model, inputs: Inputs, *, seed: int) -> tuple[Family, ...]:
    """The families of small changes, fixed ones from 2^-20 to 1."""
    whole = _powers(_FINEST, 0)
    noise, norm = "of each layer's spread", "of one layer's norm"
    fixed = partial(Family, fixed=True)
    return (
        Family(
            name="Gaussian noise",
            unit=noise,
            make=GaussianNoise,
            levels=whole,
            small=_powers(14, 9),
        ),
        _step_family(model, inputs, seed=seed),
        Family(
            name="an edit of rank one", unit=norm, make=RankOne, levels=whole, small=_powers(12, 7)
        ),
        _flip_family("sign bit", range(SIGN_BIT, SIGN_BIT + 1)),
        _flip_family("exponent bit", _EXPONENT_BITS),
        _flip_family("bit among the top four of the mantissa", _TOP_MANTISSA_BITS),
        fixed(
            name="pruning",
            unit="of all weights",
            make=lambda share, _: Pruned(share),
            levels=_powers(12, 1),
            small=_powers(10, 5),
        ),
        fixed(
            name="quantised weights",
            unit="of each layer's range",
            # A grid of 2^b values has steps of nearly 2^-b of the range.
            make=lambda step, _: Quantised(round(-np.log2(step))),
            levels=_powers(16, 1),
            small=_powers(13, 8),
        ),
        fixed(name="weights rounded to float16", make=lambda *_: Rounded(torch.float16)),
        fixed(name="weights rounded to bfloat16", make=lambda *_: Rounded(torch.bfloat16)),
    )


def _step_family(model: Model, inputs: Inputs, *, seed: int) -> Family:
    """One step of fine-tuning on a random part of the inputs, labelled by the network itself."""
    source = torch.Generator().manual_seed(seed)
    pool = inputs[torch.randperm(len(inputs), generator=source)[:POOL].to(inputs.device)]
    labels = torch.from_numpy(run_network(model.network, pool).argmax(axis=1)).to(pool.device)
    # No more than half of them, so that no two steps are the same.
    batch = max(1, min(BATCH, len(pool) // 2, _MOST_VALUES // pool[0].numel()))

    def make(rate: float, number: int) -> Tampering:
        return SgdSteps(
            learning_rate=rate, steps=1, inputs=pool, labels=labels, batch=batch, seed=number
        )

    return Family(
        name=f"one SGD step on {batch} inputs",
        unit="as the learning rate",
        make=make,
        levels=_powers(_FINEST, 0),
        small=_powers(18, 9),
    )


def _flip_family(name: str, bits: range) -> Family:
    return Family(
        name=f"a flipped {name} of a random weight",
        make=lambda _, seed: FlippedBit(bits[seed % len(bits)], seed=seed),
    )


def _powers(finest: int, coarsest: int) -> tuple[float, ...]:
    return tuple(2.0**-number for number in range(finest, coarsest - 1, -1))


@dataclass(frozen=True, slots=True, eq=False)
class Flips:
    """Flipped bits by the name of the tensor: the number of the weight, and how far it moves."""

    places: Mapping[str, Int64[np.ndarray, "..."]]
    moves: Mapping[str, Float64[np.ndarray, "..."]]


def foretell_flips(
    network: nn.Module, samples: Inputs, *, spec: OutputSpec, seed: int, count: int = FLIPS
) -> Bool[np.ndarray, "batch flips"]:
    """Which of thousands of flipped bits each sample notices, foretold to the first order.

    A score is taken to move by its derivative by the weight times the move of the weight: a sample
    costs a few backward passes, however many flips there are. What is foretold only helps to choose
    samples: what they notice is measured on copies.
    """
    none = np.zeros((len(samples), 0), dtype=bool)
    try:
        weights = matrices(network)
        if any(weight.dtype != torch.float32 for weight in weights.values()):
            return none
        flips = draw_flips(weights, seed=seed, count=count)
        with foreign_errors():
            rows = [_foretell(network, sample[None], flips, spec) for sample in samples]
    except ModelsealError:
        return none
    return np.array(rows)


def draw_flips(weights: Mapping[str, Tensor], *, seed: int, count: int) -> Flips:
    """Random flips; every weight is equally likely."""
    source = np.random.default_rng((_FLIP_STREAM, seed))
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    numbers = np.sort(source.integers(ends[-1], size=count))
    bits = source.choice(np.array(FLIPPED_BITS, np.uint32), size=count)
    masks = (np.uint32(1) << bits).view(np.int32)
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


def _foretell(
    network: nn.Module, sample: Inputs, flips: Flips, spec: OutputSpec
) -> Bool[np.ndarray, " flips"]:
    own, classes, moved = _follow(network, sample, flips)
    step, noticed = max(1, AT_ONCE // len(own)), []
    for first in range(0, moved.shape[1], step):
        some = moved[:, first : first + step]
        before = np.repeat(own[None], some.shape[1], axis=0)
        scores = before.copy()
        scores[:, classes] += some.T
        agree = spec.agree(spec.reveal(before), spec.reveal(scores))
        noticed.append(~agree & np.isfinite(scores).all(axis=1))
    return np.concatenate(noticed)


def _follow(
    network: nn.Module, sample: Inputs, flips: Flips
) -> tuple[Float64[np.ndarray, " classes"], list[int], Float64[np.ndarray, "followed flips"]]:
    """All scores of one sample, the highest classes, and how far these follow each flip."""
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
