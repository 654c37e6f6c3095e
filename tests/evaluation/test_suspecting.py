from functools import partial

import numpy as np
import planned
import pytest
from safetensors.torch import save_file
from torch import nn

from modelseal.errors import BadFileError
from modelseal.evaluation.adversary import provider, spotting
from modelseal.evaluation.adversary.provider import SpottingTask, suspect_samples
from modelseal.evaluation.adversary.spotting import ALONE, HIGH_FREQUENCY, NEIGHBOURS, NETWORKS
from modelseal.evaluation.inputs import list_networks
from modelseal.evaluation.plan import read_plan
from modelseal.evaluation.results import Subject, spotting_file
from modelseal.evaluation.runner import list_spotting, run_plan
from modelseal.evaluation.store import read_results
from modelseal.parallel.workers import Processes, Sequential

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


def test_a_natural_image_is_known_to_whoever_knows_the_sources(spotted):
    _, folder, _ = spotted
    natural = read_results(folder).suspicions[1]
    areas = {one.detector: one.auc for one in natural.separations}
    assert areas["neighbour of its source"] == 1


def test_two_workers_find_the_same_to_the_byte(spotted, tmp_path):
    path, folder, _ = spotted
    run(path, tmp_path / "results", Processes(2))
    assert planned.contents(tmp_path / "results") == planned.contents(folder)


def test_what_was_looked_at_is_not_looked_at_again_and_only_named_methods_are(spotted, tmp_path):
    _, folder, _ = spotted
    path = planned.write_plan(
        tmp_path, LARGER, ("[tampering]", '[spotting]\nmethods = ["natural"]\n[tampering]')
    )
    plan = read_plan(path)
    networks = list_networks(plan, tmp_path)
    assert list_spotting(plan, networks, folder) == []
    moved = spotting_file(folder, NATURAL).rename(tmp_path / "moved")
    try:
        (task,) = list_spotting(plan, networks, folder)
    finally:
        moved.rename(spotting_file(folder, NATURAL))
    assert (task.subject, task.naturals) == (NATURAL, 3000)
    assert str(task) == "spotting samples of natural for small, top1"


def test_a_plan_without_spotting_asks_for_none(tmp_path):
    plan = read_plan(planned.write_plan(tmp_path))
    assert list_spotting(plan, list_networks(plan, tmp_path), tmp_path) == []


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
    monkeypatch.setattr(provider, "VALUES", 8 * 64)
    known = next(
        each
        for each in suspect_samples(task).separations
        if each.detector == "neighbour of known images"
    )
    assert known.naturals == 4  # of eight, half are known


def test_inputs_that_are_no_images_are_refused_before_anything_is_done(tmp_path):
    path = planned.write_plan(tmp_path, SPOTTING)
    write_flat(tmp_path)
    with pytest.raises(
        BadFileError, match=r"plan.toml: spotting: needs images .* small takes .* shape \[64\]$"
    ):
        run(path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_networks_that_no_detector_looks_at_may_take_anything(tmp_path, brief):
    path = planned.write_plan(
        tmp_path,
        ("[tampering]", '[spotting]\nmethods = ["boundary"]\n[tampering]'),
        ("seeds = 2", 'seeds = 2\nnetworks = ["small"]\n' + FLAT_GRID),
        ("[samples]", FLAT_NETWORK + "[samples]"),
    )
    place = tmp_path / "flat"
    place.mkdir()
    planned.write_network(place)
    write_flat(place)
    run(path, tmp_path / "results")
    assert [each.subject.network for each in read_results(tmp_path / "results").suspicions] == [
        "small"
    ]


FLAT_NETWORK = """
[[networks]]
name = "flat"
model = "flat/model.toml"
train = "flat/train.npz"
test = "flat/test.npz"
"""
FLAT_GRID = """
[[grids]]
networks = ["flat"]
methods = ["natural"]
tamperings = ["quantisation"]
"""


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
