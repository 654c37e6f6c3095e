"""The changed networks that single samples and small sets are tested on."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from cifar import images
from modelseal.tampering.base import Tampering
from modelseal.tampering.fine_tuning import SgdSteps
from modelseal.tampering.weight_changes import FlippedBit, GaussianNoise, Pruned, Quantised, Rounded

TOP_MANTISSA_BIT = 22
TRAINING_IMAGES = 4096


def training_data() -> tuple[Tensor, Tensor]:
    """Training images in 0 to 1 and their labels."""
    codes, labels = images("train", TRAINING_IMAGES)
    return torch.from_numpy(codes).float() / 255, torch.from_numpy(labels)


def draws() -> Mapping[str, tuple[int, Callable[[int], Tampering]]]:
    """For each change how many networks are made, and the recipe of each by its number.

    Three changes are fixed: there is one such network. A flipped bit depends most on where it
    falls, so it gets the most draws.
    """
    inputs, labels = training_data()

    def step(seed: int) -> Tampering:
        return SgdSteps(learning_rate=1e-4, steps=1, inputs=inputs, labels=labels, seed=seed)

    return {
        "sgd_1e-4": (100, step),
        "int8": (1, lambda seed: Quantised(8)),
        "prune_5": (1, lambda seed: Pruned(0.05)),
        "noise_1e-3": (100, lambda seed: GaussianNoise(1e-3, seed)),
        "fp16": (1, lambda seed: Rounded(torch.float16)),
        "mantissa": (300, lambda seed: FlippedBit(TOP_MANTISSA_BIT, seed)),
    }


def changed_networks(network: nn.Module) -> Iterator[tuple[str, int, nn.Module]]:
    """Every changed network with the name of its change and its number."""
    for name, (count, recipe) in draws().items():
        for number in range(count):
            yield name, number, recipe(number)(network)
