"""Where networks are run."""

from itertools import chain

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.float32 import forbid_tf32


def find_device(name: str) -> torch.device:
    """A device of this machine that computes in float64."""
    try:
        device = torch.device(name)
        # Where scores are looked at exactly, they are float64.
        torch.zeros(1, dtype=torch.float64, device=device)
    except TypeError as error:
        raise InvalidArgumentError(
            f"expected a device that computes in float64, got {name!r}"
        ) from error
    except (RuntimeError, AssertionError) as error:
        raise InvalidArgumentError(
            f"expected a device of this machine, such as cpu or cuda, got {name!r}"
        ) from error
    if device.type == "meta":
        raise InvalidArgumentError(f"expected a device that computes, got {name!r}")
    return device


def device_of(network: nn.Module) -> torch.device:
    """Where the weights of a network are; the CPU if it has none."""
    return next(chain(network.parameters(), network.buffers()), torch.zeros(0)).device


def is_on_gpu(network: nn.Module) -> bool:
    """Whether a network runs on a GPU of CUDA or ROCm, which torch calls `cuda` both."""
    return device_of(network).type == "cuda"


def settle_network(network: nn.Module, device: torch.device | None) -> nn.Module:
    """Moves a network itself to a device, if one is given, and forbids TF32 in this process."""
    forbid_tf32()
    return network if device is None else network.to(device)
