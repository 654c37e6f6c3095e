"""Writes a network as its owner would deploy it: a folder with a model.toml."""

import shutil
from pathlib import Path

import digits
from safetensors.torch import save_file
from torch import nn

MODEL = """\
[model]
factory = "digits:digits_cnn"
weights = "weights.safetensors"

[input]
shape = [1, 32, 32]
bounds = [0, 1]
levels = 256
"""


def deploy(network: nn.Module, folder: Path) -> Path:
    """Writes the network's weights, its code and its model.toml, and gives the latter's path.

    Args:
        network: Made by `digits_cnn`.
        folder: Made if it is missing; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / "weights.safetensors")
    code = Path(digits.__file__)
    shutil.copyfile(code, folder / code.name)
    model = folder / "model.toml"
    model.write_text(MODEL, encoding="utf-8")
    return model
