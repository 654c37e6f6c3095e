"""A folder with a tiny network, data and a plan, for tests of evaluation."""

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

MODULE = """
from torch import nn

def small():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 5)
    )
"""

MODEL = """
[model]
factory = "network_of_plans:small"
weights = "weights.safetensors"
[input]
shape = [1, 8, 8]
"""

PLAN = """
[[networks]]
name = "small"
model = "model.toml"
train = "train.npz"
test = "test.npz"
[samples]
candidates = 8
bags = 2
bag = 4
count = 2
[tampering]
images = 24
[harmless]
variants = ["nnpack", "float64"]
[[grids]]
methods = ["boundary", "natural"]
tamperings = ["quantisation", "ftll"]
seeds = 2
"""


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 5)
    return nn.Sequential(*parts).eval().requires_grad_(requires_grad=False)


def write_network(folder, *, seed=0):
    """Writes a model.toml with its network, and labelled images."""
    (folder / "network_of_plans.py").write_text(MODULE, encoding="utf-8")
    (folder / "model.toml").write_text(MODEL, encoding="utf-8")
    save_file(network(seed).state_dict(), folder / "weights.safetensors")
    draw = np.random.default_rng(7)
    for name, count in (("train", 32), ("test", 20)):
        images = draw.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", images=images, labels=np.arange(count) % 5)


def write_plan(folder, *changes, seed=0):
    """Writes a network and a plan; every change is a text and what stands in its place."""
    write_network(folder, seed=seed)
    text = PLAN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def forgive(folder):
    """Labels the test images as the network does, so that it errs on none."""
    images = np.load(folder / "test.npz")["images"]
    scores = network()(torch.from_numpy(images / np.float32(255)))
    np.savez(folder / "test.npz", images=images, labels=scores.argmax(1).numpy())


def contents(folder):
    """Every file of results that must not depend on anything but the plan."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.parent.name not in {"costs", "tampered"}
    }
