"""A few of many candidates, chosen by every rule."""

import numpy as np
import pytest
import torch
from crafted import make
from refusals import refuses

from modelseal.enums import Rule
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.file_format import encode
from modelseal.sealing import pipeline
from modelseal.sealing.perturbations import FLIPS, foretell_flips, small_copies
from modelseal.sealing.pipeline import select
from modelseal.sealing.power import state_power
from modelseal.selection.activations import active_neurons
from modelseal.selection.cover import cover, cover_changes


def rows_of(chosen, candidates):
    """The numbers of the chosen samples among the candidates, by their sources."""
    return [candidates.sources.tolist().index(source) for source in chosen.sources.tolist()]


def inputs_of(model, candidates):
    return torch.from_numpy(model.domain.decode(candidates.samples))


@pytest.mark.parametrize("samples", [1, 5, 12])
def test_the_chosen_are_those_of_the_cover_over_active_neurons(model, found, samples):
    chosen = select(model, found, samples=samples, rule=Rule.MANC)
    inputs = inputs_of(model, found)
    order = rows_of(chosen, found)
    assert order == list(cover(active_neurons(model.network, inputs), samples).order)
    # Each pick adds most neurons: where the convolution's output is above 0.
    with torch.no_grad():
        fires = (model.network[0](inputs) > 0).flatten(1).numpy()
    covered = np.zeros(fires.shape[1], bool)
    for row in order[:3]:
        gains = (fires & ~covered).sum(axis=1)
        assert gains[row] == gains.max() > 0
        covered |= fires[row]


def test_every_field_of_a_chosen_sample_is_that_of_its_candidate(model, found, naturals):
    before = encode(found)
    chosen = select(model, found, samples=4)
    for number, row in enumerate(rows_of(chosen, found)):
        assert np.array_equal(chosen.samples[number], found.samples[row])
        assert chosen.expected.describe(number) == found.expected.describe(row)
        for field in ("margins", "moves", "psnr"):
            assert getattr(chosen, field)[number] == getattr(found, field)[row]
    assert chosen.origin == found.origin
    assert (chosen.factor, chosen.names, chosen.spec) == (found.factor, found.names, found.spec)
    assert encode(found) == before
    # A choice has no power of its own.
    stated = state_power(model, found, naturals(model.domain))
    assert stated.power
    assert select(model, stated, samples=3).power == ()


def test_a_random_choice_is_the_same_for_the_same_seed_and_another_for_another(model, found):
    one, again, other = (
        rows_of(select(model, found, samples=6, rule="random", seed=seed), found)
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert len(set(one)) == 6


def test_the_margin_rule_takes_the_smallest_margins_first(model, found):
    chosen = select(model, found, samples=5, rule=Rule.MARGIN)
    assert chosen.margins.tolist() == sorted(found.margins.tolist())[:5]


def test_the_detection_rule_covers_the_small_changes_that_candidates_notice(model, found):
    samples, seed = inputs_of(model, found), found.origin.seed
    copies = list(small_copies(model, samples, draws=pipeline.DRAWS, seed=seed))
    noticed = []
    for network in copies:
        with torch.no_grad():
            noticed.append(network(samples).argmax(1).numpy() != found.expected.labels[:, 0])
    flips = foretell_flips(model.network, samples, spec=found.spec, seed=seed)
    order = cover_changes(
        np.packbits(np.hstack([np.array(noticed).T, flips]), axis=1),
        active_neurons(model.network, samples),
        margins=found.margins,
        count=4,
    )
    # The seed is that of the candidates, if none is given.
    assert rows_of(select(model, found, samples=4, rule=Rule.DETECTION), found) == list(order)
    assert (len(copies), flips.shape[1]) == (110, FLIPS)


def test_the_detection_rule_needs_no_nonlinearity(build, naturals):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    model = build(network=linear.requires_grad_(requires_grad=False))
    candidates = make(model, naturals(model.domain), count=8)
    chosen = select(model, candidates, samples=3, rule=Rule.DETECTION)
    assert len(set(rows_of(chosen, candidates))) == 3
    with refuses(InvalidArgumentError):
        select(model, candidates, samples=3, rule=Rule.DETECTION, layers=["relu_0"])


@pytest.mark.parametrize("rule", Rule)
def test_what_cannot_be_chosen_is_refused(build, network, model, found, rule):
    for samples in (-1, 0, 13):
        with refuses(InvalidArgumentError, field="samples"):
            select(model, found, samples=samples, rule=rule)
    with refuses(InvalidArgumentError, field="candidates"):
        select(build(network=network(seed=1)), found, samples=2, rule=rule)
    if rule in {Rule.MANC, Rule.DETECTION}:
        for layers in (["relu_1"], []):
            with refuses(InvalidArgumentError):
                select(model, found, samples=2, rule=rule, layers=layers)
