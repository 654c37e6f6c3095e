from dataclasses import replace
from math import nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from modelseal.calibration.variants import (
    ChannelsLast,
    Float64,
    Replaced,
    all_variants,
    fp32_variants,
)
from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.fingerprint.codec import encode, weights_digest
from modelseal.models.loader import Model
from modelseal.models.transforms import Normalised
from modelseal.outputs.specs import parse_spec
from modelseal.runtime.inference import run_network
from modelseal.sealing import candidates, checkpoints
from modelseal.sealing.candidates import draw, generate, list_every_variant, list_variants
from modelseal.sealing.recipe import Method, Recipe


def timeless(found):
    """The bytes of a fingerprint, but for the time of making."""
    return encode(replace(found, origin=replace(found.origin, created="2026-01-01T00:00:00Z")))


@pytest.mark.parametrize("spec", ["top1", "probs:4"])
def test_the_same_seed_makes_the_same_bytes_and_another_seed_other_samples(
    model, naturals, quick, spec
):
    one, again, other = (
        generate(
            model,
            naturals(model.domain),
            recipe=Recipe(variants=quick, spec=parse_spec(spec), seed=seed),
            candidates=6,
        )
        for seed in (3, 3, 4)
    )
    assert timeless(one) == timeless(again)
    assert one.sources.tolist() != other.sources.tolist()
    assert not np.array_equal(one.samples, other.samples)


def test_all_are_made_and_told_of_whatever_the_pieces(model, naturals, quick, monkeypatch):
    told = []
    recipe = Recipe(variants=quick, margin=1e-3)
    whole = generate(model, naturals(model.domain), recipe=recipe, candidates=12)
    monkeypatch.setattr(checkpoints, "LARGEST", 5)
    found = generate(
        model,
        naturals(model.domain),
        recipe=recipe,
        candidates=12,
        progress=lambda *news: told.append(news),
    )
    generated = [("generate", done, 12) for done in (0, 5, 10, 12)]
    calibrated = [("calibrate", done, len(quick)) for done in range(1, len(quick) + 1)]
    assert told == generated + calibrated
    assert found.sources.tolist() == whole.sources.tolist()


def test_of_fewer_natural_inputs_than_candidates_all_are_used(model, naturals, quick):
    recipe = Recipe(variants=quick, method=Method.NATURAL)
    found = generate(model, naturals(model.domain, 3), recipe=recipe, candidates=64)
    assert sorted(found.sources.tolist()) == [0, 1, 2]
    assert found.origin.parameters["candidates"] == 3


@given(count=st.integers(1, 30), candidates=st.integers(1, 40), seed=st.integers(0, 2**63 - 1))
def test_a_draw_takes_each_natural_input_at_most_once(count, candidates, seed):
    model = Model(network=nn.Flatten(), domain=Domain(shape=(2,)))
    rows = draw(model, np.zeros((count, 2), np.uint8), candidates, seed).tolist()
    assert len(rows) == len(set(rows)) == min(count, candidates)
    assert set(rows) <= set(range(count))


@pytest.mark.parametrize(
    ("naturals", "candidates", "problem"),
    [
        (np.zeros((0, 2), np.uint8), 4, r"at least 1 candidate and 1 natural .* got 4 and 0$"),
        (np.zeros((3, 2), np.uint8), 0, r"at least 1 candidate and 1 natural .* got 0 and 3$"),
        (np.zeros((3, 2), np.uint8), -1, r"at least 1 candidate and 1 natural .* got -1 and 3$"),
        (np.zeros((3, 2, 1), np.uint8), 4, r"inputs: expected .*\(batch, 2\), got .*\(3, 2, 1\)"),
        (np.zeros((3, 2), np.float32), 4, r"and type uint8, but have \(3, 2\) and float32"),
        (np.full((3, 2), 200, np.uint8), 4, r"inputs: expected levels 0 to 99, got 200"),
    ],
)
def test_natural_inputs_that_do_not_fit_are_refused(naturals, candidates, problem):
    model = Model(network=nn.Flatten(), domain=Domain(shape=(2,), levels=100))
    with pytest.raises(InvalidArgumentError, match=problem):
        generate(model, naturals, recipe=Recipe(), candidates=candidates)


def test_natural_inputs_outside_of_a_continuous_domain_are_refused():
    model = Model(network=nn.Flatten(), domain=Domain(shape=(2,), levels=0))
    with pytest.raises(InvalidArgumentError, match=r"inputs: expected values within \[0.0, 1.0\]"):
        generate(model, np.full((3, 2), 1.5, np.float32), recipe=Recipe())


def test_the_harmless_ways_are_all_float32_ways_and_all_orders_of_the_normalisation(build, network):
    plain = [variant.name for variant in fp32_variants()]
    assert [variant.name for variant in list_variants(build())] == plain
    normalised = Normalised(network(), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1])
    listed = list_variants(build(network=normalised))
    orders = listed[len(plain) :]
    assert [variant.name for variant in listed[: len(plain)]] == plain
    assert len(orders) == 5
    inputs = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = run_network(normalised, inputs)
    for order in orders:
        assert isinstance(order, Replaced)
        assert order(normalised, inputs) == pytest.approx(expected, abs=1e-5)


def test_for_false_alarms_there_are_many_more_harmless_ways(build, network):
    normalised = build(network=Normalised(network(), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1]))
    sealed = [variant.name for variant in list_variants(normalised)]
    listed = [variant.name for variant in list_every_variant(normalised)]
    assert {*sealed} < {*listed}
    assert listed[-5:] == sealed[-5:]
    assert len({*listed}) == len(listed) > 2 * len(sealed)
    assert listed[:-5] == [variant.name for variant in all_variants(normalised.domain)]


