import json
import os
import signal
import subprocess
import sys
import time

import planned
import pytest
from nodes import find_performer, find_raylet

from modelseal.errors import BadFileError
from modelseal.evaluation import runner
from modelseal.evaluation.results import Failure, Subject, alarms_file, set_file
from modelseal.evaluation.runner import perform, run_plan
from modelseal.evaluation.store import read_results
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


def test_seconds_are_kept_apart_from_results(reference):
    _, folder, _ = reference
    costs = sorted(file.name for file in (folder / "costs").iterdir())
    assert costs == ["small--boundary--top1.json", "small--natural--top1.json"]
    assert json.loads((folder / "costs" / costs[0]).read_text())["seconds"] > 0
    assert not any(b"seconds" in content for content in planned.contents(folder).values())


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


def test_what_is_there_is_not_done_again(reference, tmp_path, monkeypatch):
    path, folder, _ = reference
    asked = []

    def note(task):
        asked.append(str(task))
        return perform(task)

    monkeypatch.setattr(runner, "perform", note)
    before = planned.contents(folder)
    assert run(path, folder) == ()
    assert asked == []
    set_file(folder, BOUNDARY).unlink()
    alarms_file(folder, BOUNDARY).unlink()
    (file,) = folder.rglob("small--natural--top1/ftll--1.json")
    file.unlink()
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
    with pytest.raises(BadFileError, match=r"plan.json: grids: these results were made with"):
        run(smaller, folder)
    assert planned.contents(folder) == after


def test_other_weights_are_refused(reference, tmp_path):
    _, folder, _ = reference
    other = planned.write_plan(tmp_path, seed=1)
    with pytest.raises(BadFileError, match=r"plan.json: networks.small.weights: these results"):
        run(other, folder)


def test_a_problem_with_one_task_leaves_the_others(tmp_path):
    path = planned.write_plan(tmp_path, ('"natural"', '"misclassified"'))
    planned.forgive(tmp_path)
    failures = run(path, tmp_path / "results")
    assert failures == (
        Failure(
            task="samples of misclassified for small, top1",
            problem="wrongly classified inputs were wanted, but the network errs on none",
        ),
    )
    found = read_results(tmp_path / "results")
    assert [each.subject for each in found.sets] == [BOUNDARY]
    assert {trial.subject for trial in found.trials} == {BOUNDARY}
    assert len(found.trials) == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"nnpack"', '"moon"'), "plan.toml: harmless.variants: a harmless variant is one of"),
        (('"ftll"', '"magic"'), r"plan.toml: grids\[0\].tamperings: a change needs one of"),
        (("model.toml", "no.toml"), "no.toml: cannot be read: No such file"),
        (("train.npz", "no.npz"), "no.npz: cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_plan_leaves_no_results(tmp_path, change, problem):
    with pytest.raises(BadFileError, match=problem):
        run(planned.write_plan(tmp_path, change), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    path = planned.write_plan(tmp_path)
    with pytest.raises(BadFileError, match=r"plan.toml: cannot be written to: "):
        run(path, path)


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


def test_workers_find_what_they_perform_by_its_name():
    assert runner.perform is runner.perform


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    path = planned.write_plan(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").touch()
    with pytest.raises(BadFileError, match=r"older results were wanted, but this is another$"):
        run(path, tmp_path / "photos")
    assert [file.name for file in (tmp_path / "photos").iterdir()] == ["mine.png"]
