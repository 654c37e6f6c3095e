import numpy as np
import pytest

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import Lessons
from modelseal.evaluation.adversary.spotting import (
    HIGH_FREQUENCY,
    NEIGHBOURS,
    NETWORKS,
    Material,
    neighbours,
    split,
    spot,
    unique,
)

DOMAIN = Domain(shape=(3, 8, 8))
LESSONS = Lessons(steps=120, batch=16, width=6)


def smooth(count, seed):
    """Images without fine detail."""
    random = np.random.default_rng(seed)
    levels = random.integers(40, 180, (count, 3, 1, 1)) + random.integers(0, 5, (count, 1, 1, 1))
    ramp = np.arange(8) * random.integers(-4, 5, (count, 1, 1, 1))
    return (levels + ramp + np.arange(8)[:, None]).astype(np.uint8)


def material(noise=6, count=40):
    sources = smooth(count, 0)
    shift = np.random.default_rng(1).integers(-noise, noise + 1, sources.shape)
    samples = (sources.astype(int) + shift).clip(0, 255).astype(np.uint8)
    return Material(domain=DOMAIN, samples=samples, sources=sources, naturals=smooth(80, 2))


@pytest.fixture(scope="module")
def spotted():
    return spot(material(), generator=np.random.default_rng(0), lessons=LESSONS)


def test_every_detector_is_tried_on_what_was_not_learned_from(spotted):
    assert set(spotted.separations) == {*HIGH_FREQUENCY, *NETWORKS, *NEIGHBOURS}
    assert 0 < spotted.tried.sum() < 40
    for name, found in spotted.separations.items():
        assert found.detector == name
        assert found.samples == len(spotted.scores[name]) == spotted.tried.sum()
        assert found.naturals == 40 + (0 if name in NEIGHBOURS else spotted.tried.sum())


@pytest.mark.parametrize("name", [*HIGH_FREQUENCY, "network on residuals"])
def test_noise_on_smooth_images_is_found(spotted, name):
    assert spotted.separations[name].low > 0.8


@pytest.mark.parametrize("name", NEIGHBOURS[1:])
def test_what_is_close_to_something_known_is_found(spotted, name):
    assert spotted.separations[name].auc > 0.9


def test_natural_inputs_in_the_place_of_samples_are_not_found():
    same = smooth(60, 5)
    honest = Material(domain=DOMAIN, samples=same, sources=same, naturals=smooth(200, 6))
    found = spot(honest, generator=np.random.default_rng(0), lessons=LESSONS).separations
    for name in (*HIGH_FREQUENCY, *NETWORKS, NEIGHBOURS[0]):
        assert 0.3 < found[name].auc < 0.7


def test_the_same_generator_gives_the_same_scores():
    first, again = (
        spot(material(), generator=np.random.default_rng(3), lessons=LESSONS) for _ in range(2)
    )
    assert first.separations == again.separations


def test_no_natural_input_is_on_both_sides():
    sources = smooth(10, 0)[np.random.default_rng(0).integers(0, 10, 60)]
    learned = split(sources, np.random.default_rng(1))
    sides = [{each.tobytes() for each in sources[mask]} for mask in (learned, ~learned)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_every_input_is_once_in_what_is_unique():
    stock = smooth(5, 0)
    again = unique(stock[[0, 1, 1, 4, 0]])
    assert {each.tobytes() for each in again} == {each.tobytes() for each in stock[[0, 1, 4]]}
    assert len(again) == 3


def test_a_neighbour_is_one_level_away_in_one_value():
    samples = DOMAIN.decode(material().samples)
    codes = DOMAIN.encode(neighbours(samples, DOMAIN)).astype(int)
    steps = np.abs(codes - material().samples).reshape(40, -1)
    assert (steps.sum(axis=1) == 1).all()
    assert (codes.min(), codes.max()) >= (0, 0)
    assert codes.max() <= 255


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sources": smooth(3, 0)}, "a source for each of 40 samples was wanted, but 3 came"),
        ({"naturals": smooth(3, 0)}, "at least 8 samples and natural inputs were wanted"),
        ({"naturals": np.zeros((9, 3, 8, 7), np.uint8)}, "inputs need shape"),
    ],
)
def test_material_that_does_not_fit_is_refused(changes, problem):
    good = material()
    fields = {"samples": good.samples, "sources": good.sources, "naturals": good.naturals}
    with pytest.raises(InvalidArgumentError, match=problem):
        Material(domain=DOMAIN, **{**fields, **changes})
