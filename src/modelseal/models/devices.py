"""Where networks are run."""

import warnings

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


def place(network: nn.Module, device: torch.device | None) -> nn.Module:
    """Moves a network to a device; without one it stays where it is.

    On a GPU torch multiplies float32 as float32 from then on, as long as this process runs. By
    default its convolutions round their operands to TF32, a lower precision: other scores, of
    which an owner says if they are harmless.

    Args:
        network: It is moved itself.
        device: Where to.
    """
    placed = network if device is None else network.to(device)
    if is_on_gpu(placed):
        # Torch before 2.9 knows the switches by no other name.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, message=".*TF32")
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
    return placed
