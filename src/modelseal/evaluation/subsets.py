"""Chooses sets of samples out of bags of candidates, by every rule."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import numpy as np
from torch import Tensor

from modelseal.evaluation.inputs import Opened, derive_seed
from modelseal.evaluation.results import Picks
from modelseal.evaluation.trials import changed_answers
from modelseal.outputs.specs import OutputSpec
from modelseal.runtime.inference import run_network
from modelseal.sealing.bitflips import foretell_flips
from modelseal.sealing.perturbations import Kind, small_copies
from modelseal.sealing.pipeline import DRAWS
from modelseal.selection.activations import active_neurons
from modelseal.selection.cover import Bits, cover, random_picks
from modelseal.selection.detection import cover_changes
from modelseal.types import Array

Choosing: TypeAlias = Callable[[Array, int, int], tuple[int, ...]]
"""Chooses some samples of a bag; takes the bag, how many, and the bag's number."""


def pick(
    opened: Opened,
    samples: Tensor,
    *,
    spec: OutputSpec,
    rules: Sequence[str],
    sizes: tuple[int, int, int],
    seed: int,
) -> Mapping[str, Picks]:
    """Chooses a set out of each bag by each rule.

    Args:
        opened: The network.
        samples: Its samples, as it takes them.
        spec: What the endpoint shows.
        rules: Names of rules: `manc`, `detection`, `random`.
        sizes: How many bags there are, how many candidates a bag has, and the largest number of
            samples in a set.
        seed: Decides the bags, and the choice at random.

    Returns:
        By rule the numbers of the chosen samples of each bag, in the order of choice. A bag that
        has fewer samples than a set gives all it has.
    """
    number, size, count = sizes
    bags = fill(len(samples), number, size, seed)
    choosing = {rule: CHOOSING[rule](opened, samples, spec, seed) for rule in rules}
    return {
        rule: tuple(choose(bag, min(count, len(bag)), place) for place, bag in enumerate(bags))
        for rule, choose in choosing.items()
    }


def fill(samples: int, bags: int, size: int, seed: int) -> list[Array]:
    """The numbers of samples in each bag, drawn at random; one bag of all if there are no more.

    No sample is twice in a bag, but two bags may share some, as if an owner had made candidates
    of one set of images and others had drawn theirs from it.
    """
    source = np.random.default_rng(derive_seed("bags", seed))
    if samples <= size:
        return [source.permutation(samples)]
    return [source.permutation(samples)[:size] for _ in range(bags)]


def by_neurons(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> Choosing:
    """Maximum active-neuron cover."""
    active = active_neurons(opened.model.network, samples)

    def choose(bag: Array, count: int, place: int) -> tuple[int, ...]:
        return named(bag, cover(active[bag], count).order)

    return choose


def by_detection(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> Choosing:
    """The cover over detected small changes, as sealing chooses but for those without a seed."""
    active = active_neurons(opened.model.network, samples)
    detected = detect_small(opened, samples, spec, seed)
    margins = np.asarray(spec.margin(run_network(opened.model.network, samples)), np.float64)

    def choose(bag: Array, count: int, place: int) -> tuple[int, ...]:
        order = cover_changes(detected[bag], active[bag], margins=margins[bag], count=count)
        return named(bag, order)

    return choose


def by_chance(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> Choosing:
    """At random."""

    def choose(bag: Array, count: int, place: int) -> tuple[int, ...]:
        generator = np.random.default_rng(derive_seed("random", seed, place))
        return named(bag, random_picks(len(bag), count, generator))

    return choose


CHOOSING: Mapping[str, Callable[[Opened, Tensor, OutputSpec, int], Choosing]] = {
    "manc": by_neurons,
    "detection": by_detection,
    "random": by_chance,
}
"""How each rule chooses, readied for the samples of one subject."""


def named(bag: Array, order: Sequence[int]) -> tuple[int, ...]:
    """The numbers of samples at some places of a bag."""
    return tuple(int(bag[place]) for place in order)


def detect_small(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> Bits:
    """Which small changes each sample notices, as rows of bits.

    The changes have seeds of their own, that no trial has, and those that know no seed are left
    out: a set must not be chosen by what it is tried on.
    """
    expected = run_network(opened.model.network, samples)
    copies = small_copies(opened.model, samples, draws=DRAWS, seed=seed, kinds=(Kind.DRAWN,))
    rows = [changed_answers(spec, expected, run_network(changed, samples)) for changed in copies]
    flips = foretell_flips(opened.model.network, samples, spec=spec, seed=seed)
    noticed = np.hstack([np.stack(rows, axis=1), flips])
    return cast(Bits, np.packbits(noticed, axis=1))
