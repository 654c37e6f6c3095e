from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import planned
import pytest
import torch
from refusals import refuses

from modelseal.errors import BadFileError, InvalidArgumentError, NotAppliedError
from modelseal.evaluation import trials
from modelseal.evaluation.inputs import list_networks, open_network
from modelseal.evaluation.plan import Subject, read_plan
from modelseal.evaluation.results import arrays_file, dump_arrays
from modelseal.evaluation.trials import (
    HarmlessTask,
    TrialTask,
    count_alarms,
    find_change,
    try_change,
)
from modelseal.runtime.inference import copy_network
from modelseal.tampering.catalogue import Change, list_changes
from modelseal.tampering.weight_changes import GaussianNoise

SUBJECTS = (
    Subject(network="small", method="natural", spec="top1"),
    Subject(network="small", method="natural:float", spec="probs:3"),
)


@dataclass(frozen=True)
class Filled:
    """Sets every weight to one value."""

    value: float
    seed: int = 0

    def __call__(self, network):
        changed = copy_network(network)
        for weight in changed.parameters():
            weight.data.fill_(self.value)
        return changed


@dataclass(frozen=True)
class Refused:
    seed: int

    def __call__(self, network):
        raise NotAppliedError(f"it did not take with seed {self.seed}")


def catalogue(name, data):
    changes = {
        "same": partial(GaussianNoise, 1e-20),
        "refused": Refused,
        "nan": lambda seed: Filled(float("nan"), seed),
    }
    if name != "noise":
        return (Change(name=name, level=None, recipe=changes[name], fixed=False),)
    return tuple(
        Change(name=name, level=level, recipe=partial(GaussianNoise, level), fixed=False)
        for level in (0.5, 0.25)
    )


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Twelve test inputs as samples of two subjects, and gives the task of a change."""
    monkeypatch.setattr(trials, "list_changes", catalogue)
    path = planned.write_plan(tmp_path)
    files = list_networks(read_plan(path), tmp_path)["small"]
    opened = open_network(files)
    codes = opened.naturals[:12]
    values = opened.model.domain.decode(codes)
    scores = opened.model.network(torch.from_numpy(values)).numpy()
    for subject, samples in zip(SUBJECTS, (codes, values), strict=True):
        file = tmp_path / arrays_file(subject)
        file.parent.mkdir(exist_ok=True)
        arrays = {"samples": samples, "scores": scores, "sources": np.arange(12)}
        file.write_bytes(dump_arrays(arrays))

    def build(name, level=None, seed=0):
        return TrialTask(
            source=name,
            name=name,
            level=level,
            seed=seed,
            files=files,
            subjects=SUBJECTS,
            folder=tmp_path,
        )

    return build


def slow_scores(task, recipe):
    opened = open_network(task.files)
    inputs = torch.from_numpy(opened.model.domain.decode(opened.naturals[:12]))
    network = opened.model.network
    return network(inputs).double().numpy(), recipe(network)(inputs).double().numpy()


def test_a_trial_says_which_samples_are_answered_otherwise(given):
    task = given("noise", 0.5, seed=3)
    first, second = try_change(task)
    before, after = slow_scores(task, GaussianNoise(0.5, 3))
    assert first.changed == tuple(before.argmax(1) != after.argmax(1))
    assert 0 < sum(first.changed) < 12
    shares = [np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in (before, after)]
    differ = (shares[0].round(3) != shares[1].round(3)).any(1)
    assert second.changed == tuple(differ)
    assert first.tampering == repr(GaussianNoise(0.5, 3))
    assert (first.subject, second.subject) == SUBJECTS
    assert (first.name, first.level, first.seed, first.reason) == ("noise", 0.5, 3, "")


def test_the_effect_is_the_largest_change_of_a_score_anywhere(given):
    before, after = slow_scores(given("noise"), GaussianNoise(0.25, 1))
    effect = try_change(given("noise", 0.25, seed=1))[0].effect
    assert effect >= np.abs(after - before).max() * (1 - 1e-4)
    assert effect < 100
    assert try_change(given("same"))[0].effect == 0
    broken = try_change(given("nan"))
    assert broken[0].effect == np.inf
    assert not any(broken[1].changed)


def test_a_recipe_that_was_not_applied_is_a_trial_with_a_reason(given):
    for _ in range(2):
        for trial in try_change(given("refused", seed=2)):
            assert trial.reason == "it did not take with seed 2"
            assert (trial.changed, trial.effect, trial.seed) == ((), 0.0, 2)
            assert trial.tampering == "Refused(seed=2)"


def test_a_change_that_the_catalogue_lacks_is_refused(given, monkeypatch):
    with pytest.raises(InvalidArgumentError, match=r"noise 0.125, seed 0"):
        try_change(given("noise", 0.125))
    data = open_network(given("noise").files).data
    monkeypatch.setattr(trials, "list_changes", list_changes)
    assert find_change(given("ftll"), data).name == "ftll"


def test_samples_of_another_domain_are_refused(given):
    task = given("noise", 0.5)
    one, other = (task.folder / arrays_file(each) for each in SUBJECTS)
    one.write_bytes(other.read_bytes())
    with refuses(BadFileError, field="samples"):
        try_change(task)


def test_alarms_are_answers_other_than_the_sealed_networks(given):
    task = given("noise", 0.5)
    one = HarmlessTask(
        subject=SUBJECTS[0],
        files=task.files,
        folder=task.folder,
        variants=("nnpack", "float64", "on-cuda"),
    )
    found = count_alarms(one)
    alarms = {"nnpack": 0, "float64": 0}
    if torch.cuda.is_available():
        assert (found.alarms, found.skipped) == ({**alarms, "on-cuda": 0}, {})
    else:
        assert found.alarms == alarms
        assert list(found.skipped) == ["on-cuda"]
        assert all(found.skipped.values())
    before, other = slow_scores(task, GaussianNoise(0.5, 3))
    arrays = {
        "samples": open_network(task.files).naturals[:12],
        "scores": other.astype(np.float32),
        "sources": np.arange(12),
    }
    (task.folder / arrays_file(SUBJECTS[0])).write_bytes(dump_arrays(arrays))
    wrong = int((before.argmax(1) != other.argmax(1)).sum())
    assert count_alarms(replace(one, variants=("float64",))).alarms == {"float64": wrong}
