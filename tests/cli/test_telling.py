from pathlib import Path

import pytest
import sealed

from modelseal.cli.console import Paper
from modelseal.cli.render import (
    show_verdict,
    tell_accepted,
    tell_domain,
    tell_made,
)
from modelseal.domain import Domain
from modelseal.verdict import Evidence, Finding, Outcome, Verdict

EVIDENCE = (
    Evidence(sample=4, finding=Finding.AGREES, expected="cat", shown="cat"),
    Evidence(sample=0, finding=Finding.UNCLEAR, expected="dog", reason="\x1b[2Jno [b]answer"),
    Evidence(sample=2, finding=Finding.DIFFERS, expected="dog", shown="elk"),
)
VERDICT = Verdict(
    outcome=Outcome.TAMPERED, samples=8, evidence=EVIDENCE, reason=f"\x1b[2J{100 * 'x'} [b]"
)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def test_a_verdict_is_two_lines_with_nothing_of_the_server_s_in_control(capsys):
    show_verdict(Paper(), VERDICT, every=False)
    assert capsys.readouterr().out.splitlines()[:2] == [
        rf"TAMPERED: \x1b[2J{100 * 'x'} [b]",
        "3 of 8 samples asked: 1 agree, 1 differ, 1 are unclear",
    ]


@pytest.mark.parametrize(
    ("outcome", "colour", "evidence"),
    [
        (Outcome.INTACT, "1;32", EVIDENCE[:1]),
        (Outcome.TAMPERED, "1;31", EVIDENCE[2:]),
        (Outcome.UNDECIDED, "1;33", EVIDENCE[1:2]),
    ],
)
def test_an_outcome_has_its_colour_on_a_terminal(capsys, terminal, outcome, colour, evidence):
    entry = Evidence(
        sample=0,
        finding=evidence[0].finding,
        expected="1",
        shown=evidence[0].shown,
        reason=evidence[0].reason,
    )
    verdict = Verdict(outcome=outcome, samples=1, evidence=(entry,), reason="why")
    show_verdict(Paper(), verdict, every=False)
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"\x1b[{colour}m{outcome.value.upper()}\x1b[0m: why"


def test_findings_are_a_row_each_in_the_order_of_asking(capsys):
    show_verdict(Paper(), VERDICT, every=True)
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["4", "agrees", "cat", "cat"],
        ["0", "unclear", "dog", r"\x1b[2Jno [b]answer"],
        ["2", "differs", "dog", "elk"],
    ]


def test_a_continuous_domain_has_no_levels():
    domain = Domain(shape=(4,), bounds=(-2.5, 3.0), levels=0)
    assert tell_domain(domain) == "inputs of shape 4 from -2.5 to 3 without levels"


def test_what_was_made_is_told_in_three_lines(capsys):
    origin = sealed.origin(parameters={"accepted": 6, "candidates": 8})
    made = sealed.fingerprint(origin=origin)
    tell_made(Paper(), made, file=Path("[b]/out.seal"), chosen=tell_accepted(made))
    assert capsys.readouterr().out.splitlines() == [
        "[b]/out.seal: 3 samples",
        "6 of 8 candidates passed calibration",
        "margin 0.5 or more, largest harmless move 0.01, median PSNR 48.5 dB",
    ]


def test_what_a_new_fingerprint_notices_is_told_in_one_more_line(capsys):
    tell_made(Paper(), sealed.fingerprint(power=sealed.LIMITS), file=Path("out.seal"), chosen="")
    assert capsys.readouterr().out.splitlines()[-1] == (
        "notices, as tried: Gaussian noise from 2^-14 of each layer's spread (20 of 20), "
        "rounded to bfloat16; in part: a flipped sign bit (17 of 20); "
        "not: pruning from 2^-1 of all weights"
    )
