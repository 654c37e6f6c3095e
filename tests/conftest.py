"""What every test shares: one torch thread, and networks and images, tiny or real."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor, nn

import cifar
from modelseal.models.loader import Model
from modelseal.parallel.ray import Cluster

torch.set_num_threads(1)

# A shell that starts tests in the background has them ignore interrupts, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes to draw says more of the machine than of the code.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


@pytest.fixture
def tiny() -> nn.Module:
    """An untrained network for images of shape (3, 8, 8) and three classes; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 64, 3),
        )
    return network.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def coloured() -> tuple[Tensor, Tensor]:
    """Images for `tiny`: the brightest of the three channels is the class."""
    source = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (192,), generator=source)
    images = 0.5 * torch.rand(192, 3, 8, 8, generator=source)
    images[torch.arange(192), labels] += 0.2
    return images, labels


@pytest.fixture
def accuracy() -> Callable[[nn.Module, Tensor, Tensor], float]:
    """Gives the share of inputs that a network puts into the right class."""

    def measure(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        with torch.no_grad():
            return float((network(inputs).argmax(1) == labels).double().mean())

    return measure


@pytest.fixture(scope="session")
def resnet20() -> Model:
    """The real ResNet-20 for CIFAR-10; skips where the data is missing."""
    if cifar.data_folder() is None:
        pytest.skip("the real data is not here: set MODELSEAL_DATA to its folder")
    return cifar.resnet(20)


@pytest.fixture(scope="session")
def photos(resnet20: Model) -> tuple[Tensor, Tensor]:
    """300 CIFAR-10 test images as the network takes them, and their classes."""
    codes, labels = cifar.images("test", 300)
    return torch.from_numpy(resnet20.domain.decode(codes)), torch.from_numpy(labels)


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """A running Ray cluster of two nodes, to which a test may add more."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from nodes import two_nodes

    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def cluster(nodes: Any) -> Cluster:
    """Workers on the nodes."""
    return Cluster(nodes.address)
