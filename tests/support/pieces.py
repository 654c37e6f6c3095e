"""Tasks for pieces, and files that another process loads a network from."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from modelseal.domain import Domain
from modelseal.sealing.checkpoints import Piece, PieceTask
from modelseal.sealing.recipe import Recipe

NETWORK = """
from torch import nn

def small():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 5)
    )
"""

MODEL = """
[model]
factory = "network_of_pieces:small"
weights = "weights.safetensors"
[input]
shape = [3, 8, 8]
"""


def recipe_of_two(**changes: Any) -> Recipe:
    return Recipe(**{"domain": Domain(shape=(2,)), **changes})


def build_task(**changes: Any) -> PieceTask:
    usual = {
        "number": 0,
        "rows": np.array([3, 1]),
        "naturals": np.array([[1, 2], [3, 4]], np.uint8),
        "recipe": recipe_of_two(),
        "weights": "sha256:" + "0" * 64,
        "device": "cpu",
        "threads": 1,
        "source": None,
    }
    return PieceTask(**{**usual, **changes})


def write_source(folder: Path, *, seed: int = 0) -> Path:
    """Writes a model.toml of a tiny network of five classes, and all that it names."""
    (folder / "network_of_pieces.py").write_text(NETWORK, encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 5))
        save_file(nn.Sequential(*parts).state_dict(), folder / "weights.safetensors")
    path = folder / "model.toml"
    path.write_text(MODEL, encoding="utf-8")
    return path


def make_first_only(task: PieceTask) -> Piece:
    """Makes the first piece at once, and takes a minute for any other."""
    if task.number:
        time.sleep(60)
    return Piece(samples=task.naturals, work=1.0)
