"""What the samples of large networks notice: the rows of the first benchmark."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cost import measure_boundary
from modelseal.generation.gaps import score
from modelseal.tampering.base import Tampering
from modelseal.tampering.bits import FlippedBit
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.noise import GaussianNoise
from modelseal.tampering.precision import Quantised, Rounded
from modelseal.tampering.pruning import Pruned
from networks import photographs
from scale_cost import judge, open_subject

# One step of fine-tuning of the large network takes as long as hundreds of forward passes.
BATCH = 8
TOP_MANTISSA_BIT = 22
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
    expected = {key: score(network, rows).argmax(1) for key, rows in sets.items()}
    for change, (draws, make) in rows(images, labels).items():
        noticed: dict[str, list[float]] = {key: [] for key in sets}
        for seed in range(draws):
            changed = make(seed)(network)
            for key, inputs in sets.items():
                other = score(changed, inputs).argmax(1) != expected[key]
                noticed[key].append(float(other.double().mean()))
            del changed
        for key, shares in noticed.items():
            figures[f"scale.{name}.detection.{key}{change}"] = float(np.mean(shares))
    return figures


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
        "mantissa": (20, lambda seed: FlippedBit(TOP_MANTISSA_BIT, seed)),
    }
