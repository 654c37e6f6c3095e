"""What the samples of large networks notice: the rows of the first benchmark.

For a flipped bit of one weight of very many there are two more figures: how often the flip changes
any score of a sample at all, since one that changes none can be noticed by nobody, and how often
one sample or another notices it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cost import measure_boundary
from modelseal.generation.gaps import score
from modelseal.tampering.base import Tampering
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.weight_changes import FlippedBit, GaussianNoise, Pruned, Quantised, Rounded
from networks import photographs
from scale_cost import judge, open_subject

# One step of fine-tuning of the large network takes as long as hundreds of forward passes.
BATCH = 8
TOP_MANTISSA_BIT = 22
FLIP, FLIPS = "mantissa", 100
# What is usual for sealing. Of four classes that tie closely the leader stays in front of every
# fourth change, however small the margin is.
TIED = 10


def measure_rows(name: str) -> Mapping[str, float]:
    """The share of single samples, and of natural images, that notice each change."""
    whole = open_subject(name)
    subject = replace(whole, recipe=replace(whole.recipe, tied=TIED))
    network, naturals = subject.model.network, subject.starts
    made, _, counter = measure_boundary(subject.model, naturals, subject.recipe)
    samples = made[judge(subject, made)[1]]
    images = torch.from_numpy(subject.model.domain.decode(photographs()[:BATCH]))
    labels = score(network, images).argmax(1).roll(1)
    figures = {
        f"scale.{name}.detection_samples": float(len(samples)),
        f"scale.{name}.detection_naturals": float(len(naturals)),
        f"scale.{name}.detection_work": counter.work / len(samples),
    }
    sets = {"": samples, "natural.": naturals}
    expected = {key: score(network, inputs) for key, inputs in sets.items()}
    for change, (draws, make) in rows(images, labels).items():
        found: dict[str, list[tuple[float, ...]]] = {key: [] for key in sets}
        for seed in range(draws):
            changed = make(seed)(network)
            for key, inputs in sets.items():
                found[key].append(compare(expected[key], score(changed, inputs)))
            del changed
        for key, shares in found.items():
            each, some, reached = map(float, np.mean(shares, axis=0))
            row = f"scale.{name}.detection.{key}{change}"
            figures[row] = each
            if change == FLIP:
                figures |= {f"{row}_by_some": some, f"{row}_reached": reached}
    return figures


def compare(before: Tensor, after: Tensor) -> tuple[float, float, float]:
    """The share of labels that are others, whether there is one, and the share of other scores."""
    other = before.argmax(1) != after.argmax(1)
    reached = (before != after).any(1)
    return float(other.double().mean()), float(other.any()), float(reached.double().mean())


def rows(images: Tensor, labels: Tensor) -> Mapping[str, tuple[int, Callable[[int], Tampering]]]:
    """For each change how many networks are made, and the recipe of each by its number."""

    def step(seed: int) -> Tampering:
        return SgdSteps(
            learning_rate=1e-4, steps=1, inputs=images, labels=labels, batch=BATCH, seed=seed
        )

    return {
        "sgd_1e-4": (1, step),
        "int8": (1, lambda seed: Quantised(8)),
        "prune_5": (1, lambda seed: Pruned(0.05)),
        "noise_1e-3": (5, lambda seed: GaussianNoise(1e-3, seed)),
        "fp16": (1, lambda seed: Rounded(torch.float16)),
        FLIP: (FLIPS, lambda seed: FlippedBit(TOP_MANTISSA_BIT, seed)),
    }
