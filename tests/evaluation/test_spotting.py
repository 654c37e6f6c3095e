from dataclasses import replace
from functools import partial

import numpy as np
import planned
import pytest
from refusals import refuses

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation import runner
from modelseal.evaluation.adversary import spotter
from modelseal.evaluation.adversary.detectors import Lessons
from modelseal.evaluation.adversary.spotter import (
    ALONE,
    HIGH_FREQUENCY,
    NEIGHBOURS,
    NETWORKS,
    Material,
    SpottingTask,
    neighbours,
    split,
    spot,
    suspect_samples,
)
from modelseal.evaluation.inputs import list_networks
from modelseal.evaluation.plan import Subject, read_plan
from modelseal.evaluation.results import read_results, spotting_file
from modelseal.evaluation.runner import list_spotting, run_plan
from modelseal.parallel.workers import Sequential

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
def found():
    return spot(material(), generator=np.random.default_rng(0), lessons=LESSONS)


def test_every_detector_is_tried_on_what_was_not_learned_from(found):
    assert set(found.separations) == {*HIGH_FREQUENCY, *NETWORKS, *NEIGHBOURS}
    assert 0 < found.tried.sum() < 40
    for name, each in found.separations.items():
        assert each.detector == name
        assert each.samples == len(found.scores[name]) == found.tried.sum()
        assert each.naturals == 40 + (0 if name in NEIGHBOURS else found.tried.sum())


def test_noise_and_what_is_close_to_something_known_is_found(found):
    for name in (*HIGH_FREQUENCY, "network on residuals"):
        assert found.separations[name].low > 0.8
    for name in NEIGHBOURS[1:]:
        assert found.separations[name].auc > 0.9


def test_no_natural_input_is_on_both_sides():
    sources = smooth(10, 0)[np.random.default_rng(0).integers(0, 10, 60)]
    learned = split(sources, np.random.default_rng(1))
    sides = [{each.tobytes() for each in sources[mask]} for mask in (learned, ~learned)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_a_neighbour_is_one_level_away_in_one_value():
    samples = DOMAIN.decode(material().samples)
    codes = DOMAIN.encode(neighbours(samples, DOMAIN)).astype(int)
    steps = np.abs(codes - material().samples).reshape(40, -1)
    assert (steps.sum(axis=1) == 1).all()
    assert (codes.min(), codes.max()) >= (0, 0)
    assert codes.max() <= 255


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": smooth(3, 0)},
        {"naturals": smooth(3, 0)},
        {"naturals": np.zeros((9, 3, 8, 7), np.uint8)},
    ],
)
def test_material_that_does_not_fit_is_refused(changes):
    good = material()
    fields = {"samples": good.samples, "sources": good.sources, "naturals": good.naturals}
    with pytest.raises(InvalidArgumentError):
        Material(domain=DOMAIN, **{**fields, **changes})


SPOTTING = ("[tampering]", "[spotting]\nnaturals = 8\n[tampering]")
LARGER = ("candidates = 8", "candidates = 11")
NATURAL = Subject(network="small", method="natural", spec="top1")


def run(path, folder):
    told = []

    def note(stage, done, total):
        told.append((stage, done, total))

    assert run_plan(path, folder, workers=Sequential(), progress=note) == ()
    return told


@pytest.fixture(scope="module")
def spotted(tmp_path_factory):
    """A plan with spotting, its results and the progress that was told."""
    place = tmp_path_factory.mktemp("spotted")
    path = planned.write_plan(place, SPOTTING, LARGER)
    return path, place / "results", run(path, place / "results")


def test_every_detector_looks_at_the_samples_of_every_method(spotted):
    _, folder, told = spotted
    results = read_results(folder)
    lengths = {each.subject: len(each.psnr) for each in results.sets}
    assert [each.subject.method for each in results.suspicions] == ["boundary", "natural"]
    for each in results.suspicions:
        areas = {one.detector: one.auc for one in each.separations}
        assert list(areas) == [*HIGH_FREQUENCY, *NETWORKS, *NEIGHBOURS]
        # The best detector that needs no knowledge is the one whose scores are kept.
        assert areas[each.detector] == max(areas[name] for name in ALONE)
        # Half of the samples taught it.
        assert 0 < len(each.scores) == len(each.tried) < lengths[each.subject]
        assert max(each.tried) < lengths[each.subject]
    assert [step for step in told if step[0] == "spotting"] == [
        ("spotting", done, 2) for done in range(3)
    ]


def test_what_was_looked_at_is_not_looked_at_again_and_only_named_methods_are(spotted, tmp_path):
    _, folder, _ = spotted
    path = planned.write_plan(
        tmp_path, LARGER, ("[tampering]", '[spotting]\nmethods = ["natural"]\n[tampering]')
    )
    plan = read_plan(path)
    networks = list_networks(plan, tmp_path)
    assert list_spotting(plan, networks, folder) == []
    moved = (folder / spotting_file(NATURAL)).rename(tmp_path / "moved")
    try:
        (task,) = list_spotting(plan, networks, folder)
    finally:
        moved.rename(folder / spotting_file(NATURAL))
    assert (task.subject, task.naturals) == (NATURAL, 3000)
    assert str(task) == "spotting samples of natural for small, top1"


def test_too_few_other_inputs_are_said_and_of_large_ones_fewer_are_used(spotted, monkeypatch):
    path, folder, _ = spotted
    files = list_networks(read_plan(path), path.parent)["small"]
    task = SpottingTask(subject=NATURAL, files=files, folder=folder, naturals=7, seed=0)
    found = suspect_samples(task)
    assert found.reason == "expected 8 samples and 8 other natural inputs, got 11 and 7"
    assert (found.separations, found.tried, found.scores) == ((), (), ())
    monkeypatch.setattr(spotter, "Lessons", partial(spotter.Lessons, steps=2))
    monkeypatch.setattr(spotter, "_VALUES_AT_ONCE", 8 * 64)
    found = suspect_samples(replace(task, naturals=9))
    known = next(each for each in found.separations if each.detector == NEIGHBOURS[0])
    assert known.naturals == 4  # of eight, half are known


def test_inputs_that_are_no_images_are_refused_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SMALLEST", 9)
    path = planned.write_plan(tmp_path, SPOTTING)
    with refuses(BadFileError, field="spotting"):
        run(path, tmp_path / "results")
    assert not (tmp_path / "results").exists()
