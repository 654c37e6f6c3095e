"""What the documents tell to do, and a folder as they assume it."""

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8080/v2/models/NAME"
LAYERS = "nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 10)"
NETWORKS = f"from torch import nn\n\ndef resnet20():\n    return nn.Sequential({LAYERS})\n"


def blocks(page, *languages):
    """The fenced blocks of some languages, each with its language."""
    fence = rf"^```({'|'.join(languages)})\n(.*?)^```$"
    return re.findall(fence, page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def statements(block):
    """The lines of a shell block without comments; the whole block if it is one statement."""
    if block.startswith("if ") or " &\n" in block:
        return [block.strip()]
    return [line.partition(" #")[0].strip() for line in block.splitlines() if line.strip()]


def fill(folder):
    """Puts a network, its weights and images, and what else the documents name into a folder."""
    (folder / "mypackage").mkdir()
    (folder / "mypackage" / "networks.py").write_text(NETWORKS)
    (folder / "passphrase.txt").write_text("six random words or even more\n")
    (folder / "names.txt").write_text("\n".join(f"class {number}" for number in range(10)))
    random = torch.Generator().manual_seed(0)
    shapes = {"0.weight": (8, 3, 3, 3), "0.bias": (8,), "3.weight": (10, 1800), "3.bias": (10,)}
    weights = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    save_file(weights, folder / "resnet20.safetensors")
    (folder / "images").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(40, 215, (10, 4, 4, 3))):
        image = Image.fromarray(pixels.astype(np.uint8)).resize((32, 32))
        image.save(folder / "images" / f"{number}.png")
    ((_, model),) = blocks(ROOT / "README.md", "toml")
    (folder / "model.toml").write_text(model)
