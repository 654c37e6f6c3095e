"""How well a provider can tell samples from other queries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import (
    Lessons,
    Separation,
    View,
    band_energy,
    closeness,
    laplacian_energy,
    learn,
    noise_level,
    separate,
    suspect,
)
from modelseal.evaluation.inputs import NetworkFiles, open_network, view
from modelseal.evaluation.plan import FEWEST, Subject
from modelseal.evaluation.results import (
    Files,
    Suspicion,
    arrays_file,
    dump,
    read_arrays,
    spotting_file,
)
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

# The values of as many images as are transformed at a time.
_VALUES = 2**20
# Of so many values of natural inputs several copies fit into memory: 445 images at 224 x 224.
_VALUES_AT_ONCE = 2**26


@dataclass(frozen=True, kw_only=True, slots=True)
class SpottingTask:
    """The samples of one subject, to be told from so many other natural inputs."""

    subject: Subject
    files: NetworkFiles
    folder: Path
    naturals: int
    seed: int
    stage: ClassVar[str] = "spotting"

    def __str__(self) -> str:
        return f"spotting samples of {self.subject}"

    def run(self) -> Files:
        """Tries every detector."""
        return {spotting_file(self.subject): dump(suspect_samples(self))}


def suspect_samples(task: SpottingTask) -> Suspicion:
    """How well every detector tells the samples from test inputs that none was made of."""
    model, naturals = view(open_network(task.files), task.subject.method)
    arrays = read_arrays(task.folder / arrays_file(task.subject))
    generator = np.random.default_rng(task.seed)
    others = np.setdiff1d(np.arange(len(naturals)), arrays["sources"])
    room = max(_VALUES_AT_ONCE // naturals[0].size, FEWEST)
    drawn = generator.permutation(others)[: min(task.naturals, room)]
    if min(len(arrays["samples"]), len(drawn)) < FEWEST:
        reason = (
            f"expected {FEWEST} samples and {FEWEST} other natural inputs, "
            f"got {len(arrays['samples'])} and {len(drawn)}"
        )
        return Suspicion(
            subject=task.subject, separations=(), detector="", tried=(), scores=(), reason=reason
        )
    found = spot(
        Material(
            domain=model.domain,
            samples=arrays["samples"],
            sources=naturals[arrays["sources"]],
            naturals=naturals[drawn],
        ),
        generator=generator,
    )
    best = max((found.separations[name] for name in ALONE), key=lambda each: each.auc)
    return Suspicion(
        subject=task.subject,
        separations=tuple(found.separations.values()),
        detector=best.detector,
        tried=tuple(np.flatnonzero(found.tried).tolist()),
        scores=tuple(found.scores[best.detector].tolist()),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Material:
    """What a provider is shown to tell apart."""

    domain: Domain
    samples: Array
    sources: Array
    naturals: Array

    def __post_init__(self) -> None:
        for inputs in (self.samples, self.sources, self.naturals):
            self.domain.check(inputs)
        if len(self.samples) != len(self.sources):
            raise InvalidArgumentError(
                f"expected a source for each of {len(self.samples)} samples, "
                f"got {len(self.sources)}",
                field="sources",
            )
        if min(len(self.samples), len(self.naturals)) < FEWEST:
            raise InvalidArgumentError(
                f"expected at least {FEWEST} samples and natural inputs, "
                f"got {len(self.samples)} and {len(self.naturals)}",
                field="naturals",
            )

    def view(self, codes: Array) -> Array:
        """Inputs between 0 and 1."""
        low, _ = self.domain.bounds
        return (self.domain.decode(codes) - low) / self.domain.span


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Spotted:
    """What came of telling samples from natural inputs, by detector."""

    separations: Mapping[str, Separation]
    scores: Mapping[str, Array] = field(repr=False)
    tried: Mask = field(repr=False)


def spot(
    material: Material, *, generator: np.random.Generator, lessons: Lessons | None = None
) -> _Spotted:
    """Lets every detector tell samples from natural inputs that it has not learned from.

    Natural inputs are split at random, and samples with the natural input that they were made of,
    so that no image is on both sides. Detectors are tried on the samples of one side against the
    natural inputs there, sources among them but for those that compare.
    """
    learned = split(material.sources, generator)
    halves = generator.permutation(len(material.naturals)) < len(material.naturals) // 2
    samples = material.view(material.samples)
    sources = material.view(unique(material.sources[~learned]))
    naturals = material.view(material.naturals)
    tried = np.concatenate([naturals[~halves], sources])
    scores = {
        name: (_in_blocks(statistic, samples[~learned]), _in_blocks(statistic, tried))
        for name, statistic in HIGH_FREQUENCY.items()
    }
    familiar = np.concatenate([naturals[halves], material.view(unique(material.sources[learned]))])
    for name, shown in NETWORKS.items():
        network = learn(
            samples[learned],
            familiar,
            view=shown,
            generator=torch.Generator().manual_seed(int(generator.integers(2**62))),
            lessons=lessons or Lessons(),
        )
        scores[name] = suspect(network, samples[~learned]), suspect(network, tried)
    fresh = naturals[~halves]
    compared = _compare(material, samples[~learned], known=naturals[halves], sources=sources)
    scores |= {name: (rows, closeness(fresh, stock)) for name, (rows, stock) in compared.items()}
    return _Spotted(
        separations={name: separate(name, *pair) for name, pair in scores.items()},
        scores={name: mine for name, (mine, _) in scores.items()},
        tried=~learned,
    )


def _in_blocks(statistic: Callable[[Inputs], PerInput], images: Inputs) -> PerInput:
    size = max(_VALUES // images[0].size, 1)
    parts = [statistic(images[start : start + size]) for start in range(0, len(images), size)]
    return np.concatenate(parts)


def _compare(
    material: Material, samples: Inputs, *, known: Array, sources: Array
) -> dict[str, tuple[Array, Array]]:
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
