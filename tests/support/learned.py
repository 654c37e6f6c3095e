"""A small network that can read, for tests of what happens to networks that are trained on."""

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modelseal.tampering.base import all_weights

TRAINED = 1000


@cache
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scans of 8 x 8 pixels in 0 to 1 and their digits: for training, then held out."""
    found = load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(found.images).float()[order, None] / 16
    labels = torch.from_numpy(found.target).long()[order]
    return images[:TRAINED], labels[:TRAINED], images[TRAINED:], labels[TRAINED:]


@cache
def reader() -> nn.Module:
    """A network without BatchNorm that puts 19 of 20 held-out scans in their class."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(16 * 16, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip
        images, labels, _, _ = digits()
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(12):
            for rows in torch.randperm(len(images)).split(50):
                optimiser.zero_grad()
                cross_entropy(network(images[rows]), labels[rows]).backward()
                optimiser.step()
    return network.eval().requires_grad_(requires_grad=False)


def moved(network: nn.Module, changed: nn.Module) -> set[str]:
    """The names of the weights and statistics that are others in a changed copy."""
    before, after = all_weights(network), all_weights(changed)
    return {name for name in before if not torch.equal(before[name], after[name])}
