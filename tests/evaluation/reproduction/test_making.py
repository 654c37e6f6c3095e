from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch

from modelseal.errors import SealingError
from modelseal.generation.baselines.legacy import LegacySettings, legacy
from modelseal.research import experiment
from modelseal.research.experiment import make_legacy, make_natural, make_ours
from modelseal.research.vgg_face import MEAN
from modelseal.types import ignore


@pytest.fixture
def naturals(faces):
    return faces[0].images[:3]


def slow_sensitivity(network, image, classes):
    """The mean squared derivative of the summed log-probabilities by the last layer's weights."""
    own = network.network
    weight = own.fc8.weight.detach().clone().requires_grad_()
    kept = []
    handle = own.fc7.register_forward_hook(lambda *given: kept.append(given[2]))
    with torch.no_grad():
        network(torch.from_numpy(image)[None])
    handle.remove()
    scores = torch.relu(kept[0]) @ weight.T + own.fc8.bias
    total = (scores.softmax(1) + 1e-8).log()[:, :classes].sum()
    return float(torch.autograd.grad(total, weight)[0].square().mean())


def test_the_samples_of_the_published_loop_are_its_own(pair, naturals, settings):
    chosen = settings()
    made = make_legacy(pair, naturals, chosen, ignore)
    inputs = torch.from_numpy(pair.decode(naturals))
    wanted = legacy(
        pair.clean.network, inputs, domain=pair.clean.domain, settings=chosen.legacy
    ).numpy()
    assert np.array_equal(made["legacy:float"].images, wanted)
    assert np.array_equal(made["legacy"].images, wanted.round())
    assert made["legacy"].images.dtype == np.float32
    assert made["legacy:float"].seconds > 0


def test_psnr_and_sensitivity_are_those_of_each_sample(pair, naturals, settings):
    made = make_legacy(pair, naturals, settings(), ignore)["legacy"]
    for row, image in enumerate(made.images):
        power = np.mean((image - naturals[row]) ** 2)
        assert made.psnr[row] == pytest.approx(10 * np.log10(255**2 / power), rel=1e-4)
        slow = slow_sensitivity(pair.clean.network, image, 3)
        assert made.sensitivity[row] == pytest.approx(slow, rel=1e-3)


def test_natural_images_are_their_own_samples(pair, naturals, settings):
    made = make_natural(pair, naturals, settings())
    assert np.array_equal(made.images, naturals)
    assert (made.psnr.tolist(), made.sources.tolist()) == ([inf] * 3, [0, 1, 2])


def test_only_samples_above_the_threshold_are_candidates(pair, naturals, settings):
    every = make_natural(pair, naturals, settings()).sensitivity
    low, middle, high = np.sort(every)
    once = LegacySettings(
        iterations=1, threshold=float((middle + high) / 2), classes=3, radius=1e-4
    )
    made = make_legacy(pair, naturals, settings(legacy=once), ignore)
    wanted = [int(every.argmax())]
    assert low < middle < high
    assert [each.sources.tolist() for each in made.values()] == [wanted, wanted]
    assert all(each.reason == "" for each in made.values())
    none = make_legacy(pair, naturals, settings(legacy=replace(once, threshold=1e9)), ignore)
    assert all(len(each) == 0 for each in none.values())
    assert none["legacy"].reason == "no sample came above the threshold"


def test_samples_of_more_noise_than_signal_are_no_candidates(pair, settings):
    mean = np.array(MEAN).round().astype(np.uint8)
    plain = np.broadcast_to(mean.reshape(-1, 1, 1), (1, 3, 32, 32)).copy()
    made = make_legacy(pair, plain, settings(), ignore)
    assert len(made["legacy:float"]) == 0


def test_our_samples_lie_on_whole_grey_levels_and_know_their_image(pair, faces, settings):
    naturals = faces[0].images
    made = make_ours(pair, naturals, settings(), ignore)
    assert len(made) >= 1
    assert np.array_equal(made.images, made.images.round())
    for image, source, psnr in zip(made.images, made.sources, made.psnr, strict=True):
        away = [np.abs(image - natural).mean() for natural in naturals.astype(np.float32)]
        assert int(np.argmin(away)) == source
        power = np.mean((image - naturals[source]) ** 2)
        assert psnr == pytest.approx(10 * np.log10(255**2 / power), rel=1e-4)


def test_where_ours_cannot_be_made_the_reason_is_kept(pair, naturals, settings, monkeypatch):
    def refuse(*_, **__):
        raise SealingError("none of 3 candidates can be used")

    monkeypatch.setattr(experiment, "generate", refuse)
    made = make_ours(pair, naturals, settings(), ignore)
    assert (len(made), made.reason) == (0, "none of 3 candidates can be used")
