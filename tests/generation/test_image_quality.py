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


def test_signal_to_noise_ratios_are_their_formulas_number_by_number(pair):
    peak, usual = [], []
    for sample, natural in zip(*(each.flatten(1).tolist() for each in pair), strict=True):
        wrong = sum((a - b) ** 2 for a, b in zip(sample, natural, strict=True))
        peak.append(10 * log10(2.0**2 / (wrong / 24)))
        usual.append(10 * log10(sum(value**2 for value in natural) / wrong))
    assert measure_psnr(*pair, span=2.0).tolist() == pytest.approx(peak)
    assert measure_snr(*pair).tolist() == pytest.approx(usual)
    assert measure_psnr(pair[1], pair[1], span=1.0).tolist() == [inf, inf]


def test_total_variation_is_its_formula_pair_by_pair(pair):
    for image, found in zip(pair[0].tolist(), total_variation(pair[0]).tolist(), strict=True):
        down = [
            (channel[i + 1][j] - channel[i][j]) ** 2
            for channel in image
            for i in range(2)
            for j in range(4)
        ]
        right = [
            (row[j + 1] - row[j]) ** 2 for channel in image for row in channel for j in range(3)
        ]
        assert found == pytest.approx(sum(down) / 16 + sum(right) / 18)


@pytest.mark.parametrize("shape", [(2, 5), (1, 3, 3), (1, 1, 1, 4), (1, 1, 4, 1)])
def test_what_is_no_image_has_no_total_variation(shape):
    with refuses(InvalidArgumentError):
        total_variation(torch.zeros(shape))
