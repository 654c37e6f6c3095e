"""What a network has found in an input before its last layer decides."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import Images
from modelseal.tampering.training import ASKED_AT_ONCE, last_linear

Features: TypeAlias = Float[Tensor, "batch features"]
"""What goes into the last linear layer, one row for each input."""


def features_of(network: nn.Module, inputs: Images) -> Features:
    """The penultimate features of one batch; they stay differentiable by the inputs.

    Args:
        network: Runs its last `nn.Linear` (in the order of declaration) once.
        inputs: Where the network is.

    Raises:
        InvalidArgumentError: There is no such layer, or the network does not run it.
    """
    seen: list[Tensor] = []
    with _watching(last_linear(network), seen):
        network(inputs)
    if not seen:
        raise InvalidArgumentError("the last nn.Linear needs to take part, but is never run")
    return seen[-1].flatten(1)


@torch.no_grad()
def all_features(network: nn.Module, inputs: Images) -> Features:
    """The penultimate features of any number of inputs, on the network's device."""
    like = next(network.parameters())
    parts = inputs.split(ASKED_AT_ONCE)
    return torch.cat([features_of(network, part.to(like)) for part in parts])


@contextmanager
def _watching(layer: nn.Linear, seen: list[Tensor]) -> Iterator[None]:
    """Notes what goes into a layer."""

    def note(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0])

    handle = layer.register_forward_pre_hook(note)
    try:
        yield
    finally:
        handle.remove()
