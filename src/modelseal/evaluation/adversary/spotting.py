"""How well a provider can tell samples from other queries, and what it gains by that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import (
    Lessons,
    View,
    band_energy,
    closeness,
    laplacian_energy,
    learn,
    noise_level,
    suspect,
)
from modelseal.evaluation.roc import Separation, separate
from modelseal.types import Array, Inputs, Mask, PerInput

HIGH_FREQUENCY = {
    "laplacian energy": laplacian_energy,
    "top-band energy": band_energy,
    "noise level": noise_level,
}
"""The statistics of one image."""

NETWORKS = {"network on pixels": View.PIXELS, "network on residuals": View.RESIDUAL}
"""The detectors that learn."""

ALONE = (*HIGH_FREQUENCY, *NETWORKS)
"""The detectors that need to know neither what samples were made of nor what was asked before."""

NEIGHBOURS = ("neighbour of known images", "neighbour of its source", "neighbour of a spent sample")
"""The detectors that compare: with images that no sample was made of, with those that they were
made of, and with the same samples as they were asked before, of which a neighbour by one level in
one value comes now."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Material:
    """What a provider is shown to tell apart.

    Args:
        domain: What a valid input is: images.
        samples: Samples as they are stored.
        sources: The natural input that each sample was made of, in their order; two samples may
            have the same.
        naturals: Other natural inputs, such as the service is sent.

    Raises:
        InvalidArgumentError: The inputs do not fit the domain, there are too few, or not as many
            sources as samples.
    """

    domain: Domain
    samples: Array
    sources: Array
    naturals: Array

    def __post_init__(self) -> None:
        for inputs in (self.samples, self.sources, self.naturals):
            self.domain.check(inputs)
        if len(self.samples) != len(self.sources):
            raise InvalidArgumentError(
                f"a source for each of {len(self.samples)} samples was wanted, but "
                f"{len(self.sources)} came"
            )
        if min(len(self.samples), len(self.naturals)) < FEWEST:
            raise InvalidArgumentError(
                f"at least {FEWEST} samples and natural inputs were wanted, but "
                f"{len(self.samples)} and {len(self.naturals)} came"
            )

    def view(self, codes: Array) -> Array:
        """Inputs between 0 and 1."""
        low, _ = self.domain.bounds
        return (self.domain.decode(codes) - low) / self.domain.span


# The values of as many images as are transformed at a time.
VALUES = 2**20

FEWEST = 8
"""Half of so many are used to learn from, and the other half to be told apart."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spotted:
    """What came of telling samples from natural inputs.

    Args:
        separations: How well each detector does, by its name.
        scores: The score that each detector gave each sample it was tried on.
        tried: Which samples the detectors were tried on: none of them, and no sample of the same
            natural input, was learned from.
    """

    separations: Mapping[str, Separation]
    scores: Mapping[str, Array] = field(repr=False)
    tried: Mask = field(repr=False)


def spot(
    material: Material, *, generator: np.random.Generator, lessons: Lessons | None = None
) -> Spotted:
    """Lets every detector tell samples from natural inputs that it has not learned from.

    Natural inputs are split at random, and samples with the natural input that they were made of,
    so that no image is on both sides. Detectors are tried on the samples of one side against the
    natural inputs there, sources among them but for those that compare.

    Args:
        material: What is told apart.
        generator: The source of the split, of weights and batches.
        lessons: How networks learn.
    """
    learned = split(material.sources, generator)
    halves = generator.permutation(len(material.naturals)) < len(material.naturals) // 2
    samples = material.view(material.samples)
    sources = material.view(unique(material.sources[~learned]))
    naturals = material.view(material.naturals)
    tried = np.concatenate([naturals[~halves], sources])
    scores = {
        name: (in_blocks(statistic, samples[~learned]), in_blocks(statistic, tried))
        for name, statistic in HIGH_FREQUENCY.items()
    }
    familiar = np.concatenate([naturals[halves], material.view(unique(material.sources[learned]))])
    for name, view in NETWORKS.items():
        source = torch.Generator().manual_seed(int(generator.integers(2**62)))
        network = learn(
            samples[learned],
            familiar,
            view=view,
            generator=source,
            lessons=lessons or Lessons(),
        )
        scores[name] = suspect(network, samples[~learned]), suspect(network, tried)
    fresh = naturals[~halves]
    compared = compare(material, samples[~learned], known=naturals[halves], sources=sources)
    scores |= {name: (rows, closeness(fresh, stock)) for name, (rows, stock) in compared.items()}
    return Spotted(
        separations={name: separate(name, *pair) for name, pair in scores.items()},
        scores={name: mine for name, (mine, _) in scores.items()},
        tried=~learned,
    )


def in_blocks(statistic: Callable[[Inputs], PerInput], images: Inputs) -> PerInput:
    """A statistic of each image, for a few at a time: transforms take much memory."""
    size = max(VALUES // images[0].size, 1)
    parts = [statistic(images[start : start + size]) for start in range(0, len(images), size)]
    return np.concatenate(parts)


def compare(
    material: Material, samples: Inputs, *, known: Array, sources: Array
) -> dict[str, tuple[Array, Array]]:
    """By detector that compares, the scores of samples and what it compares with."""
    stocks = (known, np.concatenate([known, sources]), np.concatenate([known, samples]))
    queries = (samples, samples, neighbours(samples, material.domain))
    return {
        name: (closeness(asked, stock), stock)
        for name, asked, stock in zip(NEIGHBOURS, queries, stocks, strict=True)
    }


def neighbours(samples: Inputs, domain: Domain) -> Array:
    """Samples with one value moved by one level, or the samples if the domain has none."""
    moved = samples.reshape(len(samples), -1).copy()
    step = domain.step / domain.span
    moved[:, 0] += np.where(moved[:, 0] > 0.5, -step, step)
    return np.asarray(moved.reshape(samples.shape))


def split(sources: Array, generator: np.random.Generator) -> Mask:
    """Which samples are learned from: those of half of the natural inputs, drawn at random."""
    _, numbers = np.unique(sources.reshape(len(sources), -1), axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)
    half = generator.permutation(int(numbers.max()) + 1) % 2 == 0
    return np.asarray(half[numbers])


def unique(codes: Array) -> Array:
    """Every input once."""
    flat = np.unique(codes.reshape(len(codes), -1), axis=0)
    return np.asarray(flat.reshape(-1, *codes.shape[1:]))
