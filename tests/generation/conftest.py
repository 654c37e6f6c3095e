"""Networks that the tests of generation share."""

import pytest
import torch
from torch import nn

from modelseal.domain import Domain


def build(*layers):
    """The layers in a row, in evaluation mode and frozen, as an owner's network is."""
    return nn.Sequential(*layers).eval().requires_grad_(requires_grad=False)


def convolutional():
    """A convolution and a batch normalisation whose statistics are those of no default."""
    norm = nn.BatchNorm2d(4)
    for statistic in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        statistic.data.uniform_(0.5, 1.5)
    return build(nn.Conv2d(3, 4, 3, padding=1), norm, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5))


def perceptron(*, bias=True):
    return build(nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 6, bias=bias))


@pytest.fixture(params=["convolutional", "perceptron", "perceptron without bias"])
def network(request):
    makers = {"convolutional": convolutional, "perceptron": perceptron}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param in makers:
            return makers[request.param]()
        return perceptron(bias=False)


@pytest.fixture
def smooth():
    """A network without kinks for images of shape (3, 8, 8) and six classes."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return build(
            nn.Conv2d(3, 12, 3, padding=1), nn.Softplus(), nn.Flatten(), nn.Linear(12 * 64, 6)
        )


@pytest.fixture
def images():
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def domain():
    return Domain(shape=(3, 8, 8), bounds=(0.0, 1.0), levels=256)
