import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import planned
import pytest
from nodes import find_performer, find_raylet
from refusals import refuses

from modelseal.errors import BadFileError, SealingError
from modelseal.evaluation import runner, trials
from modelseal.evaluation.inputs import NetworkFiles, list_networks, open_network
from modelseal.evaluation.plan import Subject, read_plan
from modelseal.evaluation.results import Failure, alarms_file, read_results, set_file, trial_file
from modelseal.evaluation.runner import (
    evaluate,
    list_missing,
    list_samples,
    list_trials,
    perform,
    run_plan,
)
from modelseal.evaluation.trials import TrialTask
from modelseal.parallel.workers import Processes, Sequential

PROGRAM = "from modelseal.cli.app import main; main()"
BOUNDARY = Subject(network="small", method="boundary", spec="top1")


def run(path, folder, *, workers=None, progress=lambda stage, done, total: None):
    return run_plan(path, folder, workers=workers or Sequential(), progress=progress)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A plan, its results from one process, and the progress that was told meanwhile."""
    place = tmp_path_factory.mktemp("reference")
    told = []
    path = planned.write_plan(place)
    failures = run(path, place / "results", progress=lambda *step: told.append(step))
    assert failures == ()
    return path, place / "results", told


def test_a_plan_is_run_to_its_end(reference):
    _, folder, told = reference
    found = read_results(folder)
    assert [each.subject.method for each in found.sets] == ["boundary", "natural"]
    assert all(each.alarms == {"nnpack": 0, "float64": 0} for each in found.sets)
    assert len(found.trials) == 2 * 3
    lengths = {each.subject: len(each.psnr) for each in found.sets}
    assert all(len(trial.changed) == lengths[trial.subject] for trial in found.trials)
    assert all(trial.effect > 0 for trial in found.trials)
    assert told == [
        *(("samples", done, 2) for done in range(3)),
        ("harmless", 0, 2),
        ("trials", 0, 3),
        *(("harmless", done, 2) for done in (1, 2)),
        *(("trials", done, 3) for done in (1, 2, 3)),
    ]


def test_a_ray_cluster_that_loses_a_process_finds_the_same_to_the_byte(
    reference, nodes, cluster, tmp_path
):
    path, folder, _ = reference
    killed = []

    def kill_one(stage, done, total):
        if (stage, done) == ("samples", 1):
            killed.append(find_performer([find_raylet(node) for node in nodes.list_all_nodes()]))
            os.kill(killed[0], signal.SIGKILL)

    assert run(path, tmp_path / "results", workers=cluster, progress=kill_one) == ()
    assert len(killed) == 1
    assert planned.contents(tmp_path / "results") == planned.contents(folder)


def test_two_workers_find_the_same_to_the_byte(reference, tmp_path):
    path, folder, _ = reference
    assert run(path, tmp_path / "results", workers=Processes(2)) == ()
    assert planned.contents(tmp_path / "results") == planned.contents(folder)


def test_the_public_function_gives_all_that_was_found(reference):
    path, folder, _ = reference
    assert evaluate(str(path), str(folder)) == read_results(folder)


def test_what_is_there_is_not_done_again(reference, monkeypatch):
    path, folder, _ = reference
    asked = []
    monkeypatch.setattr(runner, "perform", lambda task: asked.append(str(task)) or perform(task))
    before = planned.contents(folder)
    assert (run(path, folder), asked) == ((), [])
    (folder / set_file(BOUNDARY)).unlink()
    (folder / alarms_file(BOUNDARY)).unlink()
    next(folder.rglob("small--natural--top1/ftll--1.json")).unlink()
    assert run(path, folder) == ()
    assert asked == [
        "samples of boundary for small, top1",
        "harmless variants of boundary for small, top1",
        "trial of small under ftll, seed 1",
    ]
    assert planned.contents(folder) == before


def test_a_larger_plan_adds_and_changes_nothing(reference, tmp_path):
    _, folder, _ = reference
    before = planned.contents(folder)
    del before["plan.json"]
    larger = planned.write_plan(tmp_path, ('"natural"]', '"natural", "natural:float"]'))
    assert run(larger, folder) == ()
    after = planned.contents(folder)
    assert before.items() < after.items()
    assert any("natural.float" in name for name in after)
    smaller = planned.write_plan(tmp_path)
    with pytest.raises(BadFileError, match=r"plan.json: grids: "):
        run(smaller, folder)
    assert planned.contents(folder) == after


def test_other_weights_are_refused(reference, tmp_path):
    _, folder, _ = reference
    other = planned.write_plan(tmp_path, seed=1)
    with pytest.raises(BadFileError, match=r"plan.json: networks.small.weights: "):
        run(other, folder)


def test_a_problem_with_one_task_leaves_the_others(tmp_path):
    path = planned.write_plan(tmp_path, ('"natural"', '"misclassified"'))
    planned.forgive(tmp_path)
    failures = run(path, tmp_path / "results")
    assert failures == (
        Failure(
            task="samples of misclassified for small, top1",
            problem="expected wrongly classified inputs, but the network errs on none",
        ),
    )
    found = read_results(tmp_path / "results")
    assert [each.subject for each in found.sets] == [BOUNDARY]
    assert {trial.subject for trial in found.trials} == {BOUNDARY}
    assert len(found.trials) == 3


@pytest.mark.parametrize(
    ("change", "field", "file"),
    [
        (('"nnpack"', '"moon"'), "harmless.variants", "plan.toml"),
        (('"ftll"', '"magic"'), "grids[0].tamperings", "plan.toml"),
        (("model.toml", "no.toml"), "", "no.toml"),
        (("train.npz", "no.npz"), "", "no.npz"),
    ],
)
def test_a_wrong_plan_leaves_no_results(tmp_path, change, field, file):
    path = planned.write_plan(tmp_path, change)
    with refuses(BadFileError, field=field, file=tmp_path / file):
        run(path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_leaving_early_keeps_what_is_finished(tmp_path):
    def leave(stage, done, total):
        if (stage, done) == ("trials", 1):
            raise KeyboardInterrupt

    path = planned.write_plan(tmp_path)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        run(path, tmp_path / "results", progress=leave)
    found = read_results(tmp_path / "results")
    assert (len(found.sets), len(found.trials)) == (2, 2)


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bytes(tmp_path):
    path = planned.write_plan(tmp_path, ('"ftll"', '"noise"'))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(path, whole) == ()
    arguments = [sys.executable, "-c", PROGRAM, "evaluate", str(path), "-o", str(killed)]
    process = subprocess.Popen(
        arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not list(killed.rglob("noise--*.json")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    trials = {file: file.stat().st_mtime_ns for file in killed.rglob("noise--*.json")}
    assert 0 < len(trials) < 2 * 21 * 2
    assert run(path, killed) == ()
    kept = planned.contents(killed)
    assert {name: kept[name] for name in planned.contents(whole)} == planned.contents(whole)
    assert all(file.stat().st_mtime_ns == when for file, when in trials.items())


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    path = planned.write_plan(tmp_path)
    with refuses(BadFileError, file=tmp_path):
        run(path, tmp_path)
    assert not (tmp_path / "plan.json").exists()


@pytest.fixture
def listed(tmp_path):
    """A plan, the files of its networks, and all its trials."""

    def build(*changes):
        path = planned.write_plan(tmp_path, *changes)
        plan = read_plan(path)
        networks = list_networks(plan, tmp_path)
        opened = {name: open_network(files) for name, files in networks.items()}
        return plan, networks, list_trials(plan, networks, opened, file=path, folder=tmp_path)

    return build


def touch(folder, path):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).touch()


def subject(method):
    return Subject(network="small", method=method, spec="top1")


def changes_of(tasks):
    return [(each.name, each.level, each.seed) for each in tasks]


def test_two_grids_share_the_changed_networks_that_both_want(listed):
    second = '\n[[grids]]\nmethods = ["legacy"]\ntamperings = ["ftll", "prune"]\nseeds = 3'
    _, _, tasks = listed(("seeds = 2", "seeds = 2" + second))
    found = {(each.name, each.level, each.seed): each for each in tasks}
    # Quantisation is the same for every seed.
    assert list(found)[:3] == [("quantisation", None, 0), ("ftll", None, 0), ("ftll", None, 1)]
    assert len(found) == len(tasks) == 3 + 1 + 12
    methods = [each.method for each in found["ftll", None, 1].subjects]
    assert methods == ["boundary", "natural", "legacy"]
    assert [each.method for each in found["ftll", None, 2].subjects] == ["legacy"]
    assert found["prune", 2.0**-12, 0].source == "prune"


def test_only_samples_that_are_missing_are_made_and_slow_methods_come_first(listed, tmp_path):
    plan, networks, _ = listed(('"natural"]', '"natural", "legacy", "ascent:float"]'))
    methods = [task.subject.method for task in list_samples(plan, networks, tmp_path)]
    assert methods == ["legacy", "ascent:float", "boundary", "natural"]
    touch(tmp_path, set_file(subject("legacy")))
    assert len(list_samples(plan, networks, tmp_path)) == 3


def test_only_trials_that_are_missing_are_made_and_slow_changes_come_first(listed, tmp_path):
    _, _, tasks = listed()
    assert list_missing(tasks) == []
    for method in ("boundary", "natural"):
        touch(tmp_path, set_file(subject(method)))
    touch(tmp_path, trial_file(subject("natural"), name="ftll", level=None, seed=1))
    missing = [(task.name, task.seed, len(task.subjects)) for task in list_missing(tasks)]
    assert missing == [("ftll", 0, 2), ("ftll", 1, 1), ("quantisation", 0, 2)]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SealingError("none was accepted"), "none was accepted"),
        (RuntimeError("too large\nat line 3"), "RuntimeError: too large"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_a_problem_with_a_task_is_a_result_that_names_it(monkeypatch, error, problem):
    def fail(files):
        raise error

    monkeypatch.setattr(trials, "open_network", fail)
    files = NetworkFiles(name="small", model=Path(), train=Path(), test=Path(), images=1)
    task = TrialTask(
        source="paper", name="noise", level=0.5, seed=3, subjects=(), files=files, folder=Path()
    )
    name = "trial of small under noise 0.5, seed 3"
    assert perform(task) == Failure(task=name, problem=problem)
