import json
import sys

import numpy as np
import pytest
from evaluated import refused, samples, trial

from modelseal.evaluation.results import (
    PLAN_FILE,
    FalseAlarms,
    alarms_file,
    arrays_file,
    dump,
    dump_arrays,
    set_file,
    trial_file,
)
from modelseal.reports.build import load

PLAN = {
    "networks": [{"name": "resnet20", "model": "m.toml", "train": "a.npz", "test": "b.npz"}],
    "samples": {"count": 2},
    "grids": [{"methods": ["boundary", "natural"], "tamperings": ["bivbench"]}],
}
DIGESTS = {"resnet20": {"weights": "w", "structure": "s", "train": "a", "test": "b"}}


def put(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


@pytest.fixture
def results(folder):
    """Writes the results of an evaluation; anything of it may be given."""

    def build(methods=("boundary", "natural"), *, trials=True):
        place = folder / "results"
        put(
            (place / PLAN_FILE),
            json.dumps({"plan": PLAN, "digests": DIGESTS, "packages": {}, "trials": 4}).encode(),
        )
        for method in methods:
            put_subject(place, method, trials=trials)
        return place

    return build


def put_subject(place, method, *, trials):
    found = samples(method, picks={"manc": ((0, 1), (2, 3))})
    codes = np.full((4, 3, 8, 8), 7, np.uint8)
    arrays = {"samples": codes, "scores": np.zeros((4, 2), np.float32), "sources": np.arange(4)}
    put(place / arrays_file(found.subject), dump_arrays(arrays))
    put(place / set_file(found.subject), dump(found))
    put(
        place / alarms_file(found.subject),
        dump(FalseAlarms(subject=found.subject, alarms=found.alarms, skipped={})),
    )
    changed = "1110" if method == "boundary" else "1000"
    for each in (trial(changed, method), refused(method, name="clean-label")) if trials else ():
        name, level, seed = each.name, each.level, each.seed
        file = place / trial_file(found.subject, name=name, level=level, seed=seed)
        put(file, dump(each))


def files(place):
    return {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}


def test_a_report_is_made_of_results_and_an_older_one_is_replaced(folder, run, results):
    results(methods=("boundary",))
    first = run("report", "results", "-o", "report")
    assert first.exit_code == 0, first.stderr
    results()
    result = run("report", "results", "-o", "report")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "report/report.html: 2 sets of samples, 4 trials\n"
    (summary,) = load(folder / "report" / "tables.json")
    assert (summary.methods, summary.samples) == (("boundary", "natural"), 2)
    assert summary.overviews[0].mean == 0.75
    assert [each.change for each in summary.not_applied] == ["clean-label"]
    assert not any("samples" in name for name in files(folder / "report"))


def test_a_report_of_an_evaluation_that_was_stopped_says_so(folder, run, results):
    results(methods=("boundary",))
    result = run("report", "results", "-o", "report")
    # The other method's samples and answers in harmless ways, and two trials.
    missing = "The evaluation is not finished, or some of it failed: 4 of its results are missing"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].startswith("4 results are missing: ")
    for name in ("report.md", "report.html"):
        assert missing in (folder / "report" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda place: (place / PLAN_FILE).unlink(), "got one without plan.json"),
        (lambda place: (place / PLAN_FILE).write_text("{"), "plan.json: "),
        (
            lambda place: next(place.glob("trials/*/*.json")).write_text("{}"),
            "results/trials/resnet20--boundary--top1/",
        ),
        (
            lambda place: next(place.glob("samples/*boundary*.json")).unlink(),
            "expected samples of boundary for resnet20, top1",
        ),
        (
            lambda place: next(place.glob("samples/*.safetensors")).write_bytes(b"?"),
            "expected a safetensors file",
        ),
    ],
)
def test_broken_results_are_one_sentence_and_nothing_is_left(folder, run, results, damage, problem):
    damage(results())
    result = run("report", "results", "-o", "report", "--samples")
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert [each.name for each in folder.iterdir()] == ["results"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing", "-o", "report"], "missing: expected a folder of results"),
        (["results", "-o", "report"], "results: expected results"),
        (["results", "-o", "results/report"], "expected a folder outside results"),
        (["results", "-o", "taken"], "taken: expected a new or empty folder"),
        (["results", "-o", "no/report"], "no folder no"),
    ],
)
def test_wrong_use_is_one_sentence_with_exit_code_2(folder, run, results, arguments, problem):
    results(methods=())
    put(folder / "taken" / "notes.txt", b"mine")
    result = run("report", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(each.name for each in folder.iterdir()) == ["results", "taken"]
    assert files(folder / "taken") == {"notes.txt"}


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra_it_says_what_to_install(folder, run, results, monkeypatch, missing):
    results()
    monkeypatch.setitem(sys.modules, missing, None)
    result = run("report", "results", "-o", "report")
    assert result.exit_code == 2
    assert 'A report needs an extra: pip install "modelseal[report]"' in result.stderr
    assert not (folder / "report").exists()
