"""What a tampering is, and which tensors of a network are its weights."""

from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError

# Inputs inside the domain's bounds, and their classes; that there are as many is checked apart.
Images: TypeAlias = Float[Tensor, "batch *shape"]
Classes: TypeAlias = Int[Tensor, " labelled"]
# The same, held out: the network was not trained on them, and there may be another number.
HeldImages: TypeAlias = Float[Tensor, "held *shape"]
HeldClasses: TypeAlias = Int[Tensor, " held_labelled"]


@runtime_checkable
class Tampering(Protocol):
    """A frozen recipe that changes networks; its `repr` is its name everywhere."""

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a changed copy; the network itself stays as it is."""
        ...


def all_weights(network: nn.Module) -> dict[str, Tensor]:
    """Every floating parameter, and the statistics of BatchNorm, which count as weights.

    Other buffers, such as a normalisation's mean and std, belong to the inputs.
    """
    statistics = {
        name: buffer
        for name, buffer in network.named_buffers()
        if name.rpartition(".")[2] in {"running_mean", "running_var"}
    }
    named = {**dict(network.named_parameters()), **statistics}
    return {name: tensor for name, tensor in named.items() if tensor.is_floating_point()}


def matrices(network: nn.Module) -> dict[str, Tensor]:
    """The floating parameters of two or more axes: convolution and linear weights, no biases."""
    found: dict[str, Tensor] = {
        name: parameter
        for name, parameter in network.named_parameters()
        if parameter.ndim >= 2 and parameter.is_floating_point()
    }
    if not found:
        raise InvalidArgumentError("expected weights of two or more axes, got none")
    return found


def random_source(seed: int) -> torch.Generator:
    """A generator on the CPU: the same seed gives the same numbers on every device."""
    return torch.Generator().manual_seed(seed)
