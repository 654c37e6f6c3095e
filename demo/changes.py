"""The changed copies that the demo serves in place of the sealed network."""

from collections.abc import Sequence

import torch
from scans import Scans
from torch import nn

from modelseal.tampering import BadNetsPatch, FlippedBit, Quantised, SgdSteps, Tampering

TARGET = 0
"""The digit that the backdoor's patch stands for."""

TOP_MANTISSA_BIT = 22
DRAWS = range(10)


def backdoor(train: Scans) -> BadNetsPatch:
    """The backdoor: a white patch makes any digit the target."""
    return BadNetsPatch(target=TARGET, inputs=train.inputs, labels=train.labels)


def list_changes(network: nn.Module, train: Scans, test: Scans) -> dict[str, Tampering]:
    """The four changes by name.

    Args:
        network: The network that is to be changed.
        train: What it is trained on further.
        test: Natural digits that decide which weight gets the flipped bit.
    """
    step = SgdSteps(learning_rate=1e-4, steps=1, inputs=train.inputs, labels=train.labels)
    return {
        "8-bit weights": Quantised(8),
        "one SGD step": step,
        "backdoor patch": backdoor(train),
        "one flipped bit": choose_bit(network, test, DRAWS),
    }


def choose_bit(network: nn.Module, scans: Scans, seeds: Sequence[int]) -> FlippedBit:
    """The top mantissa bit of the randomly drawn weight that matters most to natural digits.

    A weight that no digit ever uses could be changed without anybody noticing, and without any
    effect. What the samples of a fingerprint are plays no part in the choice.

    Args:
        network: The network.
        scans: The digits.
        seeds: Each draws one weight.
    """
    flips = [FlippedBit(TOP_MANTISSA_BIT, seed) for seed in seeds]
    return max(flips, key=lambda flip: mean_move(network, flip(network), scans))


@torch.no_grad()
def mean_move(network: nn.Module, changed: nn.Module, scans: Scans) -> float:
    """How far the scores of two networks are apart, on average over digits and classes."""
    return float((network(scans.inputs) - changed(scans.inputs)).abs().mean())
