"""One law for every kind of network: sealed, it is intact, and a changed copy is not."""

import numpy as np
import pytest
import torch
from slow_sensitivity import exact_sensitivity
from torch import nn
from torch.nn import functional

from modelseal.calibration.variants import BatchSize, Float64
from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.generation.sensitivity import Output
from modelseal.models.loader import Model
from modelseal.models.transforms import Normalised, Resized, Resizing
from modelseal.research.weight_sensitivity import weight_sensitivity
from modelseal.sealing.pipeline import seal
from modelseal.sealing.recipe import Recipe
from modelseal.tampering.weight_changes import GaussianNoise
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

IMAGE, WIDE, GREY = (3, 8, 8), (4, 6, 18), (1, 9, 5)
TABLE, SOUND, STATES = (12,), (1, 64), (5, 8)


class Residual(nn.Module):
    """Layers and a shortcut around them."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs):
        return inputs + self.layers(inputs)


class Vision(nn.Module):
    """A small vision transformer: patches, a class token, positions, an encoder."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(0.1 * torch.randn(1, 1, 16))
        self.places = nn.Parameter(0.1 * torch.randn(1, 5, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, inputs):
        patches = self.patches(inputs).flatten(2).transpose(1, 2)
        states = torch.cat([self.token.expand(len(inputs), -1, -1), patches], 1) + self.places
        return self.head(self.norm(self.encoder(states))[:, 0])


class Tied(nn.Module):
    """A table of classes that is the first layer and gives the scores, too."""

    def __init__(self):
        super().__init__()
        self.inside, self.between = nn.Linear(12, 16), nn.Linear(16, 16)

    def forward(self, inputs):
        states = torch.tanh(self.between(functional.relu(self.inside(inputs))))
        return functional.linear(states, self.inside.weight.T)


def ended(*layers, classes=5):
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(classes))


def frozen():
    """A body that does not learn and a head that does."""
    network = ended(nn.Conv2d(3, 6, 3), nn.ReLU())
    network[0].requires_grad_(requires_grad=False)
    return network


def mixer():
    """Layers that mix positions and layers that mix channels, each normalised."""
    return ended(
        nn.Flatten(2),
        Residual(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU()),
        nn.Linear(64, 8),
        nn.LayerNorm((3, 8)),
    )


NETWORKS = {
    "convolutions and BatchNorm": (
        lambda: ended(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2)),
        IMAGE,
        {},
    ),
    "GroupNorm": (lambda: ended(nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.SiLU()), IMAGE, {}),
    "grouped and depthwise": (
        lambda: ended(
            nn.Conv2d(4, 8, 3, groups=2),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
        ),
        WIDE,
        {},
    ),
    "one channel": (lambda: ended(nn.Conv2d(1, 8, 3), nn.ReLU(inplace=True)), GREY, {}),
    "few levels": (lambda: ended(nn.Conv2d(1, 8, 3), nn.ReLU()), (1, 20, 20), {"levels": 16}),
    "resized first": (
        lambda: Resized(
            Normalised(ended(nn.Conv2d(3, 8, 3), nn.ReLU()), mean=[0.5], std=[0.25]),
            Resizing(shape=(3, 13, 16), bounds=(0.0, 1.0), resize=(10, 10), crop=(8, 8)),
        ),
        (3, 13, 16),
        {},
    ),
    "vision transformer": (Vision, IMAGE, {}),
    "MLP of images": (mixer, IMAGE, {}),
    "frozen weights": (frozen, IMAGE, {}),
    "tied weights": (Tied, TABLE, {"levels": 0, "bounds": (-2.0, 2.0)}),
    "table": (
        lambda: nn.Sequential(
            nn.Linear(12, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
            nn.Linear(32, 4),
        ),
        TABLE,
        {"levels": 0, "bounds": (-3.0, 3.0)},
    ),
    "two classes": (
        lambda: nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 2)),
        TABLE,
        {"levels": 0, "bounds": (-100.0, 100.0)},
    ),
    "sound": (
        lambda: ended(nn.Conv1d(1, 8, 9, 4), nn.ReLU(), nn.Conv1d(8, 8, 5, dilation=2), nn.ELU()),
        SOUND,
        {"levels": 0, "bounds": (-1.0, 1.0)},
    ),
    "embeddings": (
        lambda: ended(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)),
        STATES,
        {"levels": 0, "bounds": (-4.0, 4.0)},
    ),
}  # fmt: skip


@pytest.fixture(params=NETWORKS)
def model(request):
    build, shape, domain = NETWORKS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build()
        # A forward pass gives lazy layers their shape, and normalisations statistics of their own.
        scores = network.train()(torch.rand(8, *shape))
        if isinstance(network, Vision):
            # Training would see to it that no class leads whatever the image.
            network.head.bias.data.sub_(scores.mean(0).detach())
    return Model(network=network.eval(), domain=Domain(shape=shape, **domain))


@pytest.fixture
def codes(model):
    """Sixteen stored inputs."""
    drawn = np.random.default_rng(0).uniform(*model.domain.bounds, (16, *model.domain.shape))
    return model.domain.encode(drawn)


def asked(fingerprint, network, domain):
    def answer(inputs):
        with torch.no_grad():
            return network(torch.from_numpy(inputs)).numpy()

    return verify(
        fingerprint, CallableEndpoint(answer, domain), generator=np.random.default_rng(0)
    ).outcome


def test_any_network_is_sealed_and_a_changed_copy_is_noticed(model, codes):
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    recipe = Recipe(tied=4, variants=(BatchSize(1), BatchSize(7, 3), Float64()))
    fingerprint = seal(model, codes, recipe=recipe, candidates=8, samples=4)
    assert len(fingerprint) == 4
    assert model.domain.contains(model.domain.decode(fingerprint.samples)).all()
    assert asked(fingerprint, model.network, model.domain) is Outcome.INTACT
    for seed in range(3):
        changed = GaussianNoise(0.05, seed=seed)(model.network)
        assert asked(fingerprint, changed, model.domain) is Outcome.TAMPERED
    after = model.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_sensitivity_of_any_network_is_known(model, codes):
    inputs = torch.from_numpy(model.domain.decode(codes[:2]))
    shown = Output.PROBABILITIES
    found = weight_sensitivity(model.network, inputs, output=shown)
    slow = exact_sensitivity(model.network, inputs, output=shown)
    torch.testing.assert_close(found, slow, rtol=1e-4, atol=0.0)
