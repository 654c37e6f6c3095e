from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.generation.baselines.legacy import LegacySettings, legacy
from modelseal.research import vgg_face_experiment
from modelseal.research.vgg_face import MEAN
from modelseal.research.vgg_face_experiment import (
    Settings,
    check_sanity,
    count_success,
    make_legacy,
    make_natural,
    make_ours,
    run_experiment,
    size_bag,
)
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
    for row, image in enumerate(made["legacy"].images):
        power = np.mean((image - naturals[row]) ** 2)
        assert made["legacy"].psnr[row] == pytest.approx(10 * np.log10(255**2 / power), rel=1e-4)
        slow = slow_sensitivity(pair.clean.network, image, 3)
        assert made["legacy"].sensitivity[row] == pytest.approx(slow, rel=1e-3)
    # Samples of more noise than signal are no candidates.
    mean = np.array(MEAN).round().astype(np.uint8)
    plain = np.broadcast_to(mean.reshape(-1, 1, 1), (1, 3, 32, 32)).copy()
    assert len(make_legacy(pair, plain, chosen, ignore)["legacy:float"]) == 0


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

    monkeypatch.setattr(vgg_face_experiment, "make_candidates", refuse)
    made = make_ours(pair, naturals, settings(), ignore)
    assert (len(made), made.reason) == (0, "none of 3 candidates can be used")


def count(active, noticed, **changes):
    given = {"samples": 2, "bag": 3, "trials": 2000, "seed": 0, **changes}
    active = np.asarray(active, dtype=bool)
    return count_success(np.packbits(active, axis=1), np.asarray(noticed, dtype=bool), **given)


def slow_cover(active, rows, samples):
    """The greedy choice, written down; all gains differ in the tests that use it."""
    covered, chosen = np.zeros(active.shape[1], dtype=bool), []
    for _ in range(samples):
        gains = {row: int((active[row] & ~covered).sum()) for row in rows if row not in chosen}
        chosen.append(max(gains, key=gains.get))
        covered |= active[chosen[-1]]
    return chosen


def test_the_rates_are_those_of_all_bags():
    widths = (1, 2, 4, 8, 16)
    active, start = np.zeros((5, 31), dtype=bool), 0
    for row, width in enumerate(widths):
        active[row, start : start + width] = True
        start += width
    noticed = np.array([True, False, True, False, False])
    bags = list(combinations(range(5), 3))
    chosen = [slow_cover(active, bag, 2) for bag in bags]
    manc = [np.mean([noticed[rows[:n]].any() for rows in chosen]) for n in (1, 2)]
    random = [noticed.mean(), 1 - 3 / 5 * 2 / 4]
    found = count(active, noticed)
    # The spread of a share in 2,000 draws is at most 0.011.
    assert found.manc == pytest.approx(manc, abs=0.045)
    assert found.random == pytest.approx(random, abs=0.045)
    assert found.distinct == len({frozenset(rows) for rows in chosen})
    assert (found.bag, found.trials) == (3, 2000)
    assert count(active, noticed) == found != count(active, noticed, seed=1)
    # Where there are no more candidates than a bag holds, every bag is half of them.
    found = count(np.eye(8, dtype=bool), [True] + 7 * [False], bag=100, samples=10)
    assert (found.bag, len(found.manc), found.distinct) == (4, 4, 70)
    assert found.manc[-1] == pytest.approx(0.5, abs=0.045)
    assert count(np.zeros((0, 8)), np.zeros(0)) is None


@given(candidates=st.integers(1, 500), wanted=st.integers(1, 200))
def test_a_bag_is_a_proper_part_of_the_candidates(candidates, wanted):
    size = size_bag(candidates, wanted)
    assert 1 <= size <= wanted
    assert size < candidates or candidates == 1


def test_the_shares_of_the_sanity_check_are_those_counted_one_by_one(pair, faces):
    source = np.random.default_rng(0)
    clean, triggered = (
        replace(each, images=source.integers(0, 256, each.images.shape, dtype=np.uint8))
        for each in faces
    )

    def classify(network, images):
        inputs = torch.from_numpy(pair.decode(images))
        return np.array([int(network(one[None]).argmax()) for one in inputs])

    plain = classify(pair.clean.network, clean.images)
    changed = classify(pair.trojaned, clean.images)
    stamped = classify(pair.trojaned, triggered.images)
    sanity = check_sanity(pair, clean, triggered)
    assert sanity.clean_accuracy == np.mean(plain == clean.labels)
    assert sanity.trojaned_accuracy == np.mean(changed == clean.labels)
    assert sanity.differing == np.mean(plain != changed)
    assert sanity.attack_success == np.mean(stamped == 0)


def test_every_method_has_its_samples_and_its_rate_and_ours_notices_the_trojan(found):
    sanity = found.sanity
    assert min(sanity.clean_accuracy, sanity.trojaned_accuracy, sanity.attack_success) > 0.9
    assert (sanity.images, sanity.triggered) == (12, 12)
    methods = {each.method: each for each in found.outcomes}
    assert list(methods) == ["natural", "legacy:float", "legacy", "boundary"]
    assert found.layer == "relu_14"
    assert found.settings.images == len(found.files) == len(found.naturals) == 12
    for each in found.outcomes:
        assert len(each.noticed) == len(each.made)
        assert each.success.trials == 20
    shares = {name: each.noticed.mean() for name, each in methods.items()}
    assert shares["boundary"] > max(shares["legacy"], shares["natural"])


def test_the_stages_are_told_to_their_end(pair, faces, settings):
    told = []
    legacy = LegacySettings(iterations=1, threshold=1e9)
    found = run_experiment(
        pair,
        *faces,
        settings=settings(images=4, legacy=legacy),
        progress=lambda *given: told.append(given),
    )
    assert {("legacy", 4, 4), ("generate", 4, 4), ("select", 4, 4)} <= set(told)
    assert found.outcomes[1].made.reason == "no sample came above the threshold"
    with refuses(InvalidArgumentError, field="images"):
        run_experiment(pair, *faces, settings=settings(images=13))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"images": 0}, "images"),
        ({"samples": 0}, "samples"),
        ({"bag": 0}, "bag"),
        ({"trials": -1}, "trials"),
        ({"samples": 5, "bag": 4}, "samples"),
        ({"seed": -1}, "seed"),
    ],
)
def test_numbers_out_of_their_range_are_refused(changes, field):
    with refuses(InvalidArgumentError, field=field):
        Settings(**changes)
