from pathlib import Path

import pytest
from evaluated import refused, samples, trial

from modelseal.cli.console import Terminal
from modelseal.cli.render import list_refusals, list_rows, show_results, show_verdict
from modelseal.evaluation.plan import GridSection, NetworkSection, Plan
from modelseal.evaluation.results import Results
from modelseal.verdict import Evidence, Finding, Outcome, Verdict

EVIDENCE = (
    Evidence(sample=4, finding=Finding.AGREES, expected="cat", shown="cat"),
    Evidence(sample=0, finding=Finding.UNCLEAR, expected="dog", reason="\x1b[2Jno [b]answer"),
    Evidence(sample=2, finding=Finding.DIFFERS, expected="dog", shown="elk"),
)
VERDICT = Verdict(
    outcome=Outcome.TAMPERED, samples=8, evidence=EVIDENCE, reason=f"\x1b[2J{100 * 'x'} [b]"
)


def test_a_verdict_is_two_lines_and_a_row_for_each_finding_with_no_control_characters(capsys):
    show_verdict(Terminal(), VERDICT, every=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        rf"TAMPERED: \x1b[2J{100 * 'x'} [b]",
        "3 of 8 samples asked: 1 agree, 1 differ, 1 are unclear",
    ]
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in lines
        if line.startswith("│")
    ]
    assert rows == [
        ["4", "agrees", "cat", "cat"],
        ["0", "unclear", "dog", r"\x1b[2Jno [b]answer"],
        ["2", "differs", "dog", "elk"],
    ]


@pytest.mark.parametrize(
    ("outcome", "colour", "entry"),
    [
        (Outcome.INTACT, "1;32", {"finding": Finding.AGREES}),
        (Outcome.TAMPERED, "1;31", {"finding": Finding.DIFFERS}),
        (Outcome.UNDECIDED, "1;33", {"finding": Finding.UNCLEAR, "reason": "none"}),
    ],
)
def test_an_outcome_has_its_colour_on_a_terminal(capsys, monkeypatch, outcome, colour, entry):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "60"}.items():
        monkeypatch.setenv(name, value)
    evidence = (Evidence(sample=0, expected="1", **entry),)
    verdict = Verdict(outcome=outcome, samples=1, evidence=evidence, reason="why")
    show_verdict(Terminal(), verdict, every=False)
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"\x1b[{colour}m{outcome.value.upper()}\x1b[0m: why"


OURS, BARE = samples("boundary"), samples("natural", alarms={})


def test_results_are_a_row_for_each_subject_and_a_line_for_each_refusal(capsys, monkeypatch):
    network = NetworkSection(name="small", model="m", train="a", test="b")
    plan = Plan(networks=[network], grids=[GridSection(methods=["natural"], tamperings=["bit"])])
    trials = (
        *(trial("1101"), trial("0010", seed=1), refused(seed=2, reason="it did not take")),
        *(refused(seed=3, reason="nor this"), refused(name="badnets", reason="no success")),
    )
    results = Results(plan=plan, wanted=6, sets=(OURS, BARE), trials=trials)
    alarms = f"{sum(OURS.alarms.values())} of {len(OURS.alarms) * len(OURS.psnr)}"
    assert [row[3:] for row in list_rows(results)] == [
        (str(len(OURS.psnr)), "2", "0.500", alarms),
        (str(len(BARE.psnr)), "0", "-", "-"),
    ]
    name = OURS.subject.network
    assert list_refusals(results) == [
        f"not applied to {name}: ftal, 2 times: it did not take",
        f"not applied to {name}: badnets, 1 times: no success",
    ]
    monkeypatch.setattr(Terminal, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "100")
    show_results(Terminal(), results, folder=Path("out"))
    told = capsys.readouterr().out
    assert all(word in told for word in ("network", "detection", "boundary", alarms, "out: 5"))
