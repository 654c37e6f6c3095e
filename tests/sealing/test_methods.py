from functools import partial

import pytest
import torch
from slow_sensitivity import exact_sensitivity
from torch import nn

from modelseal.generation.baselines.ibsf import PUBLISHED, TUNED
from modelseal.generation.gaps import measure_gaps, rank, score
from modelseal.generation.sensitivity import Output, last_layer_sensitivity
from modelseal.sealing import methods
from modelseal.sealing.methods import MAKERS, make_samples
from modelseal.sealing.recipe import Method, Recipe

UNMOVED = (Method.NATURAL, Method.MISCLASSIFIED)
RIVALS = tuple(method for method in Method if method is not Method.BOUNDARY)


@pytest.fixture
def starts(naturals):
    """Natural inputs as the network takes them."""

    def place(domain, count=8):
        return torch.from_numpy(domain.decode(naturals(domain, count)))

    return place


def levels_apart(samples, starts, domain):
    """By how many levels each value was moved."""
    return ((samples - starts) / domain.step).abs()


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.usefixtures("few_steps")
def test_every_method_makes_one_valid_sample_of_each_natural_input(build, starts, method, levels):
    model = build(levels=levels, bounds=(-1.0, 3.0))
    inputs = starts(model.domain)
    before = inputs.clone()
    samples = make_samples(model, inputs, Recipe(method=method))
    assert samples.shape == inputs.shape
    assert samples.dtype == inputs.dtype
    assert not samples.requires_grad
    assert model.domain.contains(samples.numpy()).all()
    assert torch.equal(inputs, before)
    assert torch.equal(make_samples(model, inputs, Recipe(method=method)), samples)


@pytest.mark.parametrize("method", RIVALS)
@pytest.mark.parametrize("levels", [0, 256])
@pytest.mark.usefixtures("few_steps")
def test_every_rival_makes_the_same_samples_one_by_one(build, starts, method, levels):
    model = build(levels=levels, bounds=(-1.0, 3.0))
    inputs, recipe = starts(model.domain, 4), Recipe(method=method)
    together = make_samples(model, inputs, recipe)
    alone = torch.cat([make_samples(model, one[None], recipe) for one in inputs])
    off = (together - alone).abs() > 1e-4 * model.domain.span
    # A rounding error may put a value between two levels onto the other one.
    assert off.double().mean() < (0.01 if levels else 1e-9)


@pytest.mark.parametrize("method", [each for each in RIVALS if each not in UNMOVED])
@pytest.mark.usefixtures("few_steps")
def test_the_float_form_is_the_same_before_it_is_rounded(build, starts, method):
    rounded, exact = build(), build(levels=0)
    # On the levels, so that noise, too, stands in place of the same inputs.
    inputs, recipe = starts(rounded.domain), Recipe(method=method)
    samples, free = (make_samples(model, inputs, recipe) for model in (rounded, exact))
    assert levels_apart(samples, free, rounded.domain).max() < 0.501
    assert not rounded.domain.contains(free.numpy()).any()
    assert not torch.equal(free, inputs)


def test_every_method_has_its_maker():
    assert set(MAKERS) == set(Method)


@pytest.mark.parametrize("method", UNMOVED)
def test_a_natural_sample_is_the_natural_input(model, starts, method):
    inputs = starts(model.domain)
    assert torch.equal(make_samples(model, inputs, Recipe(method=method)), inputs)


def test_noise_is_another_for_each_input_and_each_seed(model, starts):
    inputs = starts(model.domain)
    one, other = (
        make_samples(model, inputs, Recipe(method=Method.NOISE, seed=seed)) for seed in (0, 1)
    )
    everything = torch.cat([one, other]).flatten(1)
    assert len(everything.unique(dim=0)) == 2 * len(inputs)
    # Nothing of the input is left in it.
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), inputs.flatten()]))[0, 1])) < 0.1


@pytest.mark.usefixtures("few_steps")
def test_the_ascent_on_all_weights_raises_the_sensitivity_to_them(model, starts):
    inputs = starts(model.domain)
    samples = make_samples(model, inputs, Recipe(method=Method.ASCENT_ALL))
    measure = partial(exact_sensitivity, model.network, output=Output.PROBABILITIES)
    assert (measure(samples) > measure(inputs)).all()


def test_each_ibsf_has_its_own_numbers(model, starts, monkeypatch):
    seen = []

    def watch(network, start, *, domain, settings):
        seen.append(settings)
        return start

    monkeypatch.setattr(methods, "ibsf", watch)
    for method in (Method.IBSF, Method.IBSF_TUNED):
        make_samples(model, starts(model.domain), Recipe(method=method))
    assert seen == [PUBLISHED, TUNED]


def test_two_class_samples_are_nearer_to_a_boundary_than_their_natural_inputs(build, starts):
    for levels, share in ((0, 1e-3), (256, 0.5)):
        model = build(levels=levels)
        inputs = starts(model.domain)
        samples = make_samples(model, inputs, Recipe(method=Method.TWO_CLASS))
        before, after = (
            measure_gaps(scores, rank(scores, tied=2)).amin(dim=1)
            for scores in (score(model.network, inputs), score(model.network, samples))
        )
        assert (after < share * before).double().mean() > 0.7


@pytest.mark.usefixtures("few_steps")
def test_the_ascent_raises_the_sensitivity_of_the_probabilities(model, starts):
    inputs = starts(model.domain)
    samples = make_samples(model, inputs, Recipe(method=Method.ASCENT))
    measure = partial(last_layer_sensitivity, model.network, output=Output.PROBABILITIES)
    before, after = measure(inputs), measure(samples)
    assert (after > before).all()
    # Each of 25 steps moves a value by about a tenth of a level.
    assert 1 <= levels_apart(samples, inputs, model.domain).max() < 4


@pytest.mark.usefixtures("few_steps")
def test_the_ascent_takes_the_same_way_whatever_the_unit_of_the_inputs(build, network, naturals):
    class Scaled(nn.Module):
        """The same network for inputs from -1 to 3."""

        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, inputs):
            return self.inner((inputs + 1) / 4)

    models = (build(), build(network=Scaled(), bounds=(-1.0, 3.0)))
    codes = naturals(models[0].domain, 4)
    one, other = (
        model.domain.encode(
            make_samples(
                model, torch.from_numpy(model.domain.decode(codes)), Recipe(method=Method.ASCENT)
            ).numpy()
        )
        for model in models
    )
    assert (one != codes).mean() > 0.5
    assert (one == other).mean() > 0.97


def test_a_legacy_sample_is_what_the_published_loop_gives_rounded(model, starts, few_steps):
    inputs = starts(model.domain, 2)
    samples = make_samples(model, inputs, Recipe(method=Method.LEGACY))
    unrounded = few_steps(model.network, inputs, domain=model.domain)
    assert levels_apart(samples, unrounded, model.domain).max() < 0.501
    assert levels_apart(samples, inputs, model.domain).max() > 1
