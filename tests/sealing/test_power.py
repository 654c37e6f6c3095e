from dataclasses import dataclass, replace
from math import erf, sqrt

import numpy as np
import pytest
import torch
from crafted import make
from refusals import refuses
from torch import nn

from modelseal.enums import Power
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.fingerprint.file_format import decode, encode
from modelseal.sealing.candidates import to_tensor
from modelseal.sealing.perturbations import Family, differs, list_families
from modelseal.sealing.pipeline import select
from modelseal.sealing.power import DRAWS, Draws, search_fixed, search_random, state_power

LEVELS = (1.0, 2.0, 4.0, 8.0, 16.0)
FEW = Draws(scouts=3, stated=6)


@dataclass(frozen=True)
class Change:
    level: float
    seed: int

    def __call__(self, network):
        raise RuntimeError("it is only looked at")


def family(**changes):
    return Family(**{"name": "toy", "unit": "units", "levels": LEVELS, "make": Change, **changes})


def search(notices, **changes):
    """The size, how many noticed and of how many, in a toy family, and all that was asked."""
    asked = []

    def noting(change):
        asked.append(change)
        return notices(change)

    toy = family(**changes)
    if toy.fixed:
        return search_fixed(toy, noting), asked
    source = np.random.default_rng(0)
    return search_random(toy, noting, draws=FEW, source=source), asked


@pytest.mark.parametrize("threshold", LEVELS)
def test_the_smallest_size_that_is_always_noticed_is_stated(threshold):
    assert search(lambda change: change.level >= threshold)[0] == (threshold, 6, 6)


def test_what_is_stated_was_drawn_for_it_and_never_before():
    _, asked = search(lambda change: change.level >= 4)
    seeds = [change.seed for change in asked]
    assert len(set(seeds)) == len(seeds)
    # The smallest without scouts, then one scout that misses, three that notice, six of its own.
    assert [change.level for change in asked] == [1.0, 2.0] + [4.0] * 9


def test_one_miss_among_the_stated_leads_to_the_next_larger_size():
    fours = []

    def notices(change):
        if change.level == 4:
            fours.append(change)
            return len(fours) != 7
        return change.level > 4

    found, asked = search(notices)
    assert found == (8.0, 6, 6)
    assert [change.level for change in asked].count(4.0) == 7


def test_a_family_of_one_size_is_counted_without_scouts():
    found, asked = search(lambda change: change.seed % 2 == 0, unit=None, levels=(1.0,))
    assert found == (1.0, sum(change.seed % 2 == 0 for change in asked), 6)
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("noticed", "level", "count"),
    [
        ({1.0, 2.0, 4.0, 8.0, 16.0}, 1.0, 1),
        ({4.0, 8.0, 16.0}, 4.0, 1),
        # A smaller one that is noticed by luck, and a larger one that is not: no claim of it.
        ({1.0, 8.0, 16.0}, 8.0, 1),
        ({1.0, 2.0, 4.0, 8.0}, 16.0, 0),
        (set(), 16.0, 0),
    ],
)
def test_of_changes_without_chance_all_larger_ones_are_noticed_too(noticed, level, count):
    assert search(lambda change: change.level in noticed, fixed=True)[0] == (level, count, 1)


def true_power(model, sample, *, tolerance, scale):
    """The chance that noise moves a score of a linear network beyond the tolerance.

    The scores move by independent normal numbers.
    """
    weight = model.network[1].weight.double().numpy()
    spread = scale * weight.std() * np.linalg.norm(sample.double().numpy())
    return 1 - erf(tolerance / spread / sqrt(2)) ** 5


@pytest.mark.parametrize("power", [Power.FULL, Power.FAST])
def test_the_noise_that_a_linear_network_notices_is_what_can_be_computed(build, naturals, power):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5, bias=False))
    model = build(network=network.eval().requires_grad_(requires_grad=False))
    settings = {"method": "natural", "spec": "scores:0.01", "factor": 1.0, "count": 1}
    made = make(model, naturals(model.domain), **settings)
    noise = state_power(model, made, naturals(model.domain), power=power).power[0]
    assert noise.family == "Gaussian noise"
    assert noise.noticed == noise.draws == DRAWS[power].stated
    sample = to_tensor(model, made.samples)
    for factor in (1, 0.25):
        share = true_power(model, sample, tolerance=0.01, scale=noise.level * factor)
        assert (share >= noise.at_least) == (factor == 1)


def test_fixed_families_are_what_trying_every_size_by_hand_gives(model, found, naturals):
    chosen = select(model, found, samples=2)
    stated = state_power(model, chosen, naturals(model.domain)).power
    samples = to_tensor(model, chosen.samples)
    for family in list_families(model, samples, seed=0):
        if not family.fixed:
            continue
        (limit,) = (each for each in stated if each.family == family.name)
        noticed = {
            level: differs(family.make(level, 0)(model.network), samples, chosen).any()
            for level in family.levels
        }
        whole = [one for one in family.levels if all(noticed[x] for x in family.levels if x >= one)]
        assert limit.noticed == bool(whole)
        assert limit.level == (min(whole, default=family.levels[-1]) if family.unit else None)


@pytest.mark.parametrize(("power", "draws"), [(Power.FAST, 20), (Power.FULL, 60)])
def test_a_fingerprint_states_every_family_with_its_draws(model, found, naturals, power, draws):
    chosen, told, codes = select(model, found, samples=3), [], naturals(model.domain)
    made = state_power(model, chosen, codes, power=power, progress=lambda *news: told.append(news))
    assert len(made.power) == 10
    assert {limit.draws for limit in made.power if not limit.fixed} == {draws}
    assert {limit.draws for limit in made.power if limit.fixed} == {1}
    assert told == [("power", done, 10) for done in range(11)]
    assert decode(encode(made), name="a.seal").power == made.power
    assert encode(replace(made, power=())) == encode(chosen)
    # It depends on nothing but the fingerprint and the inputs.
    torch.rand(7)
    assert encode(state_power(model, made, codes, power=power)) == encode(made)


def test_what_does_not_fit_is_refused(build, network, model, found, naturals):
    codes = naturals(model.domain)
    with refuses(InvalidArgumentError, field="fingerprint"):
        state_power(build(network=network(seed=1)), found, codes)
    with refuses(InvalidArgumentError):
        state_power(model, found, np.zeros((2, 3, 9, 9), np.uint8))
    with refuses(InvalidArgumentError, field="images"):
        state_power(model, found, np.zeros((0, 3, 8, 8), np.uint8))
    labels = (found.expected.labels + 1) % found.classes
    wrong = replace(found, expected=replace(found.expected, labels=labels))
    with refuses(SealingError):
        state_power(model, wrong, codes)
