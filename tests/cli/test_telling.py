from pathlib import Path

import pytest
import sealed

from modelseal.cli.console import Paper
from modelseal.cli.render import (
    facts,
    floored,
    tell_accepted,
    tell_domain,
    tell_findings,
    tell_inspection,
    tell_made,
    tell_verdict,
)
from modelseal.domain import Domain
from modelseal.fingerprint.record import Limit
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
    tell_verdict(Paper(), VERDICT)
    assert capsys.readouterr().out.splitlines() == [
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
    tell_verdict(Paper(), Verdict(outcome=outcome, samples=1, evidence=(entry,), reason="why"))
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"\x1b[{colour}m{outcome.value.upper()}\x1b[0m: why"


def test_findings_are_a_row_each_in_the_order_of_asking(capsys):
    tell_findings(Paper(), EVIDENCE)
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


def test_an_inspection_has_one_line_for_each_fact(capsys):
    made = sealed.fingerprint(names=("ant", "bee", "cat", "dog", "elk"))
    tell_inspection(Paper(), made)
    assert capsys.readouterr().out.splitlines() == [
        "for: inputs of shape 2 x 3 from 0 to 1 on 256 levels",
        "classes: 5: ant, bee, cat, dog, elk",
        "shown: top1",
        "samples: 3",
        "method: boundary, seed 7",
        "parameters: tie 3, margin 0.001, search lattice",
        "margins: 0.5 to 1, median 0.75",
        "moves: 0 to 0.01, median 0.005; a margin is at least 10 moves",
        "PSNR: 41.2 to inf, median 48.5, in dB",
        "variants: batch 7, threads 2",
        "false alarms: none in 3000 harmless answers; rule-of-three bound 0.001 for re-hostings "
        "like those tried",
        "power: never measured",
        f"weights: sha256:{'0123456789abcdef' * 4}",
        "packages: modelseal 0.1.0, numpy 2.4.6",
        "made: 2026-11-23T10:00:00Z",
    ]


def test_variants_that_could_not_be_tried_are_told_beside_the_others_and_not_as_a_setting(capsys):
    origin = sealed.origin(parameters={"margin": 0.001, "skipped": "nnpack, compile"})
    made = sealed.fingerprint(origin=origin)
    tell_inspection(Paper(), made)
    told = capsys.readouterr().out.splitlines()
    assert told[told.index("variants: batch 7, threads 2") + 1] == "not tried: nnpack, compile"
    assert "parameters: margin 0.001" in told
    tell_made(Paper(), made, file=Path("out.seal"), chosen="")
    assert capsys.readouterr().out.splitlines()[-1] == "not tried: nnpack, compile"


def rows(text):
    """The cells of a table's rows, without its heading."""
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in text.splitlines()
        if line.startswith("│")
    ]


def test_an_inspection_ends_with_a_table_of_what_was_noticed(capsys):
    tell_inspection(Paper(), sealed.fingerprint(power=sealed.LIMITS))
    out = capsys.readouterr().out
    assert "\npower: as in the table\n" in out
    assert rows(out) == [
        ["Gaussian noise", "2^-14 of each layer's spread", "20 of 20", "86.0 % or more"],
        ["a flipped sign bit", "", "17 of 20", "65.6 % or more"],
        ["pruning", "2^-1 of all weights", "0 of 1", "the only one"],
        ["rounded to bfloat16", "", "1 of 1", "the only one"],
    ]


def test_nothing_in_a_file_controls_the_terminal_through_its_power(capsys):
    limit = Limit(family="\x1b[2Ja[b]", unit="\x1b[3J", level=1.0, noticed=1, draws=2)
    made = sealed.fingerprint(power=(limit,))
    tell_inspection(Paper(), made)
    origin = sealed.origin(parameters={"accepted": 6, "candidates": 8})
    tell_made(Paper(), sealed.fingerprint(power=(limit,), origin=origin), file=Path("x"), chosen="")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"\x1b[2Ja[b]" in out


@pytest.mark.parametrize(
    ("share", "told"), [(0.9999, "99.9 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (0.95, "95.0 %")]
)
def test_a_lower_bound_is_never_rounded_up(share, told):
    assert floored(share) == told


def test_an_inspection_fits_a_terminal(capsys, terminal):
    tell_inspection(Paper(), sealed.fingerprint(power=sealed.LIMITS))
    out = capsys.readouterr().out
    plain = out.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert out != plain
    assert max(map(len, plain.splitlines())) <= 60
    assert "weights       sha256:" in plain


def test_what_was_never_measured_is_said_so():
    origin = sealed.origin(harmless_answers=0, variants=())
    known = facts(sealed.fingerprint(origin=origin))
    assert known["false alarms"] == "never measured"
    assert known["classes"] == "5, without names"
    assert known["variants"] == "none"


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
