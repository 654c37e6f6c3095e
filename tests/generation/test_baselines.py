from math import inf, nan

import pytest
import torch
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines import uniform_noise
from modelseal.generation.baselines.ibsf import PUBLISHED, TUNED, Gradients, IbsfSettings
from modelseal.generation.baselines.legacy import LegacySettings

SMALL = Domain(shape=(1, 3, 3), bounds=(-1.0, 1.0), levels=256)


def test_noise_fills_the_bounds_evenly_and_repeats_with_its_generator():
    def draw(seed):
        return uniform_noise(SMALL, count=900, generator=torch.Generator().manual_seed(seed))

    noise = draw(1)
    assert noise.shape == (900, 1, 3, 3)
    assert torch.equal(noise, draw(1))
    assert not torch.equal(noise, draw(2))
    assert noise.min() >= -1.0
    assert noise.max() <= 1.0
    # 8,100 values in ten bins: five standard deviations are 135.
    counts = torch.histc(noise, bins=10, min=-1.0, max=1.0)
    assert (counts - 810).abs().max() < 135


BELOW_ONE, BELOW_ZERO, NOT_POSITIVE = (0, -3), (-0.1, nan, inf), (0.0, -0.1, nan, inf)


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        (IbsfSettings, "iterations", BELOW_ONE),
        (IbsfSettings, "classes", (1,)),
        (IbsfSettings, "learning_rate", NOT_POSITIVE),
        (IbsfSettings, "radius", NOT_POSITIVE),
        (LegacySettings, "iterations", BELOW_ONE),
        (LegacySettings, "classes", BELOW_ONE),
        (LegacySettings, "learning_rate", NOT_POSITIVE),
        (LegacySettings, "radius", NOT_POSITIVE),
        (LegacySettings, "variation", BELOW_ZERO),
        (LegacySettings, "threshold", (-1.0, nan)),
    ],
)
def test_settings_out_of_range_are_refused(kind, field, values):
    for value in values:
        with refuses(InvalidArgumentError, field=field, match=f"got {value}$"):
            kind(**{field: value})


def test_no_noise_is_refused():
    with refuses(InvalidArgumentError, field="count"):
        uniform_noise(SMALL, count=0, generator=torch.Generator())


def test_the_published_numbers_are_the_default():
    assert IbsfSettings() == PUBLISHED
    assert (PUBLISHED.iterations, PUBLISHED.classes) == (5000, 10)
    assert (PUBLISHED.learning_rate, PUBLISHED.radius) == (1.0, 1.0)
    assert PUBLISHED.gradients is Gradients.SUMMED
    assert TUNED.iterations < PUBLISHED.iterations
    legacy = LegacySettings()
    assert (legacy.iterations, legacy.learning_rate, legacy.radius) == (1000, 1.0, 10.0)
    assert (legacy.threshold, legacy.classes) == (5e-4, 40)
