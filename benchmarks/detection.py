"""Which samples notice which change, by the top-1 label alone."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from changed import changed_networks
from modelseal.generation.gaps import score
from modelseal.selection.cover import cover
from modelseal.types import Array

Noticed: TypeAlias = Bool[np.ndarray, "networks samples"]
"""Whether each sample's label differs under each changed network."""

# Of how many networks of a change single samples are judged: a flipped bit depends on its place.
SEEDS = 10
FLIPS = 50
SET_SIZE = 8
BAG = 64
SELECTIONS = 100
PROBES = 64
# As little as a score may change to count as a change of the function at all.
ANY_CHANGE = 0.0


def notice(
    network: nn.Module, samples: Mapping[str, Tensor], probes: Tensor
) -> tuple[dict[str, dict[str, Noticed]], dict[str, Array]]:
    """Which samples of each method notice each changed network.

    Args:
        network: The sealed one.
        samples: Each method's samples, on the levels.
        probes: Natural images and samples on which a change of any score counts as an effect.

    Returns:
        By change and method whether each sample's label differs, and by change whether the
        network differs at all, in any bit of any score of any probe.
    """
    labels = {name: score(network, rows).argmax(1) for name, rows in samples.items()}
    reference = score(network, probes)
    noticed: dict[str, dict[str, list[Array]]] = defaultdict(lambda: defaultdict(list))
    effects: dict[str, list[bool]] = defaultdict(list)
    for change, number, changed in changed_networks(network):
        for name, rows in samples.items():
            if name == "boundary" or number < seeds(change):
                shown = score(changed, rows).argmax(1)
                noticed[change][name].append((shown != labels[name]).numpy())
        if change == "mantissa":
            moved = (score(changed, probes) - reference).abs().max().item() > ANY_CHANGE
            effects[change].append(moved)
    return (
        {change: {k: np.stack(v) for k, v in rows.items()} for change, rows in noticed.items()},
        {change: np.array(moved) for change, moved in effects.items()},
    )


def choose_sets(active: Array, generator: np.random.Generator) -> list[Array]:
    """Sets of eight samples, each chosen by MANC out of a random bag of candidates."""
    sets = []
    for _ in range(SELECTIONS):
        bag = generator.permutation(len(active))[:BAG]
        sets.append(bag[list(cover(active[bag], SET_SIZE).order)])
    return sets


def miss(noticed: Noticed, sets: list[Array]) -> float:
    """The share of pairs of a changed network and a set of which no sample notices it."""
    return float(np.mean([~noticed[:, chosen].any(axis=1) for chosen in sets]))


def seeds(change: str) -> int:
    """Of how many networks of a change single samples are judged."""
    return FLIPS if change == "mantissa" else SEEDS


def detect(noticed: Noticed, change: str) -> float:
    """The share of single samples that notice a change, over the first networks."""
    return float(noticed[: seeds(change)].mean())


def spread(inputs: Tensor) -> Tensor:
    """Natural images and uniform noise images, which reach what natural ones do not."""
    inputs = inputs[:PROBES]
    noise = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([inputs, noise])
