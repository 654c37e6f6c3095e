import json
from math import inf

import numpy as np
import planned
import pytest

from modelseal.errors import BadFileError
from modelseal.evaluation.manifest import DigestsPart, FrozenPlan
from modelseal.evaluation.plan import read_plan
from modelseal.evaluation.results import (
    SampleSet,
    Subject,
    Suspicion,
    Trial,
    alarms_file,
    plan_file,
    set_file,
    spotting_file,
    trial_file,
)
from modelseal.evaluation.roc import separate
from modelseal.evaluation.store import (
    dump,
    dump_alarms,
    dump_arrays,
    dump_set,
    dump_suspicion,
    dump_trial,
    read_arrays,
    read_results,
)

SUBJECT = Subject(network="small", method="boundary:float", spec="topk:2")
ARRAYS = {
    "samples": np.zeros((3, 1, 8, 8), np.uint8),
    "scores": np.ones((3, 5), np.float32),
    "sources": np.arange(3),
}


def sample_set(**changes):
    return SampleSet(
        **{
            "subject": SUBJECT,
            "psnr": (40.5, inf, 41.0),
            "margins": (0.1, 0.25, inf),
            "moves": (1e-5, 1e-17, 0.0),
            "picks": {"manc": ((0, 2),), "random": ((2,),)},
            "alarms": {"nnpack": 1, "float64": 0},
            "work": 12.5,
            "skipped": {"compiled": "no compiler"},
            **changes,
        }
    )


def trial(**changes):
    return Trial(
        **{
            "subject": SUBJECT,
            "tampering": "GaussianNoise(scale=0.1, seed=3)",
            "name": "noise",
            "level": 0.1,
            "seed": 3,
            "reason": "",
            "changed": (True, False, True),
            "effect": 0.1,
            **changes,
        }
    )


def put(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def place(folder, one):
    return trial_file(folder, one.subject, name=one.name, level=one.level, seed=one.seed)


@pytest.fixture
def results(tmp_path):
    """A folder of results that was written by hand."""
    folder = tmp_path / "results"
    plan = read_plan(planned.write_plan(tmp_path))
    digests = {"small": DigestsPart(weights="a", structure="s", train="b", test="c")}
    frozen = FrozenPlan(plan=plan, digests=digests, packages={}, trials=4)
    put(plan_file(folder), dump(frozen.model_dump()))
    put(set_file(folder, SUBJECT), dump_set(sample_set(), ARRAYS))
    put(
        alarms_file(folder, SUBJECT),
        dump_alarms(SUBJECT, sample_set().alarms, sample_set().skipped),
    )
    put(place(folder, trial()), dump_trial(trial()))
    return folder


def test_what_was_written_comes_back(results, tmp_path):
    others = [
        trial(level=None, name="ftal", effect=inf),
        trial(reason="it did not take", changed=(), effect=0.0, level=2.0**-20),
        trial(seed=12),
    ]
    for each in others:
        put(place(results, each), dump_trial(each))
    found = read_results(results)
    assert found.plan == read_plan(tmp_path / "plan.toml")
    assert found.sets == (sample_set(),)
    assert found.trials == (others[0], others[1], trial(), others[2])


def test_results_that_are_not_finished_have_no_alarms_and_fewer_trials(results):
    alarms_file(results, SUBJECT).unlink()
    place(results, trial()).unlink()
    (results / "trials" / ".left.json").write_text("half")
    found = read_results(results)
    assert found.sets == (sample_set(alarms={}, skipped={}),)
    assert found.trials == ()


def test_the_same_value_gives_the_same_bytes():
    turned = sample_set(picks={"random": ((2,),), "manc": ((0, 2),)})
    assert dump_set(sample_set(), ARRAYS) == dump_set(turned, dict(reversed(ARRAYS.items())))
    other = {**ARRAYS, "samples": ARRAYS["samples"] + np.uint8(1)}
    assert dump_set(sample_set(), ARRAYS) != dump_set(sample_set(), other)


def change(file, **fields):
    document = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({k: v for k, v in document.items() if v != "nothing"}))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"psnr": "nothing"}, "psnr: is missing"),
        ({"psnr": [1.0, "2", 3.0]}, r"psnr\[1\]: expected a valid number, got '2'"),
        ({"margins": [1.0]}, "margins: needs 3 numbers, but has 1"),
        ({"moves": []}, "moves: needs 3 numbers, but has 0"),
        ({"picks": {"manc": [[0], [3]]}}, r"picks.manc\[1\]: needs different numbers below 3, but"),
        ({"picks": {"manc": [[1, 1]]}}, r"picks.manc\[0\]: needs different numbers below 3"),
        ({"time": 3}, "time: unknown key, expected one of subject, psnr, margins, moves, picks"),
        ({"subject": {"network": "a", "method": "b"}}, "subject.spec: is missing"),
        ({"work": float("nan")}, "work: expected a finite number, got nan"),
    ],
)
def test_a_set_that_is_wrong_is_refused_with_the_field(results, fields, problem):
    change(set_file(results, SUBJECT), **fields)
    with pytest.raises(BadFileError, match=f"topk.2.json: {problem}"):
        read_results(results)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"changed": [True, 1]}, r"changed\[1\]: expected a valid boolean, got 1"),
        ({"changed": []}, "reason: needs either a reason or answers"),
        ({"reason": "it did not take"}, "reason: needs either a reason or answers"),
        ({"seed": 1.5}, "seed: expected a valid integer, got 1.5"),
        ({"level": "x"}, "level: expected a valid number, got 'x'"),
    ],
)
def test_a_trial_that_is_wrong_is_refused_with_the_field(results, fields, problem):
    change(place(results, trial()), **fields)
    with pytest.raises(BadFileError, match=problem):
        read_results(results)


