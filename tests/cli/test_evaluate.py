import re
import signal
import time
from pathlib import Path

import planned
import pytest

from modelseal.evaluation.plan import SamplesSection, TamperingSection, read_plan
from modelseal.evaluation.results import read_results

QUICK = ("candidates = 8", "candidates = 4")


def test_a_plan_is_evaluated_and_told_in_a_line_for_each_subject(folder, run):
    planned.write_plan(folder, QUICK)
    told = run("evaluate", "plan.toml", "-o", "results")
    assert told.exit_code == 0, told.stderr
    found = read_results(folder / "results")
    lines = told.stdout.splitlines()
    assert lines[-1] == "results: 6 trials"
    assert len(lines) == 3
    for each, line in zip(found.sets, lines, strict=False):
        own = [trial.changed for trial in found.trials if trial.subject == each.subject]
        mean = sum(sum(changed) / len(changed) for changed in own) / 3
        count = len(each.psnr)
        assert line == (
            f"small {each.subject.method} top1: samples {count}, trials 3, "
            f"detection {mean:.3f}, alarms 0 of {2 * count}"
        )


@pytest.mark.parametrize(
    ("change", "options", "problem"),
    [
        (("bags", "sets"), (), "plan.toml: samples.sets: unknown key, expected one of candidates"),
        (("model.toml", "no.toml"), (), "no.toml: cannot be read: No such file or directory"),
        (
            QUICK,
            ("--workers", 2, "--ray", "auto"),
            "workers: expected either",
        ),
        (QUICK, ("-o", "plan.toml"), "plan.toml: cannot be written to: File exists"),
    ],
)
def test_wrong_use_is_one_sentence_with_exit_code_2_and_no_results(
    folder, run, change, options, problem
):
    planned.write_plan(folder, change)
    result = run("evaluate", "plan.toml", "-o", "results", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "results").exists()


def test_a_task_that_fails_is_named_after_the_results_of_the_others(folder, run):
    planned.write_plan(folder, ('"natural"', '"misclassified"'))
    planned.forgive(folder)
    result = run("evaluate", "plan.toml", "-o", "results")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1] == "results: 3 trials"
    assert result.stderr == (
        "modelseal: samples of misclassified for small, top1: expected wrongly classified inputs, "
        "but the network errs on none\n"
    )


def test_an_interruption_keeps_what_is_finished_and_is_exit_code_130(folder, start):
    planned.write_plan(folder, ('"ftll"', '"noise", "sgd"'), ("seeds = 2", "seeds = 20"))
    process = start("evaluate", "plan.toml", "-o", "results")
    deadline = time.monotonic() + 300
    while not list(folder.rglob("noise--*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    last = "modelseal: interrupted; the same command goes on with what is kept in results"
    assert err.splitlines()[-1] == last
    assert all(re.fullmatch(r"\w+: \d+ of \d+", line) for line in err.splitlines()[:-1])
    found = read_results(folder / "results")
    assert len(found.sets) == 2
    assert found.trials


def test_the_plan_of_the_page_is_a_plan_with_the_usual_values(folder):
    page = Path(__file__).parents[2] / "docs" / "reference" / "plan-toml.md"
    (text,) = re.findall(r'^```toml title="plan.toml"\n(.*?)^```$', page.read_text(), re.S | re.M)
    (folder / "plan.toml").write_text(text)
    plan = read_plan(folder / "plan.toml")
    usual = SamplesSection()
    assert plan.samples.model_copy(update={"methods": {}}) == usual
    assert plan.tampering == TamperingSection()
    assert (plan.grids[0].seeds, plan.grids[0].specs) == (5, ["top1"])
