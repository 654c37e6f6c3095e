import json
from math import inf

import numpy as np
import planned
import pytest
from refusals import refuses

from modelseal.errors import BadFileError
from modelseal.evaluation.adversary.detectors import separate
from modelseal.evaluation.plan import Digests, FrozenPlan, Subject, read_plan
from modelseal.evaluation.results import (
    PLAN_FILE,
    FalseAlarms,
    SampleSet,
    Suspicion,
    Trial,
    alarms_file,
    dump,
    dump_arrays,
    read_arrays,
    read_results,
    set_file,
    spotting_file,
    trial_file,
)

SUBJECT = Subject(network="small", method="boundary:float", spec="topk:2")
ARRAYS = {
    "samples": np.zeros((3, 1, 8, 8), np.uint8),
    "scores": np.ones((3, 5), np.float32),
    "sources": np.arange(3),
}
ALARMS = FalseAlarms(
    subject=SUBJECT, alarms={"nnpack": 1, "float64": 0}, skipped={"compiled": "no compiler"}
)


def sample_set(**changes):
    values = {
        "subject": SUBJECT,
        "psnr": (40.5, inf, 41.0),
        "margins": (0.1, 0.25, inf),
        "moves": (1e-5, 1e-17, 0.0),
        "picks": {"manc": ((0, 2),), "random": ((2,),)},
        "work": 12.5,
        "digest": "d",
    }
    return SampleSet(**{**values, **changes})


def trial(**changes):
    values = {
        "subject": SUBJECT,
        "tampering": "GaussianNoise(scale=0.1, seed=3)",
        "name": "noise",
        "level": 0.1,
        "seed": 3,
        "reason": "",
        "changed": (True, False, True),
        "effect": 0.1,
    }
    return Trial(**{**values, **changes})


def suspicion():
    found = separate("noise level", np.array([0.5, 2.0]), np.array([0.25, 1.0, 1.0]))
    return Suspicion(
        subject=SUBJECT,
        separations=(found,),
        detector="noise level",
        tried=(0, 2),
        scores=(0.5, 2.0),
    )


def put(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def place(folder, one):
    return folder / trial_file(one.subject, name=one.name, level=one.level, seed=one.seed)


@pytest.fixture
def results(tmp_path):
    """A folder of results that was written by hand."""
    folder = tmp_path / "results"
    plan = read_plan(planned.write_plan(tmp_path))
    digests = {"small": Digests(weights="a", structure="s", train="b", test="c")}
    put(folder / PLAN_FILE, dump(FrozenPlan(plan=plan, digests=digests, packages={}, trials=4)))
    put(folder / set_file(SUBJECT), dump(sample_set()))
    put(folder / alarms_file(SUBJECT), dump(ALARMS))
    put(place(folder, trial()), dump(trial()))
    return folder


def test_what_was_written_comes_back(results, tmp_path):
    others = [
        trial(level=None, name="ftal", effect=inf),
        trial(reason="it did not take", changed=(), effect=0.0, level=2.0**-20),
        trial(seed=12),
    ]
    for each in others:
        put(place(results, each), dump(each))
    put(results / spotting_file(SUBJECT), dump(suspicion()))
    found = read_results(results)
    assert found.plan == read_plan(tmp_path / "plan.toml")
    assert found.sets == (sample_set(alarms=ALARMS.alarms, skipped=ALARMS.skipped),)
    assert found.trials == (others[0], others[1], trial(), others[2])
    assert found.suspicions == (suspicion(),)


def test_results_that_are_not_finished_have_no_alarms_and_fewer_trials(results):
    # Two subjects of the plan have no samples, and so no answers in harmless ways.
    assert read_results(results).missing == 2 + 2 + (4 - 1)
    change(results / PLAN_FILE, trials=None)
    assert read_results(results).wanted is None
    assert read_results(results).missing == 2 + 2
    (results / alarms_file(SUBJECT)).unlink()
    place(results, trial()).unlink()
    (results / "trials" / ".left.json").write_text("half")
    found = read_results(results)
    assert (found.sets, found.trials) == ((sample_set(),), ())


def test_the_same_value_gives_the_same_bytes_without_its_alarms():
    turned = sample_set(picks={"random": ((2,),), "manc": ((0, 2),)}, alarms={"nnpack": 1})
    assert dump(sample_set()) == dump(turned)


def change(file, **fields):
    document = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({k: v for k, v in document.items() if v != "nothing"}))


@pytest.mark.parametrize(
    ("part", "fields", "wrong"),
    [
        ("set", {"psnr": "nothing"}, "psnr"),
        ("set", {"psnr": [1.0, "2", 3.0]}, "psnr[1]"),
        ("set", {"psnr": [1.0, float("nan"), 3.0]}, "psnr[1]"),
        ("set", {"margins": [1.0]}, "margins"),
        ("set", {"moves": []}, "moves"),
        ("set", {"picks": {"manc": [[0], [3]]}}, "picks.manc[1]"),
        ("set", {"picks": {"manc": [[0], [-1]]}}, "picks.manc[1]"),
        ("set", {"picks": {"manc": [[1, 1]]}}, "picks.manc[0]"),
        ("set", {"time": 3}, "time"),
        ("set", {"subject": {"network": "a", "method": "b"}}, "subject.spec"),
        ("set", {"work": float("nan")}, "work"),
        ("trial", {"changed": [True, 1]}, "changed[1]"),
        ("trial", {"changed": []}, "reason"),
        ("trial", {"reason": "it did not take"}, "reason"),
        ("trial", {"seed": 1.5}, "seed"),
        ("trial", {"level": "x"}, "level"),
        ("suspicion", {"scores": [0.5]}, "scores"),
        ("suspicion", {"tried": [1, 1]}, "tried"),
        ("suspicion", {"tried": [-1, 1]}, "tried"),
        ("suspicion", {"detector": "gone"}, "detector"),
    ],
)
def test_a_part_that_is_wrong_is_refused_with_the_field(results, part, fields, wrong):
    put(results / spotting_file(SUBJECT), dump(suspicion()))
    files = {"set": results / set_file(SUBJECT), "trial": place(results, trial())}
    change(files.get(part, results / spotting_file(SUBJECT)), **fields)
    with refuses(BadFileError, field=wrong):
        read_results(results)


def test_files_that_are_no_results_are_refused(results):
    (results / alarms_file(SUBJECT)).write_text("{")
    with pytest.raises(BadFileError, match=r"topk.2.json"):
        read_results(results)
    with pytest.raises(BadFileError, match=r"plan.json"):
        read_results(results / "trials")


def test_samples_come_back_and_other_files_are_refused(tmp_path):
    file = put(tmp_path / "a.safetensors", dump_arrays(ARRAYS))
    found = read_arrays(file)
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())
    put(file, dump_arrays({"samples": ARRAYS["samples"]}))
    with refuses(BadFileError, field="scores"):
        read_arrays(file)
    for wrong in (put(file, b"nothing"), tmp_path / "b.safetensors"):
        with pytest.raises(BadFileError, match=wrong.name):
            read_arrays(wrong)
