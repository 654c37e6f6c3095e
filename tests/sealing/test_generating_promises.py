"""What generate promises of every sample, whatever the domain and the recipe."""

from datetime import UTC, datetime
from importlib.metadata import version
from math import inf, log10

import numpy as np
import pytest
import torch

from modelseal.fingerprint.codec import decode, encode
from modelseal.outputs.specs import parse_spec
from modelseal.runtime.inference import run_network
from modelseal.sealing.candidates import digest_network, generate, to_tensor
from modelseal.sealing.recipe import Method, Recipe

KINDS = [
    (256, {}),
    (0, {}),
    (256, {"margin": 1e-3, "tied": 3}),
    (256, {"factor": 25.0}),
    (16, {"margin": 2e-3}),
    (0, {"margin": 1e-3}),
    (256, {"spec": parse_spec("topk:3")}),
    (0, {"spec": parse_spec("topk:3"), "margin": 1e-3}),
    (256, {"spec": parse_spec("probs:3")}),
    (0, {"spec": parse_spec("probs:3")}),
    (256, {"spec": parse_spec("topprobs:2:4"), "margin": 2e-6}),
    (256, {"spec": parse_spec("scores:0.01")}),
    (0, {"spec": parse_spec("scores:1e-05")}),
    (256, {"method": Method.NATURAL}),
]


@pytest.fixture(scope="module")
def known():
    """Keeps what was made for each kind: many tests look at it."""
    return {}


@pytest.fixture(params=range(len(KINDS)), ids=lambda number: f"{KINDS[number]}")
def made(request, known, build, naturals, quick):
    """A model, natural inputs for it, the recipe, and the candidates that were made."""
    number = request.param
    if number not in known:
        levels, changes = KINDS[number]
        model = build(levels=levels, bounds=(-0.5, 1.5))
        codes, recipe = naturals(model.domain), Recipe(variants=quick, **changes)
        known[number] = (model, codes, recipe, generate(model, codes, recipe=recipe, candidates=12))
    return known[number]


def scores_alone(model, codes):
    """The scores in double precision, one input at a time."""
    network = model.network.double()
    with torch.no_grad():
        rows = [
            network(torch.from_numpy(model.domain.decode(codes[[row]])).double())
            for row in range(len(codes))
        ]
    network.float()
    return torch.cat(rows).numpy()


def probabilities(row):
    weights = [np.exp(score - max(row)) for score in row]
    return [weight / sum(weights) for weight in weights]


def test_most_candidates_are_accepted(made):
    assert 8 <= len(made[3]) <= 12


def test_samples_lie_on_the_levels_and_within_the_bounds(made):
    model, _, _, found = made
    assert found.samples.dtype == (np.uint8 if model.domain.levels else np.float32)
    assert model.domain.contains(model.domain.decode(found.samples)).all()


def test_the_margin_is_at_least_the_factor_times_the_move_and_what_the_recipe_asks_for(made):
    _, _, recipe, found = made
    assert found.factor == recipe.factor
    assert (found.moves > 0).all()
    assert (found.margins >= recipe.factor * found.moves).all()
    assert (found.margins >= (recipe.margin or 0)).all()


def test_expected_is_what_the_network_itself_shows(made):
    model, _, recipe, found = made
    shown = recipe.spec.reveal(scores_alone(model, found.samples))
    assert recipe.spec.agree(found.expected, shown).all()
    assert (found.classes, found.names) == (5, model.names)


def test_no_change_of_the_scores_below_the_margin_shows(made):
    model, _, recipe, found = made
    spec, text = recipe.spec, str(recipe.spec)
    for row, scores in enumerate(scores_alone(model, found.samples).tolist()):
        margin = found.margins[row] - found.moves[row]
        if text.startswith("top"):
            shown = probabilities(scores) if text.startswith("topprobs") else scores
            best = sorted(shown, reverse=True)
            gaps = [best[place] - best[place + 1] for place in range(spec.count)]
            assert min(gaps) >= margin
        if "probs" in text:
            shown = sorted(probabilities(scores), reverse=True)
            for value in shown[: getattr(spec, "count", 5)]:
                assert round(value - margin, spec.digits) == round(value + margin, spec.digits)
        if text.startswith("scores"):
            assert found.margins[row] == spec.tolerance


def test_no_variant_moves_a_sample_further_than_the_fingerprint_says(made):
    model, _, recipe, found = made
    inputs = to_tensor(model, found.samples)
    scores = run_network(model.network, inputs)
    for variant in recipe.variants:
        others = variant(model.network, inputs)
        # Beside other inputs than in calibration the last digits may come out otherwise.
        assert (recipe.spec.move(scores, others) <= 2 * found.moves).all()
        assert recipe.spec.agree(found.expected, recipe.spec.reveal(others)).all()


def test_sources_are_the_natural_inputs_that_the_samples_are_near(made):
    model, codes, recipe, found = made
    samples, naturals = (model.domain.decode(each) for each in (found.samples, codes))
    distances = ((samples[:, None] - naturals[None]) ** 2).sum(axis=(2, 3, 4))
    assert found.sources.tolist() == distances.argmin(axis=1).tolist()
    assert len(set(found.sources.tolist())) == len(found)
    assert (distances.min(axis=1) == 0).all() == (recipe.method is Method.NATURAL)


def test_psnr_is_that_of_the_stored_sample_against_the_stored_natural_input(made):
    model, codes, _, found = made
    domain = model.domain
    unit = domain.span / (domain.levels - 1) if domain.levels else 1.0
    for row, psnr in enumerate(found.psnr):
        pairs = zip(found.samples[row].flat, codes[found.sources[row]].flat, strict=True)
        errors = [((float(one) - float(other)) * unit) ** 2 for one, other in pairs]
        error = sum(errors) / len(errors)
        slow = 10 * log10(domain.span**2 / error) if error else inf
        assert psnr == pytest.approx(slow, abs=1e-3)


def test_the_origin_says_how_it_was_made(made):
    model, _, recipe, found = made
    origin = found.origin
    assert (found.domain, str(found.spec)) == (model.domain, str(recipe.spec))
    assert (origin.method, origin.seed) == (recipe.method.value, recipe.seed)
    assert origin.parameters == {
        "tied": recipe.tied,
        "margin": recipe.margin or "automatic",
        "factor": recipe.factor,
        "candidates": 12,
        "accepted": len(found),
        "work": origin.parameters["work"],
    }
    assert origin.packages == {name: version(name) for name in ("modelseal", "numpy", "torch")}
    assert origin.variants == tuple(variant.name for variant in recipe.variants)
    assert origin.harmless_answers == len(recipe.variants) * len(found)
    assert origin.weights_digest == digest_network(model.network)


def test_what_was_made_survives_the_file(made):
    found = made[3]
    data = encode(found)
    assert encode(decode(data, name="file")) == data


def test_it_says_when_it_was_made(model, naturals, quick):
    before = datetime.now(UTC).replace(microsecond=0)
    recipe = Recipe(variants=quick, method=Method.NATURAL)
    found = generate(model, naturals(model.domain), recipe=recipe, candidates=2)
    assert before <= datetime.fromisoformat(found.origin.created) <= datetime.now(UTC)