def test_files_that_are_no_results_are_refused(results):
    alarms_file(results, SUBJECT).write_text("{")
    with pytest.raises(BadFileError, match=r"topk.2.json: expected JSON: EOF"):
        read_results(results)
    with pytest.raises(BadFileError, match=r"a folder of results was wanted, but it holds no plan"):
        read_results(results / "trials")


def test_samples_come_back_and_other_files_are_refused(tmp_path):
    file = put(tmp_path / "a.safetensors", dump_arrays(ARRAYS))
    found = read_arrays(file)
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())
    put(file, dump_arrays({"samples": ARRAYS["samples"]}))
    with pytest.raises(BadFileError, match=r"a.safetensors: scores: is missing"):
        read_arrays(file)
    put(file, b"nothing")
    with pytest.raises(BadFileError, match=r"is no safetensors file of samples: "):
        read_arrays(file)
    with pytest.raises(BadFileError, match=r"b.safetensors: cannot be read: No such file"):
        read_arrays(tmp_path / "b.safetensors")


def suspicion(**changes):
    found = separate("noise level", np.array([0.5, 2.0]), np.array([0.25, 1.0, 1.0]))
    values = {
        "subject": SUBJECT,
        "separations": (found,),
        "detector": "noise level",
        "tried": (0, 2),
        "scores": (0.5, 2.0),
    }
    return Suspicion(**{**values, **changes})


def test_what_detectors_found_comes_back(results):
    assert read_results(results).suspicions == ()
    put(spotting_file(results, SUBJECT), dump_suspicion(suspicion()))
    assert read_results(results).suspicions == (suspicion(),)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scores": (0.5,)}, r"scores: needs 2 numbers, but has 1$"),
        ({"tried": (1, 1)}, r"tried: needs different numbers from 0, but has \[1, 1\]$"),
        ({"tried": (-1, 1)}, r"tried: needs different numbers from 0, but has \[-1, 1\]$"),
        ({"detector": "gone"}, r"detector: needs one of noise level, but is 'gone'$"),
    ],
)
def test_what_detectors_found_fits_together(results, changes, problem):
    put(spotting_file(results, SUBJECT), dump_suspicion(suspicion(**changes)))
    with pytest.raises(BadFileError, match=rf"top.*json: {problem}"):
        read_results(results)


def test_results_without_a_number_of_trials_say_nothing_of_missing_ones(results):
    file = plan_file(results)
    document = json.loads(file.read_text())
    del document["trials"]
    # Two subjects of the plan have no samples, and so no answers in harmless ways.
    assert read_results(results).missing == 2 + 2 + (4 - 1)
    file.write_text(json.dumps(document))
    assert read_results(results).wanted is None
    assert read_results(results).missing == 2 + 2
