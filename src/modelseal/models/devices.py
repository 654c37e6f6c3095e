"""Where networks are run."""

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError


def find_device(name: str) -> torch.device:
    """A device that can be used.

    Raises:
        InvalidArgumentError: There is no such device here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidArgumentError(
            f"a device of this machine was wanted, such as cpu or cuda, but {name!r} is none"
        ) from error
    if device.type == "meta":
        raise InvalidArgumentError("a device that computes was wanted, but meta does not")
    return device


def device_of(network: nn.Module) -> torch.device:
    """Where a network runs."""
    return next(network.parameters(), torch.zeros(0)).device


def is_on_gpu(network: nn.Module) -> bool:
    """Whether a network runs on a GPU of CUDA or ROCm, which torch calls `cuda` both."""
    return device_of(network).type == "cuda"