def test_without_variants_of_its_own_a_recipe_is_calibrated_in_all(
    build, network, naturals, quick, monkeypatch
):
    monkeypatch.setattr(candidates, "fp32_variants", lambda device: quick)
    model = build(network=Normalised(network(), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1]))
    recipe = Recipe(method=Method.NATURAL)
    found = generate(model, naturals(model.domain, 4), recipe=recipe)
    names = [variant.name for variant in quick]
    orders = ["multiply-add", "divide first", "float64 normalisation", "255 first", "folded"]
    assert found.origin.variants == (*names, *orders)


class Constant(nn.Module):
    """The same scores whatever it is given, with or without a gradient."""

    def __init__(self, *scores, slope=0.0):
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores), requires_grad=False)
        self.slope = slope

    def forward(self, inputs):
        scores = self.scores.expand(len(inputs), -1)
        return scores if self.slope is None else scores + self.slope * inputs.flatten(1)[:, :1]


@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Constant(1.0, 1.0, 1.0), "none of 4 candidates .* is needed, but the median is 0;"),
        (Constant(1.0, 2.0, 4.0), "none of 4 candidates came near .* but the median is 2;"),
        (Constant(1.0, 2.0, slope=nan), "finite scores were wanted, but none of 4 candidates has"),
        (Constant(1.0, 2.0, slope=None), "the network cannot be run in this way: element 0 of"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Threshold(1e9, 0.0)),
            "none of 4 candidates .* is needed, but the median is 0;",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(7, 3)),
            "the network cannot be run in this way: mat1 and mat2 shapes cannot be multiplied",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double(),
            "the network cannot be run in this way: mat1 and mat2 must have the same dtype",
        ),
    ],
)
def test_a_hopeless_network_gives_an_error_and_no_fingerprint(
    build, naturals, quick, network, problem, levels
):
    model = build(network=network.eval().requires_grad_(requires_grad=False), levels=levels)
    codes = naturals(model.domain, 4)
    with pytest.raises(SealingError, match=f"^{problem}"):
        generate(replace(model, names=()), codes, recipe=Recipe(variants=quick))


@pytest.mark.parametrize("error", [KeyError("lost"), TypeError("lost"), ZeroDivisionError("lost")])
def test_whatever_the_network_raises_is_one_sentence(build, naturals, error):
    class Broken(nn.Module):
        """Fails."""

        def forward(self, inputs):
            raise error

    model = build(network=Broken())
    problem = "^the network cannot be run in this way: '?lost'?$"
    with pytest.raises(SealingError, match=problem):
        generate(model, naturals(model.domain, 2), recipe=Recipe())


@pytest.mark.parametrize("spec", ["probs:4", "topprobs:2:4", "scores:0.01"])
def test_shown_numbers_are_not_made_of_probabilities_a_second_time(
    build, network, naturals, quick, spec
):
    model = build(network=network(last=(nn.Softmax(1),)))
    problem = (
        rf"^raw scores \(logits\) were wanted for {spec}, but the network gives probabilities; "
        "leave its softmax out, or show labels only$"
    )
    recipe = Recipe(variants=quick, spec=parse_spec(spec), method=Method.NATURAL)
    with pytest.raises(SealingError, match=problem):
        generate(model, naturals(model.domain, 4), recipe=recipe)


@pytest.mark.parametrize(
    ("last", "spec"), [(nn.Softmax(1), "top1"), (nn.ReLU(), "probs:4"), (nn.Tanh(), "probs:4")]
)
def test_labels_of_probabilities_and_numbers_of_other_scores_are_sealed(
    build, network, naturals, quick, last, spec
):
    model = build(network=network(last=(last,)))
    recipe = Recipe(variants=quick, spec=parse_spec(spec), method=Method.NATURAL)
    assert len(generate(model, naturals(model.domain), recipe=recipe)) > 0


def test_a_variant_that_could_not_be_run_is_named(naturals):
    network = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    model = Model(network=network, domain=Domain(shape=(6,)))
    recipe = Recipe(variants=(ChannelsLast(), Float64()), method=Method.NATURAL)
    origin = generate(model, naturals(model.domain, 4), recipe=recipe).origin
    assert origin.variants == ("float64",)
    assert origin.parameters["skipped"] == "channels-last"
    assert origin.harmless_answers == origin.parameters["accepted"]


def test_one_input_without_finite_scores_spoils_no_other(build, network, naturals, quick):
    class Picky(nn.Module):
        """Gives NaN for dark inputs, judged by their first value, which then is never moved."""

        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, inputs):
            first = inputs[:, 0, 0, 0, None].detach()
            return self.inner(inputs) + torch.where(first < 0.01, nan, 0.0)

    model = build(network=Picky())
    codes = naturals(model.domain, 6)
    codes[:, 0, 0, 0], codes[2, 0, 0, 0] = 128, 0
    found = generate(model, codes, recipe=Recipe(variants=quick))
    assert 2 not in found.sources
    assert len(found) >= 4


def test_without_any_variant_nothing_is_sealed(model, naturals):
    with pytest.raises(SealingError, match=r"needs a variant that can be run \(none came\)"):
        generate(model, naturals(model.domain, 2), recipe=Recipe(variants=()))


def test_a_network_without_weights_of_its_own_can_be_sealed(build, naturals, quick):
    class Fixed(nn.Module):
        """Random directions that no parameter holds."""

        def forward(self, inputs):
            source = torch.Generator().manual_seed(0)
            directions = torch.randn(192, 4, generator=source).to(inputs)
            return (inputs.flatten(1) @ directions / 30).tanh()

    model = replace(build(network=Fixed()), names=())
    found = generate(model, naturals(model.domain, 6), recipe=Recipe(variants=quick, margin=1e-3))
    assert found.origin.weights_digest == weights_digest({})
    assert found.classes == 4
