"""Where networks are run."""

import torch

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
