import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import (
    FALSE_RATES,
    Lessons,
    View,
    Viewing,
    band_energy,
    closeness,
    draw,
    find_at,
    laplacian_energy,
    learn,
    measure_auc,
    noise_level,
    separate,
    suspect,
)

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((3, 2, 8, 6))
STATISTICS = (laplacian_energy, band_energy, noise_level)


def test_the_laplacian_is_that_of_every_pixel_one_by_one():
    for image, energy in zip(IMAGES, laplacian_energy(IMAGES), strict=True):
        squares = [
            (
                channel[y - 1, x]
                + channel[y + 1, x]
                + channel[y, x - 1]
                + channel[y, x + 1]
                - 4 * channel[y, x]
            )
            ** 2
            for channel in image
            for y in range(1, 7)
            for x in range(1, 5)
        ]
        assert energy == pytest.approx(np.log(np.mean(squares)))


def test_the_band_s_energy_is_that_of_the_slow_transform():
    image = IMAGES[0, 0]
    height, width = image.shape
    total, count = 0.0, 0
    for v in range(height):
        for u in range(width):
            if min(v, height - v) < height / 4 or min(u, width - u) < width / 4:
                continue
            turns = v * np.arange(height)[:, None] / height + u * np.arange(width) / width
            total += abs((image * np.exp(-2j * np.pi * turns)).sum()) ** 2 / (height * width)
            count += 1
    assert band_energy(image[None])[0] == pytest.approx(np.log(total / count))


def test_the_noise_level_is_that_of_the_noise_and_edges_do_not_count():
    smooth = np.linspace(0, 1, 64)[None, None].repeat(64, axis=1)
    noisy = np.stack([smooth + RANDOM.normal(0, sigma, smooth.shape) for sigma in (0.01, 0.1)])
    noisy[..., ::8, ::8] += 5
    assert np.exp(noise_level(noisy)) == pytest.approx([0.01, 0.1], rel=0.1)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_an_image_without_detail_has_a_finite_score_and_what_is_no_image_is_refused(statistic):
    assert np.isfinite(statistic(np.full((1, 3, 8, 8), 0.5))).all()
    for shape in ((4, 12), (4, 2, 9), (4, 3, 9, 2)):
        with pytest.raises(InvalidArgumentError, match="images"):
            statistic(np.zeros(shape))


def test_closeness_is_less_the_distance_to_the_nearest_of_all_pairs():
    queries, known = RANDOM.random((600, 1, 2, 3)), RANDOM.random((40, 1, 2, 3))
    slow = [-min(np.sqrt(np.mean((query - each) ** 2)) for each in known) for query in queries]
    assert closeness(queries, known) == pytest.approx(np.array(slow))
    assert (closeness(known[5:9], known) == 0).all()


def material(count, seed):
    """Smooth images, and the same with a little noise."""
    random = np.random.default_rng(seed)
    smooth = random.random((count, 3, 1, 1)) * np.linspace(0.2, 0.8, 12)[:, None].repeat(12, 1)
    noisy = smooth + random.normal(0, 0.02, smooth.shape)
    return noisy.astype(np.float32), smooth.astype(np.float32)


def train(seed=0, view=View.RESIDUAL, lessons=Lessons(steps=60, batch=16, width=6)):  # noqa: B008
    generator = torch.Generator().manual_seed(seed)
    return learn(*material(24, 1), generator=generator, view=view, lessons=lessons)


@pytest.mark.parametrize("view", View)
def test_it_learns_what_tells_other_images_apart_and_each_image_by_itself(view):
    network = train(view=view, lessons=Lessons(steps=150, batch=16, width=6))
    noisy, smooth = material(300, 2)
    scores = suspect(network, noisy)
    assert measure_auc(scores, suspect(network, smooth))[0] > 0.95
    alone = np.concatenate([suspect(network, noisy[[row]]) for row in (0, 100, 299)])
    assert scores[[0, 100, 299]] == pytest.approx(alone, abs=1e-5)


def test_the_generator_alone_decides_and_no_global_seed_is_touched():
    state = torch.random.get_rng_state()
    first, again, other = (train(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_residual_is_the_distance_from_the_mean_of_nine_in_four_levels():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 9 / 255
    seen = Viewing(View.RESIDUAL)(image)[0, 0]
    assert seen[2, 2].item() == pytest.approx(8 / 4)
    assert seen[1, 2].item() == pytest.approx(-1 / 4)
    assert Viewing(View.RESIDUAL)(image * 100).abs().max().item() == 3


def test_what_is_drawn_is_an_image_mirrored_or_turned():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    ways = {
        tuple(each.flatten().tolist())
        for each in (image, image.flip(-1), image.mT, image.flip(-1).mT)
    }
    generator = torch.Generator().manual_seed(0)
    drawn = {tuple(draw(image, 1, generator).flatten().tolist()) for _ in range(60)}
    assert drawn == ways
    wide = torch.rand(2, 1, 3, 4)
    assert draw(wide, 5, generator).shape == (5, 1, 3, 4)


SCORES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=12).map(np.array)


def pairs(samples, naturals):
    """Every pair, as 1 if the sample is higher, 1/2 if both are the same, and else 0."""
    return np.array([[(x > y) + 0.5 * (x == y) for y in naturals] for x in samples])


@given(SCORES, SCORES)
def test_the_area_and_its_variance_are_those_of_all_pairs(samples, naturals):
    table = pairs(samples, naturals)
    auc, low, high = measure_auc(samples, naturals)
    assert auc == pytest.approx(table.mean())
    assert 0 <= low <= auc <= high <= 1
    variance = table.mean(1).var(ddof=1) / len(samples) + table.mean(0).var(ddof=1) / len(naturals)
    if table.mean() in {0, 1}:
        assert high - low == pytest.approx(min(1, 3 / min(len(samples), len(naturals))))
    else:
        reach = 1.959964 * np.sqrt(variance)
        assert low == pytest.approx(max(0, table.mean() - reach), abs=1e-6)
        assert high == pytest.approx(min(1, table.mean() + reach), abs=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator, held = np.random.default_rng(0), 0
    # For normal scores one apart the area is Φ(1/√2).
    for _ in range(400):
        _, low, high = measure_auc(generator.normal(1, 1, 60), generator.normal(0, 1, 90))
        held += low <= 0.76025 <= high
    # 95 % of 400 are 380, with a standard deviation of 4.4.
    assert held >= 362


@given(SCORES, SCORES, st.sampled_from(FALSE_RATES) | st.floats(0, 0.9))
def test_the_threshold_is_the_lowest_that_keeps_the_rate(samples, naturals, rate):
    found = find_at(rate, samples, naturals)
    assert (naturals > found.threshold).mean() <= rate
    assert found.found.part == (samples > found.threshold).sum()
    lower = naturals[naturals < found.threshold]
    if len(lower):
        assert (naturals > lower.max()).mean() > rate


@pytest.mark.parametrize("bad", [np.array([1.0]), np.array([1.0, np.nan]), np.array([1, np.inf])])
def test_too_few_scores_or_none_are_refused(bad):
    good = np.array([1.0, 2.0])
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(InvalidArgumentError):
            separate("x", *pair)
