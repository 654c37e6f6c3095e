import numpy as np
import pytest
import torch

from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.codec import decode, encode
from modelseal.sealing import pipeline
from modelseal.sealing.bitflips import FLIPS, foretell_flips
from modelseal.sealing.candidates import generate
from modelseal.sealing.perturbations import small_copies
from modelseal.sealing.pipeline import select
from modelseal.sealing.power import state_power
from modelseal.sealing.recipe import Method, Recipe, Rule
from modelseal.selection.activations import active_neurons
from modelseal.selection.cover import cover, cover_changes


def rows_of(chosen, candidates):
    """The numbers of the chosen samples among the candidates, by their sources."""
    return [candidates.sources.tolist().index(source) for source in chosen.sources.tolist()]


def inputs_of(model, candidates):
    return torch.from_numpy(model.domain.decode(candidates.samples))


def firing(model, inputs):
    """Which neurons fire for each input: the convolution's output above 0."""
    with torch.no_grad():
        return (model.network[0](inputs) > 0).flatten(1).numpy()


@pytest.mark.parametrize("samples", [1, 5, 12])
def test_the_chosen_are_those_of_the_cover_over_active_neurons(model, found, samples):
    chosen = select(model, found, samples=samples, rule=Rule.MANC)
    bits = active_neurons(model.network, inputs_of(model, found))
    assert rows_of(chosen, found) == list(cover(bits, samples).order)
    assert len(chosen) == samples


def test_each_pick_adds_most_firing_neurons(model, found):
    fires = firing(model, inputs_of(model, found))
    covered = np.zeros(fires.shape[1], bool)
    for row in rows_of(select(model, found, samples=3, rule=Rule.MANC), found):
        gains = (fires & ~covered).sum(axis=1)
        assert gains[row] == gains.max() > 0
        covered |= fires[row]


def test_every_field_of_a_chosen_sample_is_that_of_its_candidate(model, found):
    chosen = select(model, found, samples=4)
    for number, row in enumerate(rows_of(chosen, found)):
        assert np.array_equal(chosen.samples[number], found.samples[row])
        assert chosen.expected.describe(number) == found.expected.describe(row)
        for field in ("margins", "moves", "psnr"):
            assert getattr(chosen, field)[number] == getattr(found, field)[row]
    assert chosen.origin == found.origin
    assert (chosen.factor, chosen.names, chosen.spec) == (found.factor, found.names, found.spec)


def test_a_random_choice_is_the_same_for_the_same_seed_and_another_for_another(model, found):
    one, again, other = (
        rows_of(select(model, found, samples=6, rule=Rule.RANDOM, seed=seed), found)
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert len(set(one)) == 6


def test_the_margin_rule_takes_the_smallest_margins_first(model, found):
    chosen = select(model, found, samples=5, rule=Rule.MARGIN)
    assert chosen.margins.tolist() == sorted(found.margins.tolist())[:5]


def test_the_detection_rule_covers_the_small_changes_that_candidates_notice(model, found):
    samples = inputs_of(model, found)
    copies = list(small_copies(model, samples, draws=pipeline.DRAWS, seed=3))
    noticed = []
    for network in copies:
        with torch.no_grad():
            noticed.append(network(samples).argmax(1).numpy() != found.expected.labels[:, 0])
    chosen = select(model, found, samples=4, rule=Rule.DETECTION, seed=3)
    flips = foretell_flips(model.network, samples, spec=found.spec, seed=3)
    order = cover_changes(
        np.packbits(np.hstack([np.array(noticed).T, flips]), axis=1),
        active_neurons(model.network, samples),
        margins=found.margins,
        count=4,
    )
    assert rows_of(chosen, found) == list(order)
    assert (len(copies), flips.shape[1]) == (110, FLIPS)


def test_the_detection_rule_needs_no_nonlinearity(build, naturals, quick):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    model = build(network=linear.requires_grad_(requires_grad=False))
    recipe = Recipe(variants=quick)
    candidates = generate(model, naturals(model.domain), recipe=recipe, candidates=8)
    chosen = select(model, candidates, samples=3, rule=Rule.DETECTION)
    assert len(set(rows_of(chosen, candidates))) == 3
    with pytest.raises(InvalidArgumentError, match="nonlinearity"):
        select(model, candidates, samples=3, rule=Rule.DETECTION, layers=["relu_0"])


def test_a_choice_has_no_power_of_its_own(model, found, naturals):
    stated = state_power(model, found, naturals(model.domain))
    assert stated.power
    assert select(model, stated, samples=3).power == ()


def test_only_the_wanted_layers_count(build, network, naturals, quick):
    model = build(network=network(last=(torch.nn.Tanh(),)))
    recipe = Recipe(variants=quick, method=Method.NATURAL)
    candidates = generate(model, naturals(model.domain), recipe=recipe)
    inputs = inputs_of(model, candidates)
    orders = {}
    for layers in (("relu_0",), ("tanh_0",), None):
        bits = active_neurons(model.network, inputs, layers=layers)
        chosen = select(model, candidates, samples=4, rule=Rule.MANC, layers=layers)
        orders[layers] = rows_of(chosen, candidates)
        assert orders[layers] == list(cover(bits, 4).order)
    assert orders["relu_0",] != orders["tanh_0",]


@pytest.mark.parametrize("layers", [["relu_1"], []])
def test_an_unknown_layer_is_refused(model, found, layers):
    with pytest.raises(InvalidArgumentError, match=r"relu_0"):
        select(model, found, samples=2, layers=layers)


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("samples", [-1, 0, 13])
def test_no_more_can_be_chosen_than_there_are_and_no_fewer_than_one(model, found, samples, rule):
    problem = rf"^{samples} samples were wanted, but there are 12 accepted candidates: "
    with pytest.raises(InvalidArgumentError, match=problem):
        select(model, found, samples=samples, rule=rule)


@pytest.mark.parametrize("rule", Rule)
def test_candidates_of_other_weights_are_refused(build, network, found, rule):
    problem = r"^these candidates were made for a network of other weights$"
    with pytest.raises(InvalidArgumentError, match=problem):
        select(build(network=network(seed=1)), found, samples=2, rule=rule)


@pytest.mark.parametrize("levels", [0, 256])
def test_candidates_from_a_file_are_chosen_like_those_that_were_just_made(
    build, naturals, quick, levels
):
    model = build(levels=levels)
    recipe = Recipe(variants=quick, margin=1e-3)
    candidates = generate(model, naturals(model.domain), recipe=recipe, candidates=8)
    stored = decode(encode(candidates), name="candidates.seal")
    assert encode(select(model, stored, samples=3)) == encode(select(model, candidates, samples=3))


def test_choosing_leaves_the_candidates_and_the_network_as_they_were(model, found):
    before = encode(found)
    select(model, found, samples=3)
    assert encode(found) == before
    assert not model.network.training
