"""What every method makes of natural inputs, and what only some of them promise."""

from dataclasses import replace
from functools import partial
from math import inf, nan

import numpy as np
import pytest
import torch
from crafted import make, recipe
from refusals import refuses
from slow_sensitivity import exact_sensitivity
from torch import nn

from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError
from modelseal.generation.gaps import measure_gaps, rank, score
from modelseal.generation.sensitivity import Output, last_layer_sensitivity
from modelseal.generation.ties import tie
from modelseal.runtime.inference import run_network
from modelseal.sealing import methods
from modelseal.sealing.methods import METHODS, need_margin, register_method
from modelseal.sealing.recipe import Recipe

UNMOVED = ("natural", "misclassified")
NOISY = ("noise", "legacy", "ascent", "ascent-all", "ibsf", "ibsf-tuned", "two-class")
BUILT_IN = ("boundary", *UNMOVED, *NOISY)


def craft(model, inputs, method="boundary", **settings):
    """The samples of a method, as it makes them by itself."""
    own = recipe(model, **{"method": method, "variants": None, **settings})
    return METHODS.get(method)(model.network, inputs, recipe=own)


def exact_scores(network, samples):
    """The scores in double precision, best first."""
    with torch.no_grad():
        scores = network.double()(samples.double())
    network.float()
    return -np.sort(-scores.numpy(), axis=1)


def levels_apart(samples, starts, domain):
    """By how many levels each value was moved."""
    return ((samples - starts) / domain.step).abs()


def test_the_built_in_methods_have_these_names():
    assert METHODS.names()[: len(BUILT_IN)] == ("boundary", "misclassified", "natural", *NOISY)


