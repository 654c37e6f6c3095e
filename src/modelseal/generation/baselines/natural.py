"""Rivals that need no search: noise, and natural inputs that the network gets wrong.

Natural inputs as they are are a rival, too, but need no code.
"""

import torch
from torch import Generator, nn

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import score
from modelseal.runtime.tensors import Inputs, Labels, Mask


def uniform_noise(domain: Domain, *, count: int, generator: Generator) -> Inputs:
    """Inputs whose values are drawn evenly from between the bounds; not on the levels.

    Args:
        domain: The valid inputs.
        count: How many, at least 1.
        generator: Where they are drawn from.

    Raises:
        InvalidArgumentError: None are wanted.
    """
    if count < 1:
        raise InvalidArgumentError(f"at least 1 input needs to be wanted, but {count} are")
    shares = torch.rand(
        count, *domain.shape, generator=generator, device=generator.device, dtype=torch.float32
    )
    return domain.clamp(shares * domain.span + domain.bounds[0])


def misclassified(network: nn.Module, inputs: Inputs, labels: Labels) -> Mask:
    """Which natural inputs a network puts into another class than their own.

    As queries they are the strongest of the trivial ways to tell networks apart, known as AKH
    (QuRD, AAAI 2025): they lie beyond a boundary that training did not get right.

    Args:
        network: In evaluation mode; takes inputs, gives scores.
        inputs: Natural inputs.
        labels: The true class of each.

    Raises:
        InvalidArgumentError: There are more inputs than labels, or fewer.
    """
    if len(labels) != len(inputs):
        raise InvalidArgumentError(
            f"one label for each of {len(inputs)} inputs is needed, but got {len(labels)}"
        )
    return score(network, inputs).argmax(1) != labels
