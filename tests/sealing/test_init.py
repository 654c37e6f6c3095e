import re

import numpy as np
import pytest
import torch
from torch import nn

from modelseal.calibration.variants import (
    BatchSize,
    ChannelsLast,
    Float64,
    Nnpack,
    OneDnnOff,
    Threads,
)
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.enums import Depth
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.fingerprint.codec import encode
from modelseal.outputs.specs import parse_spec
from modelseal.sealing import candidates
from modelseal.sealing.candidates import generate
from modelseal.sealing.pipeline import seal, select
from modelseal.sealing.recipe import Method, Recipe
from modelseal.tampering.weight_changes import GaussianNoise, Quantised
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify


def served(network, domain):
    """An endpoint that runs a network one request at a time, as it is."""

    def answer(inputs):
        with torch.no_grad():
            return network(torch.from_numpy(inputs)).numpy()

    return CallableEndpoint(answer, domain)


def rehosted(variant, network, domain):
    """An endpoint that runs a network in a harmless way."""
    return CallableEndpoint(lambda inputs: variant(network, torch.from_numpy(inputs)), domain)


def asked(fingerprint, endpoint):
    source = np.random.default_rng(0)
    return verify(fingerprint, endpoint, generator=source, depth=Depth.ALL).outcome


SPECS = ["top1", "topk:3", "topprobs:2:4", "probs:4", "scores:0.0001"]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("levels", [0, 256])
def test_a_sealed_network_is_intact_in_every_harmless_way_and_a_changed_copy_is_not(
    build, naturals, quick, levels, spec
):
    model = build(levels=levels)
    recipe = Recipe(variants=quick, spec=parse_spec(spec))
    fingerprint = seal(model, naturals(model.domain), recipe=recipe, candidates=12, samples=4)
    assert len(fingerprint) == 4
    assert asked(fingerprint, served(model.network, model.domain)) is Outcome.INTACT
    for variant in quick:
        endpoint = rehosted(variant, model.network, model.domain)
        assert asked(fingerprint, endpoint) is Outcome.INTACT
    changed = Quantised(8)(model.network)
    assert asked(fingerprint, served(changed, model.domain)) is Outcome.TAMPERED


def test_to_seal_is_to_generate_and_then_to_select(model, naturals, quick):
    codes, recipe = naturals(model.domain), Recipe(variants=quick, seed=2)
    told = []
    made = seal(
        model,
        codes,
        recipe=recipe,
        candidates=10,
        samples=3,
        progress=lambda *news: told.append(news),
    )
    candidates = generate(model, codes, recipe=recipe, candidates=10)
    chosen = select(model, candidates, samples=3, seed=2)
    assert made.sources.tolist() == chosen.sources.tolist()
    assert np.array_equal(made.samples, chosen.samples)
    calibrated = [("calibrate", done, len(quick)) for done in range(1, len(quick) + 1)]
    assert told == [
        ("generate", 0, 10),
        ("generate", 10, 10),
        *calibrated,
        ("select", 0, 3),
        ("select", 3, 3),
    ]


def test_a_network_without_a_nonlinearity_is_sealed_too(build, naturals, quick):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).requires_grad_(requires_grad=False)
    model = build(network=linear)
    codes, recipe = naturals(model.domain), Recipe(variants=quick, method=Method.NATURAL)
    made = seal(model, codes, recipe=recipe, candidates=10, samples=3)
    candidates = generate(model, codes, recipe=recipe, candidates=10)
    assert len(set(made.sources.tolist())) == 3
    assert set(made.sources.tolist()) <= set(candidates.sources.tolist())


def test_without_a_recipe_the_usual_one_is_taken(model, naturals, quick, monkeypatch):
    monkeypatch.setattr(candidates, "fp32_variants", lambda device: quick)
    made = seal(model, naturals(model.domain), samples=2)
    assert made.origin.method == "boundary"
    assert made.origin.parameters["tied"] == 10
    assert made.origin.parameters["candidates"] == 16
    assert (str(made.spec), made.factor, made.origin.seed, len(made)) == ("top1", 3.0, 0, 2)


def test_sealing_leaves_the_network_and_the_natural_inputs_as_they_were(model, naturals, quick):
    codes = naturals(model.domain)
    weights = {name: value.clone() for name, value in model.network.state_dict().items()}
    made = seal(model, codes, recipe=Recipe(variants=quick), candidates=6, samples=2)
    assert np.array_equal(codes, naturals(model.domain))
    after = model.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in weights.items())
    assert len(encode(made)) > 0


def test_fewer_accepted_candidates_than_samples_are_refused(model, naturals, quick):
    codes, recipe = naturals(model.domain), Recipe(variants=quick, method=Method.NATURAL)
    problem = r"^5 samples were wanted, but there are 4 accepted candidates: "
    with pytest.raises(InvalidArgumentError, match=problem):
        seal(model, codes, recipe=recipe, candidates=4, samples=5)


def test_a_margin_that_nothing_reaches_gives_no_fingerprint(model, naturals, quick):
    recipe = Recipe(variants=quick, margin=1e6)
    problem = re.escape("none of 3 candidates can be used: a margin of 1e+06 is needed")
    with pytest.raises(SealingError, match=problem):
        seal(model, naturals(model.domain), recipe=recipe, candidates=3, samples=1)


@pytest.mark.real
def test_a_real_network_is_sealed_and_every_change_is_seen_and_no_harmless_way(resnet20, photos):
    codes = resnet20.domain.encode(photos[0].numpy())
    few = (BatchSize(1), BatchSize(7, 3), ChannelsLast(), OneDnnOff(), Nnpack(), Float64())
    candidates = generate(resnet20, codes, recipe=Recipe(variants=few), candidates=16)
    assert len(candidates) >= 12
    assert np.median(candidates.psnr) > 42
    fingerprint = select(resnet20, candidates, samples=8)
    network, domain = resnet20.network, resnet20.domain
    assert asked(fingerprint, served(network, domain)) is Outcome.INTACT
    for tampering in (Quantised(8), GaussianNoise(1e-3, seed=0)):
        assert asked(fingerprint, served(tampering(network), domain)) is Outcome.TAMPERED
    inputs = torch.from_numpy(domain.decode(candidates.samples))
    # Ways that the samples were calibrated in, and others.
    for variant in (*few, BatchSize(5, 2), BatchSize(16, 8), BatchSize(64, 21), Threads(2)):
        shown = fingerprint.spec.reveal(variant(network, inputs))
        assert fingerprint.spec.agree(candidates.expected, shown).all(), variant.name