def test_a_method_of_a_user_s_own_seals_like_a_built_in_one(model, naturals, monkeypatch):
    monkeypatch.setattr(METHODS, "_held", dict(METHODS._held))

    @register_method("darker")
    def darken(network, naturals, *, recipe):
        return recipe.domain.snap(naturals / 2)

    codes = naturals(model.domain, 6)
    made = make(model, codes, method="darker")
    assert made.origin.method == "darker"
    assert np.abs(made.samples.astype(int) - codes[made.sources] // 2).max() <= 1
    with refuses(InvalidArgumentError):
        register_method("darker")
    with refuses(InvalidArgumentError):
        make(model, codes, method="magic")


@pytest.mark.parametrize("method", BUILT_IN)
@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.usefixtures("few_steps")
def test_every_method_makes_one_valid_sample_of_each_natural_input(build, starts, method, levels):
    model = build(levels=levels, bounds=(-1.0, 3.0))
    inputs = starts(model.domain, 4)
    before = inputs.clone()
    samples = craft(model, inputs, method)
    assert (samples.shape, samples.dtype) == (inputs.shape, inputs.dtype)
    assert not samples.requires_grad
    assert model.domain.contains(samples.numpy()).all()
    assert torch.equal(inputs, before)
    assert torch.equal(craft(model, inputs, method), samples)
    if method != "boundary":
        alone = torch.cat([craft(model, one[None], method) for one in inputs])
        off = (samples - alone).abs() > 1e-4 * model.domain.span
        # A rounding error may put a value between two levels onto the other one.
        assert off.double().mean() < (0.01 if levels else 1e-9)


@pytest.mark.parametrize(
    ("method", "measure"), [("ascent", last_layer_sensitivity), ("ascent-all", exact_sensitivity)]
)
@pytest.mark.usefixtures("few_steps")
def test_an_ascent_raises_the_sensitivity_of_the_probabilities(model, starts, method, measure):
    inputs = starts(model.domain)
    samples = craft(model, inputs, method)
    measured = partial(measure, model.network, output=Output.PROBABILITIES)
    assert (measured(samples) > measured(inputs)).all()
    if method == "ascent":
        # Each of 25 steps moves a value by about a tenth of a level.
        assert 1 <= levels_apart(samples, inputs, model.domain).max() < 4


def test_two_class_samples_are_nearer_to_a_boundary_than_their_natural_inputs(build, starts):
    for levels, share in ((0, 1e-3), (256, 0.5)):
        model = build(levels=levels)
        inputs = starts(model.domain)
        samples = craft(model, inputs, "two-class")
        before, after = (
            measure_gaps(scores, rank(scores, tied=2)).amin(dim=1)
            for scores in (score(model.network, inputs), score(model.network, samples))
        )
        assert (after < share * before).double().mean() > 0.7


@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.parametrize("count", [2, 5])
def test_every_shown_label_is_ahead_of_the_next_by_the_margin(build, starts, count, levels):
    model = build(levels=levels)
    samples = craft(model, starts(model.domain), margin=1e-3, tied=2, spec=f"topk:{count}")
    ordered = exact_scores(model.network, samples)
    gaps = ordered[:, :count] - ordered[:, 1 : count + 1] if count < 5 else -np.diff(ordered)
    assert gaps.min() > 0.999e-3
    # More classes are shown than the recipe lets tie: one more of them ties all the same.
    assert np.median(gaps.max(axis=1)) < 5e-3


def test_no_sample_has_less_margin_than_it_or_the_median_sample_of_its_piece_needs(model, starts):
    inputs, own = starts(model.domain, 16), Recipe(domain=model.domain)
    samples = craft(model, inputs)
    ranking = rank(score(model.network, inputs), tied=10).reverse()
    near = tie(model.network, inputs, ranking, domain=model.domain, aim=torch.zeros(len(inputs)))
    first = need_margin(model.network, model.domain.snap(near), own).numpy()
    usual = np.sort(first)[(len(first) - 1) // 2]
    needed = need_margin(model.network, samples, own).numpy()
    margins = own.spec.margin(run_network(model.network, samples))
    assert (margins >= np.maximum(needed, usual)).all()
    assert needed.min() < usual


@pytest.mark.parametrize("margin", [None, 2.5e-6])
def test_the_needed_margin_is_the_factor_times_the_largest_move_of_any_probe(model, starts, margin):
    inputs = starts(model.domain)
    size = len(inputs)
    scores = run_network(model.network, inputs, size=size).astype(np.float64)
    own = Recipe(domain=model.domain, margin=margin, factor=12.0)
    needed = need_margin(model.network, inputs, own).numpy()
    for row, shown in enumerate(scores):
        winner = int(shown.argmax())
        moves = [float(np.spacing(np.float32(np.abs(shown).max())))]
        for probe in methods.list_probes(size):
            change = probe(model.network, inputs)[row].astype(np.float64) - shown
            moves += [abs(change[winner] - change[other]) for other in range(len(shown))]
        assert needed[row] == pytest.approx(max(12 * max(moves), margin or 0.0), rel=1e-6)
    assert (needed == np.float32(margin or 0)).any() == (margin is not None)


class Quick:
    """Moves the first score."""

    def __init__(self, by):
        self.by, self.name = by, f"moved-{by}"

    def __call__(self, network, inputs):
        return run_network(network, inputs) + np.array([self.by, 0, 0, 0, 0], np.float32)


class Slow(Quick):
    """The same, of a type that takes long."""


@pytest.mark.parametrize(
    ("variants", "move"),
    [
        ((Quick(0.25), Quick(0.5)), 0.5),
        ((Quick(0.25), Slow(0.5)), 0.25),
        ((Slow(0.5), Slow(0.75)), 0.75),
    ],
)
def test_of_its_own_variants_a_recipe_probes_the_quick_ones_and_slow_ones_if_there_is_no_other(
    model, starts, monkeypatch, variants, move
):
    monkeypatch.setattr(methods, "_SLOW", Slow)
    own = recipe(model, variants=variants, factor=10.0)
    needed = need_margin(model.network, starts(model.domain), own)
    assert needed.numpy() == pytest.approx(10 * move, rel=1e-4)


@pytest.mark.parametrize("spec", ["probs:3", "topprobs:2:4"])
@pytest.mark.parametrize("levels", [0, 256])
def test_shown_digits_are_steered_away_from_where_they_round(
    build, starts, monkeypatch, spec, levels
):
    model = build(levels=levels, bounds=(-1.0, 3.0))
    tried, true = [], methods.measure_margin

    def measure(network, samples, spec):
        tried.append((samples, true(network, samples, spec)))
        return tried[-1][1].clone()

    monkeypatch.setattr(methods, "measure_margin", measure)
    samples = craft(model, starts(model.domain), spec=spec, tied=3)
    unit = build(bounds=(-1.0, 3.0)).domain
    first, margins = tried[0]
    moved = levels_apart(samples, first, unit).flatten(1)
    assert moved.max() == pytest.approx(1, abs=1e-3)
    assert (moved > 0.5).sum(dim=1).max() <= methods.CHANGES
    # Each is the best of all that were tried.
    assert len(tried) == methods.NEIGHBOURS + 1
    best = torch.stack([each for _, each in tried]).argmax(dim=0)
    assert all(torch.equal(samples[row], tried[at][0][row]) for row, at in enumerate(best))
    assert (best > 0).sum() >= len(margins) // 2


def test_more_shown_labels_than_classes_and_a_single_class_are_refused(model, build, starts):
    with pytest.raises(InvalidArgumentError):
        craft(model, starts(model.domain), spec="topk:6")
    single = build(network=nn.Sequential(nn.Flatten(), nn.Linear(192, 1)))
    with pytest.raises(InvalidArgumentError):
        craft(single, starts(model.domain))


def test_the_class_that_is_least_likely_on_the_natural_input_leads(model, starts):
    inputs = starts(model.domain, 16)
    least = score(model.network, inputs).argmin(dim=1)
    made = craft(model, inputs)
    assert (score(model.network, made).argmax(dim=1) == least).float().mean() > 0.9


@pytest.mark.parametrize(
    ("field", "name", "refused", "ends"),
    [
        ("tie", "tied", (1,), (2,)),
        ("margin", "margin", (0.0, -0.5, nan, inf), (1e-300,)),
        ("factor", "factor", (0.99, nan, inf), (1.0,)),
        ("seed", "seed", (-1, 2**63), (0, 2**63 - 1)),
    ],
)
def test_a_value_out_of_its_range_is_refused_and_the_ends_of_the_range_are_not(
    model, field, name, refused, ends
):
    for value in refused:
        with refuses(InvalidArgumentError, field=field):
            recipe(model, **{name: value})
    for value in ends:
        assert getattr(recipe(model, **{name: value}), name) == value


def test_a_recipe_says_what_it_asks_for(model):
    plain = Recipe(domain=model.domain)
    assert (plain.method, str(plain.spec), plain.variants) == ("boundary", "top1", None)
    assert plain.parameters == {"tied": 10, "margin": "automatic", "factor": 3.0}
    assert recipe(model, margin=0.25).parameters["margin"] == 0.25
    for allowed in ((Precision.FP16, Precision.BF16), frozenset({Precision.BF16, Precision.FP16})):
        assert recipe(model, allowed=allowed).parameters["allowed"] == "bf16, fp16"
    for spec, shown in (("top1", 1), ("topk:3", 3), ("topprobs:2:3", 1), ("scores:0.1", 1)):
        assert recipe(model, spec=spec).shown == shown


def test_a_recipe_is_known_again_from_its_fingerprint(model, naturals):
    settings = {"tied": 4, "margin": 1e-3, "seed": 5, "allowed": (Precision.FP16, Precision.TF32)}
    own = recipe(model, **settings, spec="topk:2", factor=5.0)
    made = make(model, naturals(model.domain), spec="topk:2", factor=5.0, **settings)
    assert Recipe.of(made) == replace(own, variants=None)
    assert Recipe.of(make(model, naturals(model.domain))).margin is None
