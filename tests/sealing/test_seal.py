"""A sealed network of any kind is intact in every harmless way, and a changed copy is not."""

import numpy as np
import pytest
import torch
from crafted import QUICK, make, serve, timeless
from refusals import refuses
from torch import nn

from modelseal.calibration.variants import (
    BatchSize,
    ChannelsLast,
    Float64,
    Nnpack,
    OneDnnOff,
    Threads,
)
from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.enums import Depth
from modelseal.errors import BadFileError, InvalidArgumentError, SealingError
from modelseal.models.loader import Model
from modelseal.models.transforms import Normalised, Resized, Resizing
from modelseal.sealing.pipeline import generate, seal, select
from modelseal.tampering.weight_changes import GaussianNoise, Quantised
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

pytestmark = pytest.mark.usefixtures("few_variants")

IMAGE, WIDE, GREY = (3, 8, 8), (4, 6, 18), (1, 9, 5)
TABLE, SOUND, STATES = (12,), (1, 64), (5, 8)


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


def ended(*layers, classes=5):
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(classes))


NETWORKS = {
    "convolutions and BatchNorm": (
        lambda: ended(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2)),
        IMAGE,
        {},
    ),
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
    "resized first": (
        lambda: Resized(
            Normalised(ended(nn.Conv2d(3, 8, 3), nn.ReLU()), mean=[0.5], std=[0.25]),
            Resizing(shape=(3, 13, 16), bounds=(0.0, 1.0), resize=(10, 10), crop=(8, 8)),
        ),
        (3, 13, 16),
        {},
    ),
    "vision transformer": (Vision, IMAGE, {}),
    "table": (
        lambda: nn.Sequential(
            nn.Linear(12, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
            nn.Linear(32, 4),
        ),
        TABLE,
        {"levels": 0, "bounds": (-3.0, 3.0)},
    ),
    "embeddings": (
        lambda: ended(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)),
        STATES,
        {"levels": 0, "bounds": (-4.0, 4.0)},
    ),
}  # fmt: skip


@pytest.fixture(params=NETWORKS)
def any_model(request):
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


def rehosted(variant, network, domain):
    """An endpoint that runs a network in a harmless way."""
    return CallableEndpoint(lambda inputs: variant(network, torch.from_numpy(inputs)), domain)


def asked(fingerprint, endpoint):
    source = np.random.default_rng(0)
    return verify(fingerprint, endpoint, generator=source, depth=Depth.ALL).outcome


def test_any_network_is_sealed_and_a_changed_copy_is_noticed(any_model, naturals):
    model = any_model
    codes = naturals(model.domain)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    made = seal(model, codes, tie=4, candidates=8, samples=4, power="none")
    assert len(made) == 4
    assert model.domain.contains(model.domain.decode(made.samples)).all()
    assert asked(made, serve(model.network, model.domain)) is Outcome.INTACT
    for seed in range(3):
        changed = GaussianNoise(0.05, seed=seed)(model.network)
        assert asked(made, serve(changed, model.domain)) is Outcome.TAMPERED
    assert np.array_equal(codes, naturals(model.domain))
    after = model.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("spec", ["top1", "topk:3", "topprobs:2:4", "probs:4", "scores:0.0001"])
@pytest.mark.parametrize("levels", [0, 256])
def test_a_sealed_network_is_intact_in_every_harmless_way_and_a_changed_copy_is_not(
    build, naturals, levels, spec
):
    model = build(levels=levels)
    codes = naturals(model.domain)
    made = seal(model, codes, spec=spec, candidates=12, samples=4, power="none")
    assert asked(made, serve(model.network, model.domain)) is Outcome.INTACT
    for variant in QUICK:
        endpoint = rehosted(variant, model.network, model.domain)
        assert asked(made, endpoint) is Outcome.INTACT
    changed = Quantised(8)(model.network)
    assert asked(made, serve(changed, model.domain)) is Outcome.TAMPERED


