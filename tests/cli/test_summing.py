from pathlib import Path

import pytest

from modelseal.cli.console import Paper
from modelseal.cli.render import list_refusals, list_rows, tell_results
from modelseal.evaluation.plan import GridSection, NetworkSection, Plan, Subject
from modelseal.evaluation.results import Results, SampleSet, Trial

OURS = Subject(network="small", method="boundary", spec="top1")
BARE = Subject(network="small", method="natural", spec="top1")


def sample_set(subject, alarms):
    numbers = (1.0, 2.0, 3.0, 4.0)
    return SampleSet(
        subject=subject,
        psnr=numbers,
        margins=numbers,
        moves=numbers,
        picks={},
        alarms=alarms,
        work=1.0,
    )


def trial(seed, changed=(), reason="", name="ftal"):
    return Trial(
        subject=OURS,
        tampering="t",
        name=name,
        level=None,
        seed=seed,
        reason=reason,
        changed=changed,
        effect=1.0,
    )


@pytest.fixture
def results():
    network = NetworkSection(name="small", model="m", train="a", test="b")
    plan = Plan(networks=[network], grids=[GridSection(methods=["natural"], tamperings=["bit"])])
    return Results(
        plan=plan,
        wanted=6,
        sets=(sample_set(OURS, {"nnpack": 1, "float64": 2}), sample_set(BARE, {})),
        trials=(
            trial(0, (True, True, False, True)),
            trial(1, (False, False, True, False)),
            trial(2, reason="it did not take"),
            trial(3, reason="it did not take either"),
            trial(0, reason="no success", name="badnets"),
        ),
    )


def test_detection_is_the_mean_over_applied_trials_and_alarms_are_added_up(results):
    assert list_rows(results) == [
        ("small", "boundary", "top1", "4", "2", "0.500", "3 of 8"),
        ("small", "natural", "top1", "4", "0", "-", "-"),
    ]


def test_what_was_not_applied_is_told_once_with_a_reason(results):
    assert list_refusals(results) == [
        "not applied to small: ftal, 2 times: it did not take",
        "not applied to small: badnets, 1 times: no success",
    ]


def test_a_terminal_gets_a_table(results, capsys, monkeypatch):
    monkeypatch.setattr(Paper, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "100")
    tell_results(Paper(), results, folder=Path("out"))
    told = capsys.readouterr().out
    assert all(word in told for word in ("network", "detection", "boundary", "3 of 8", "out: 5"))
