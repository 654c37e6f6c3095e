"""Slightly changed copies of a network, and which samples answer otherwise for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from modelseal.errors import ModelsealError
from modelseal.fingerprint.record import Fingerprint
from modelseal.models.loader import Model
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.inference import foreign_errors, run_network
from modelseal.tampering.base import Tampering
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.low_rank import RankOne
from modelseal.tampering.weight_changes import (
    SIGN_BIT,
    FlippedBit,
    GaussianNoise,
    Pruned,
    Quantised,
    Rounded,
)
from modelseal.types import Mask

Inputs: TypeAlias = Float[Tensor, "batch *shape"]
"""Inputs as the network takes them."""

EXPONENT_BITS = range(23, 31)
TOP_MANTISSA_BITS = range(19, 23)
FINEST = 20
"""The smallest size of a graded change is 2 to the power of minus this."""

# A step of fine-tuning sees so many inputs, of no more than so many values together: that is 128
# images of 32 x 32 with room to spare, and keeps the memory of larger ones in bounds.
BATCH, MOST_VALUES = 128, 2**20
# Steps are drawn from so many inputs at the most: more make them no more different.
POOL = 512
# Copies are made with random numbers of their own, whatever else has the same seed.
STREAM = 0x5EA1


class Kind(Enum):
    """Whether a seed makes a difference."""

    DRAWN = "drawn"
    """Each seed gives another change: noise, steps, edits, flips."""
    FIXED = "fixed"
    """There is one of each size: pruning, quantisation, rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Changes of one kind.

    Args:
        name: What a change is called.
        make: The change of a size and a seed.
        unit: What its size is counted in; None if there is one size only.
        levels: The sizes, from the smallest change to the largest.
        small: Those that some samples notice and others do not.
        fixed: Whether the seed makes no difference.
    """

    name: str
    make: Callable[[float, int], Tampering]
    unit: str | None = None
    levels: tuple[float, ...] = (1.0,)
    small: tuple[float, ...] = (1.0,)
    fixed: bool = False


def small_copies(
    model: Model,
    inputs: Inputs,
    *,
    draws: int,
    seed: int,
    kinds: tuple[Kind, ...] = tuple(Kind),
) -> Iterator[nn.Module]:
    """Slightly changed copies of a network, made one at a time.

    A copy that is dropped before the next one is asked for leaves the memory at one copy beside
    the original, as in `map(ask, small_copies(...))`. A change that cannot be made of this
    network, such as a flipped float32 bit where the weights are of another type, is left out.

    Args:
        model: The network.
        inputs: What a step of fine-tuning is made with, labelled by the network itself.
        draws: How many random changes of each family, each of another seed.
        seed: Decides the changes; their own seeds are random numbers below 2^62, so that they
            are none of the small numbers that other changes are made with.
        kinds: Which kinds of changes.
    """
    source = np.random.default_rng((STREAM, seed))
    for family in list_families(model, inputs, seed=seed):
        if (Kind.FIXED if family.fixed else Kind.DRAWN) not in kinds:
            continue
        count = len(family.small) if family.fixed else draws
        for number in range(count):
            level = family.small[number % len(family.small)]
            changed = applied(family.make(level, draw_seed(source)), model.network)
            if changed is not None:
                yield changed
            # Whoever asked for it has dropped it by now: so do we, before the next one is made.
            del changed


def draw_seed(source: np.random.Generator) -> int:
    """A seed that nobody else has."""
    return int(source.integers(2**62))


def applied(change: Tampering, network: nn.Module) -> nn.Module | None:
    """A changed copy, or None if the change cannot be made of this network."""
    try:
        with foreign_errors():
            return change(network)
    except ModelsealError:
        return None


def differs(network: nn.Module, samples: Inputs, fingerprint: Fingerprint) -> Mask:
    """Which samples a network answers otherwise than the fingerprint expects.

    As verifying would have it: a server that shows labels finds the highest score of a row that
    is not finite, too, where NaN counts as the largest. One that shows numbers shows no answer,
    which is undecided: that is no other one.

    Raises:
        SealingError: The network cannot be run.
    """
    scores = run_network(network, samples, size=min(len(samples), 32))
    labels = isinstance(fingerprint.spec, TopLabels)
    told = np.where(np.isnan(scores), np.inf, scores) if labels else scores
    # Changed weights may well give numbers that are not finite.
    with np.errstate(invalid="ignore", over="ignore"):
        agrees = fingerprint.spec.agree(fingerprint.expected, fingerprint.spec.reveal(told))
    other = np.asarray(~agrees)
    return other if labels else other & np.isfinite(scores).all(axis=1)


def list_families(model: Model, inputs: Inputs, *, seed: int) -> tuple[Family, ...]:
    """The families of small changes, graded ones from 2^-20 to 1.

    Args:
        model: The network.
        inputs: What a step of fine-tuning is made with, labelled by the network itself.
        seed: Which inputs, if there are many.
    """
    return (
        Family(
            name="Gaussian noise",
            unit="of each layer's spread",
            make=GaussianNoise,
            levels=powers(FINEST, 0),
            small=powers(14, 9),
        ),
        step_family(model, inputs, seed=seed),
        Family(
            name="an edit of rank one",
            unit="of one layer's norm",
            make=RankOne,
            levels=powers(FINEST, 0),
            small=powers(12, 7),
        ),
        *BIT_FAMILIES,
        *FIXED_FAMILIES,
    )


def step_family(model: Model, inputs: Inputs, *, seed: int) -> Family:
    """One step of fine-tuning on a random part of the inputs, labelled by the network itself."""
    source = torch.Generator().manual_seed(seed)
    pool = inputs[torch.randperm(len(inputs), generator=source)[:POOL].to(inputs.device)]
    labels = torch.from_numpy(run_network(model.network, pool).argmax(axis=1)).to(pool.device)
    # No more than half of them, so that no two steps are the same.
    batch = max(1, min(BATCH, len(pool) // 2, MOST_VALUES // pool[0].numel()))

    def make(rate: float, number: int) -> Tampering:
        return SgdSteps(
            learning_rate=rate, steps=1, inputs=pool, labels=labels, batch=batch, seed=number
        )

    return Family(
        name=f"one SGD step on {batch} inputs",
        unit="as the learning rate",
        make=make,
        levels=powers(FINEST, 0),
        small=powers(18, 9),
    )


def powers(finest: int, coarsest: int) -> tuple[float, ...]:
    """The powers of two from 2^-finest to 2^-coarsest."""
    return tuple(2.0**-number for number in range(finest, coarsest - 1, -1))


def flips(name: str, bits: range) -> Family:
    """One flipped bit among some of a random weight's."""
    return Family(
        name=f"a flipped {name} of a random weight",
        make=lambda _, seed: FlippedBit(bits[seed % len(bits)], seed=seed),
    )


BIT_FAMILIES = (
    flips("sign bit", range(SIGN_BIT, SIGN_BIT + 1)),
    flips("exponent bit", EXPONENT_BITS),
    flips("bit among the top four of the mantissa", TOP_MANTISSA_BITS),
)
"""The bits of a float32 in three groups."""

FIXED_FAMILIES = (
    Family(
        name="pruning",
        unit="of all weights",
        make=lambda share, _: Pruned(share),
        levels=powers(12, 1),
        small=powers(10, 5),
        fixed=True,
    ),
    Family(
        name="quantised weights",
        unit="of each layer's range",
        # A grid of 2^b values has steps of nearly 2^-b of the range.
        make=lambda step, _: Quantised(round(-np.log2(step))),
        levels=powers(16, 1),
        small=powers(13, 8),
        fixed=True,
    ),
    Family(name="weights rounded to float16", make=lambda *_: Rounded(torch.float16), fixed=True),
    Family(name="weights rounded to bfloat16", make=lambda *_: Rounded(torch.bfloat16), fixed=True),
)
"""Changes without chance: there is one of each size."""
