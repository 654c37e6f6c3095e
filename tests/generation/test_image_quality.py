from math import inf, log10

import pytest
import torch
from refusals import refuses

from modelseal.errors import InvalidArgumentError
from modelseal.generation.image_quality import measure_psnr, measure_snr, total_variation


@pytest.fixture
def pair():
    source = torch.Generator().manual_seed(1)
    naturals = torch.rand(2, 2, 3, 4, generator=source, dtype=torch.float64)
    return naturals + 0.1 * torch.rand(2, 2, 3, 4, generator=source).double(), naturals


def errors(samples, naturals):
    for sample, natural in zip(
        samples.flatten(1).tolist(), naturals.flatten(1).tolist(), strict=True
    ):
        yield natural, [(a - b) ** 2 for a, b in zip(sample, natural, strict=True)]


def test_the_psnr_is_its_formula_number_by_number(pair):
    wanted = [10 * log10(2.0**2 / (sum(wrong) / 24)) for _, wrong in errors(*pair)]
    assert measure_psnr(*pair, span=2.0).tolist() == pytest.approx(wanted)


def test_the_snr_is_its_formula_number_by_number(pair):
    wanted = [
        10 * log10(sum(value**2 for value in natural) / sum(wrong))
        for natural, wrong in errors(*pair)
    ]
    assert measure_snr(*pair).tolist() == pytest.approx(wanted)


def test_one_grey_level_everywhere_is_48_db():
    naturals = torch.full((1, 1, 2, 2), 100.0)
    assert measure_psnr(naturals + 1, naturals, span=255.0).item() == pytest.approx(48.13, abs=0.01)


def test_no_change_is_infinitely_good(pair):
    natural = pair[1]
    assert measure_psnr(natural, natural, span=1.0).tolist() == [inf, inf]
    assert measure_snr(natural, natural).tolist() == [inf, inf]


def test_total_variation_is_its_formula_pair_by_pair(pair):
    for image, found in zip(pair[0], total_variation(pair[0]).tolist(), strict=True):
        down = [
            (image[c, i + 1, j] - image[c, i, j]) ** 2
            for c in range(2)
            for i in range(2)
            for j in range(4)
        ]
        right = [
            (image[c, i, j + 1] - image[c, i, j]) ** 2
            for c in range(2)
            for i in range(3)
            for j in range(3)
        ]
        assert found == pytest.approx(float(sum(down) / 16 + sum(right) / 18))


@pytest.mark.parametrize("shape", [(2, 5), (1, 3, 3), (1, 1, 1, 4), (1, 1, 4, 1)])
def test_what_is_no_image_has_no_total_variation(shape):
    with refuses(InvalidArgumentError):
        total_variation(torch.zeros(shape))
