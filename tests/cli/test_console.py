import io
import os
import sys

import pytest
import sealed
import torch
from hypothesis import given
from hypothesis import strategies as st

from modelseal.cli.console import (
    ProgressLines,
    StageCosts,
    Terminal,
    measure_stages,
    plain,
    show_costs,
    show_progress,
    warn,
)
from modelseal.domain import Domain
from modelseal.models.loader import Model


class Clock:
    """Tells the number that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left_in_plain_text(text):
    assert plain(text).isprintable()
    assert plain(text) == text or not text.isprintable()


def test_a_warning_is_one_line_on_standard_error(capsys):
    warn("one\ntwo [bold]three[/bold] " + 300 * "x")
    assert capsys.readouterr() == ("", f"modelseal: one two [bold]three[/bold] {300 * 'x'}\n")


class Gone(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_a_reader_that_has_gone_ends_the_text_and_not_the_program(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Gone())
    terminal = Terminal()
    terminal.write("first")
    assert terminal.quiet
    terminal.write("second")


def test_a_broken_pipe_is_replaced_so_that_python_can_flush_it_at_the_end(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        Terminal().write("lost")
        stream.write("flushed on leaving")
    os.write(writing, b"leads to the null device now")
    os.close(writing)


@pytest.mark.parametrize(("pause", "steps"), [(1.0, range(11)), (0.0009, [])])
def test_a_stage_writes_at_most_a_line_for_each_tenth_and_short_work_none(capsys, pause, steps):
    clock = Clock()
    lines = ProgressLines(Terminal(stderr=True), clock=clock)
    for done in range(1001):
        clock.now += pause
        lines.report("generate", done, 1000)
    written = capsys.readouterr().err.splitlines()
    assert written == [f"generate: {100 * step} of 1000 candidates" for step in steps]


def test_progress_goes_to_standard_error_only(capsys, monkeypatch):
    monkeypatch.setattr("modelseal.cli.console.PAUSE", 0.0)
    with show_progress() as report:
        report("verify", 1, 2)
    assert capsys.readouterr() == ("", "verify: 1 of 2 questions\n")


def test_a_terminal_gets_bars_with_the_time_left_which_are_gone_at_the_end(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with show_progress() as report:
        for stage, done, total in (("generate", 1, 2), ("generate", 2, 2), ("calibrate", 1, 21)):
            report(stage, done, total)
    out, err = capsys.readouterr()
    assert out == ""
    assert all(word in err for word in ("generate", "2/2", "calibrate", "1/21", "-:--:--"))
    assert err.endswith("\x1b[2K")


def test_the_work_in_other_processes_is_told_from_the_file(capsys):
    clock, work = Clock(), Clock()
    costs = StageCosts(lambda *news: None, count=work, clock=clock)
    costs.report("generate", 0, 2)
    clock.now += 12.34
    costs.report("select", 0, 2)
    work.now += 50
    costs.close()
    made = sealed.fingerprint()
    made.origin.parameters.update(accepted=6, work=216.7)
    show_costs(costs, made)
    assert capsys.readouterr() == (
        "",
        "generate: 12.3 s, 1300 forward-equivalents\n"
        "select: 0.0 s, 50 forward-equivalents\n"
        "216.7 forward-equivalents for each of 6 accepted candidates\n",
    )


def test_what_the_network_is_asked_is_counted_while_it_is_watched(tiny):
    model = Model(network=tiny, domain=Domain(shape=(3, 8, 8)))
    with measure_stages(lambda *news: None, model) as costs:
        costs.report("calibrate", 0, 1)
        tiny(torch.zeros(7, 3, 8, 8))
    tiny(torch.zeros(5, 3, 8, 8))
    assert costs.stages["calibrate"][1] == 7.0
    assert not tiny._forward_hooks
