"""Reads a file of weights and puts them into a network, all or nothing."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name, without running any code of the file.

    Args:
        path: A `.safetensors` file, or a `.pt` or `.pth` file that holds a state dict.

    Raises:
        InvalidArgumentError: The file cannot be read as such.
    """
    if not path.is_file():
        raise InvalidArgumentError(f"there is no file {path}")
    match path.suffix.lower():
        case ".safetensors":
            return _read_safetensors(path)
        case ".pt" | ".pth":
            return _read_state_dict(path)
    raise InvalidArgumentError(
        f"a .safetensors, .pt or .pth file is needed, but this is {path.name}"
    )


def put_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Sets every parameter and buffer of a network.

    Raises:
        InvalidArgumentError: A tensor is missing, unknown or of another shape.
    """
    own = network.state_dict()
    for name, tensor in weights.items():
        if name in own and own[name].shape != tensor.shape:
            raise InvalidArgumentError(
                f"the network needs {name} of shape {list(own[name].shape)}, "
                f"but the file has {list(tensor.shape)}"
            )
    missing, unexpected = network.load_state_dict(weights, strict=False)
    if missing:
        raise InvalidArgumentError(f"the file lacks {_list(missing)}, which the network needs")
    if unexpected:
        raise InvalidArgumentError(f"the file has {_list(unexpected)}, unknown to the network")


def check_weights(network: nn.Module) -> None:
    """Makes sure that every parameter and BatchNorm statistic is a finite number.

    Raises:
        InvalidArgumentError: One is not.
    """
    # Other buffers may hold infinities for a reason, such as the mask of an attention layer.
    statistics = ((name, buffer) for name, buffer in network.named_buffers() if "running_" in name)
    for name, tensor in (*network.named_parameters(), *statistics):
        if not bool(tensor.isfinite().all()):
            raise InvalidArgumentError(f"{name} holds an infinity or NaN")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidArgumentError(f"{path.name} is no safetensors file: {error}") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InvalidArgumentError(
            f"{path.name} cannot be read as tensors alone (torch.load with weights_only)"
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise InvalidArgumentError(f"{path.name} needs a state dict: tensors by name, no more")
    return dict(content)


def _list(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
