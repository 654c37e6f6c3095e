from functools import partial

import numpy as np
import planned
import pytest
from refusals import refuses
from safetensors.torch import save_file
from torch import nn

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.evaluation.adversary import spotting
from modelseal.evaluation.adversary.detectors import Lessons
from modelseal.evaluation.adversary.spotting import (
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


@pytest.mark.parametrize("name", [*HIGH_FREQUENCY, "network on residuals"])
def test_noise_on_smooth_images_is_found(found, name):
    assert found.separations[name].low > 0.8


@pytest.mark.parametrize("name", NEIGHBOURS[1:])
def test_what_is_close_to_something_known_is_found(found, name):
    assert found.separations[name].auc > 0.9


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


def run(path, folder, workers=None):
    told = []
    failures = run_plan(
        path,
        folder,
        workers=workers or Sequential(),
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert failures == ()
    return told


@pytest.fixture(scope="module")
def spotted(tmp_path_factory):
    """A plan with spotting, its results and the progress that was told."""
    place = tmp_path_factory.mktemp("spotted")
    path = planned.write_plan(place, SPOTTING, LARGER)
    return path, place / "results", run(path, place / "results")


def test_every_detector_looks_at_the_samples_of_every_method(spotted):
    _, folder, told = spotted
    found = read_results(folder).suspicions
    assert [each.subject.method for each in found] == ["boundary", "natural"]
    for each in found:
        detectors = [one.detector for one in each.separations]
        assert detectors == [*HIGH_FREQUENCY, *NETWORKS, *NEIGHBOURS]
        assert each.detector in ALONE
    assert [step for step in told if step[0] == "spotting"] == [
        ("spotting", done, 2) for done in range(3)
    ]


def test_the_best_detector_that_needs_no_knowledge_is_the_one_whose_scores_are_kept(spotted):
    _, folder, _ = spotted
    results = read_results(folder)
    lengths = {each.subject: len(each.psnr) for each in results.sets}
    for each in results.suspicions:
        areas = {one.detector: one.auc for one in each.separations}
        assert areas[each.detector] == max(areas[name] for name in ALONE)
        # Half of the samples taught it.
        assert len(each.scores) == len(each.tried)
        assert 0 < len(each.tried) < lengths[each.subject]
        assert max(each.tried) < lengths[each.subject]


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


def natural_task(spotted, *, naturals):
    """The natural images that were made into samples, to be told from so many others."""
    path, folder, _ = spotted
    files = list_networks(read_plan(path), path.parent)["small"]
    return SpottingTask(subject=NATURAL, files=files, folder=folder, naturals=naturals, seed=0)


def test_too_few_other_inputs_are_said_and_stop_nothing(spotted):
    task = natural_task(spotted, naturals=7)
    found = suspect_samples(task)
    assert found.reason == ("8 samples and other natural inputs are needed, but there are 11 and 7")
    assert (found.separations, found.tried, found.scores) == ((), (), ())


@pytest.fixture
def brief(monkeypatch):
    """Detectors that learn for two steps."""
    monkeypatch.setattr(spotting, "Lessons", partial(spotting.Lessons, steps=2))


def test_of_large_inputs_fewer_are_used(spotted, monkeypatch, brief):
    task = natural_task(spotted, naturals=9)
    monkeypatch.setattr(spotting, "_VALUES_AT_ONCE", 8 * 64)
    known = next(
        each
        for each in suspect_samples(task).separations
        if each.detector == "neighbour of known images"
    )
    assert known.naturals == 4  # of eight, half are known


def test_inputs_that_are_no_images_are_refused_before_anything_is_done(tmp_path):
    path = planned.write_plan(tmp_path, SPOTTING)
    write_flat(tmp_path)
    with refuses(BadFileError, field="spotting"):
        run(path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def write_flat(folder):
    """Puts a network of plain numbers in the place of the one of images."""
    (folder / "network_of_flat.py").write_text(
        "from torch import nn\n\n"
        "def small():\n    return nn.Sequential(nn.ReLU(), nn.Linear(64, 5))\n"
    )
    model = planned.MODEL.replace("network_of_plans", "network_of_flat")
    (folder / "model.toml").write_text(model.replace("[1, 8, 8]", "[64]"), encoding="utf-8")
    state = nn.Sequential(nn.ReLU(), nn.Linear(64, 5)).state_dict()
    save_file(state, folder / "weights.safetensors")
    for name in ("train", "test"):
        with np.load(folder / f"{name}.npz") as arrays:
            images, labels = arrays["images"].reshape(-1, 64), arrays["labels"]
        np.savez(folder / f"{name}.npz", images=images, labels=labels)