def test_to_seal_is_to_generate_and_to_select_and_to_measure(model, naturals):
    codes, told = naturals(model.domain), []
    settings = {"seed": 2, "candidates": 10, "allow": ["fp16"], "tie": 3}
    made = seal(
        model,
        codes,
        samples=3,
        neighbours=1,
        progress=lambda *news: told.append(news),
        **settings,
    )
    found = generate(model, codes, **settings)
    assert timeless(found) == timeless(generate(model, codes, **{**settings, "allow": "fp16"}))
    chosen = select(model, found, samples=3)
    assert made.sources.tolist() == chosen.sources.tolist()
    assert np.array_equal(made.samples, chosen.samples)
    assert {limit.draws for limit in made.power} == {1, 20}
    assert made.neighbours.shape == (3, 1)
    stages = ["generate", "calibrate", "select", "neighbours", "power"]
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == stages
    assert all((stage, told_of, told_of) in told for stage, _, told_of in told)


def test_without_options_ten_classes_tie_for_one_shown_label(model, naturals):
    made = seal(model, naturals(model.domain), samples=2)
    assert made.origin.method == "boundary"
    assert made.origin.parameters["tied"] == 10
    assert made.origin.parameters["candidates"] == 16
    assert (str(made.spec), made.factor, made.origin.seed, len(made)) == ("top1", 3.0, 0, 2)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"samples": 9, "candidates": 8}, "candidates"),
        ({"samples": 17}, "images"),
        ({"samples": 0}, "samples"),
        ({"rule": "best"}, "rule"),
        ({"power": "some"}, "power"),
        ({"tie": 1}, "tie"),
        ({"margin": 0.0}, "margin"),
        ({"time_limit": 0.0}, "time_limit"),
        ({"time_limit": float("nan")}, "time_limit"),
        ({"spec": "top5"}, None),
        ({"allow": "fp8"}, None),
        ({"method": "magic"}, None),
        ({"neighbours": -1, "power": "none"}, "neighbours"),
    ],
)
def test_wrong_values_are_refused(model, naturals, options, field):
    with refuses(InvalidArgumentError, field=field):
        seal(model, naturals(model.domain), **options)


def test_files_that_cannot_be_used_are_refused(model, naturals, tmp_path):
    with refuses(BadFileError):
        seal(tmp_path / "missing.toml", naturals(model.domain))
    with refuses(BadFileError):
        seal(model, tmp_path / "missing")
    (tmp_path / "part").touch()
    with refuses(BadFileError):
        generate(model, naturals(model.domain), checkpoints=tmp_path / "part")


def test_a_margin_that_nothing_reaches_gives_no_fingerprint(model, naturals):
    with refuses(SealingError):
        seal(model, naturals(model.domain), margin=1e6, candidates=3, samples=1)


def test_too_few_candidates_are_told_as_the_time_limit_s_doing(model, naturals, monkeypatch):
    from modelseal.sealing import checkpoints

    monkeypatch.setattr(checkpoints, "LARGEST", 2)
    with pytest.raises(SealingError, match=r"got 2 in 1e-09 minutes"):
        seal(model, naturals(model.domain), samples=5, time_limit=1e-9, method="natural")


@pytest.mark.real
def test_a_real_network_is_sealed_and_every_change_is_seen_and_no_harmless_way(resnet20, photos):
    codes = resnet20.domain.encode(photos[0].numpy())
    few = (BatchSize(1), BatchSize(7, 3), ChannelsLast(), OneDnnOff(), Nnpack(), Float64())
    candidates = make(resnet20, codes, variants=few, count=16)
    assert len(candidates) >= 12
    assert np.median(candidates.psnr) > 42
    fingerprint = select(resnet20, candidates, samples=8)
    network, domain = resnet20.network, resnet20.domain
    assert asked(fingerprint, serve(network, domain)) is Outcome.INTACT
    for tampering in (Quantised(8), GaussianNoise(1e-3, seed=0)):
        assert asked(fingerprint, serve(tampering(network), domain)) is Outcome.TAMPERED
    inputs = torch.from_numpy(domain.decode(candidates.samples))
    # Ways that the samples were calibrated in, and others.
    for variant in (*few, BatchSize(5, 2), BatchSize(16, 8), BatchSize(64, 21), Threads(2)):
        shown = fingerprint.spec.reveal(variant(network, inputs))
        assert fingerprint.spec.agree(candidates.expected, shown).all(), variant.name
