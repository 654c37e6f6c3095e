import numpy as np
import pytest

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.adversary.detectors import (
    band_energy,
    closeness,
    laplacian_energy,
    noise_level,
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


def test_the_band_is_what_is_left_of_waves_of_every_frequency():
    size = 8
    y, x = np.mgrid[:size, :size]
    for v in range(size):
        for u in range(size):
            wave = np.cos(2 * np.pi * (v * y + u * x) / size)[None]
            is_high = min(v, size - v) >= 2 and min(u, size - u) >= 2
            assert (band_energy(wave)[0] > -20) == is_high


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
def test_more_noise_has_a_higher_score_and_each_image_its_own(statistic):
    noisy = IMAGES * 0.1 + np.array([0.0, 0.5, 2.0])[:, None, None, None] * RANDOM.normal(
        size=IMAGES.shape
    )
    scores = statistic(noisy)
    assert list(scores) == sorted(scores)
    assert scores == pytest.approx(np.concatenate([statistic(noisy[[row]]) for row in range(3)]))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_an_image_without_detail_has_a_finite_score(statistic):
    assert np.isfinite(statistic(np.full((1, 3, 8, 8), 0.5))).all()


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("shape", [(4, 12), (4, 2, 9), (4, 3, 9, 2)])
def test_what_is_no_image_is_refused(statistic, shape):
    with pytest.raises(InvalidArgumentError, match="images of at least 3 x 3 were wanted"):
        statistic(np.zeros(shape))


def test_closeness_is_less_the_distance_to_the_nearest_of_all_pairs():
    queries, known = RANDOM.random((600, 1, 2, 3)), RANDOM.random((40, 1, 2, 3))
    slow = [-min(np.sqrt(np.mean((query - each) ** 2)) for each in known) for query in queries]
    assert closeness(queries, known) == pytest.approx(np.array(slow))


def test_a_repeated_query_is_at_no_distance_at_all():
    known = RANDOM.random((40, 3, 8, 8))
    assert (closeness(known[5:9], known) == 0).all()
