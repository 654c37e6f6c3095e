"""A small network that can read, in the files that servers load it from."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from learned import digits, reader
from safetensors.torch import save_file
from torch import nn

SHAPE = (1, 8, 8)

NETWORK = """
from torch import nn


def build():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 16, 32), nn.ReLU(), nn.Linear(32, 10),
    )
"""
"""The same layers as those of `learned.reader`."""

MODEL = """
[model]
factory = "served_network:build"
weights = "weights.safetensors"
[input]
shape = [1, 8, 8]
"""


def changed(network: nn.Module) -> nn.Module:
    """A copy whose weights are moved by a thousandth of each layer's spread."""
    copy, random = deepcopy(network), torch.Generator().manual_seed(0)
    for weights in copy.parameters():
        noise = torch.randn(weights.shape, generator=random)
        weights.add_(1e-3 * weights.std() * noise)
    return copy


def write_deployment(folder: Path, *, tampered: bool = False) -> Path:
    """Writes the network, or its changed copy, into a new folder; gives its model.toml."""
    folder.mkdir(parents=True)
    network = changed(reader()) if tampered else reader()
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    (folder / "served_network.py").write_text(NETWORK, encoding="utf-8")
    save_file(weights, folder / "weights.safetensors")
    np.savez(folder / "weights.npz", **{key: value.numpy() for key, value in weights.items()})
    (folder / "model.toml").write_text(MODEL, encoding="utf-8")
    return folder / "model.toml"


def scans(count: int) -> np.ndarray:
    """Scans that the network was not trained on, as 8-bit images."""
    return (digits()[2][:count].numpy() * 255).round().astype(np.uint8)
