"""A network that really reads digits, for recipes that need something to spoil."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

TRAINED = 600


@pytest.fixture(scope="session")
def digits():
    """Grey images of shape (1, 8, 8) in 0 to 1 with their classes: 600 to train, 300 to test."""
    loaded = load_digits()
    images = torch.from_numpy(loaded.images).float()[:, None] / 16
    labels = torch.from_numpy(loaded.target).long()
    return (images[:TRAINED], labels[:TRAINED]), (images[TRAINED:900], labels[TRAINED:900])


@pytest.fixture(scope="session")
def learned(digits):
    """A network with BatchNorm for the digits; use `reader`, which is a copy."""
    return learn(
        nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(256, 10)),
        ),
        *digits[0],
    )


@pytest.fixture
def reader(learned):
    """A trained network for the digits."""
    network = nn.Sequential(*list(learned))
    state = {name: tensor.clone() for name, tensor in learned.state_dict().items()}
    yield network
    for name, tensor in learned.state_dict().items():
        assert torch.equal(tensor, state[name]), f"the given network was changed: {name}"


def learn(network, images, labels, epochs=8):
    """Trains a network from weights that are always the same."""
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                spread = (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(spread * torch.randn(parameter.shape, generator=source))
            elif name.endswith("bias"):
                parameter.zero_()
    optimiser = torch.optim.Adam(network.train().parameters(), lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=source).split(50):
            optimiser.zero_grad()
            cross_entropy(network(images[rows]), labels[rows]).backward()
            optimiser.step()
    optimiser.zero_grad()
    return network.eval().requires_grad_(requires_grad=False)
