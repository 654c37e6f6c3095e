import pytest

from modelseal.cli.console import Lines, Paper, reporting


class Clock:
    """Tells the time that a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_stage_writes_at_most_one_line_for_each_tenth(capsys, clock):
    lines = Lines(Paper(stderr=True), clock=clock)
    for done in range(1001):
        clock.now += 1.0
        lines.report("generate", done, 1000)
    written = capsys.readouterr().err.splitlines()
    assert written == [f"generate: {100 * step} of 1000 candidates" for step in range(11)]


def test_short_work_writes_nothing(capsys, clock):
    lines = Lines(Paper(stderr=True), clock=clock)
    for done in range(9):
        clock.now += 0.1
        lines.report("verify", done, 8)
    assert capsys.readouterr().err == ""


def test_lines_are_a_second_apart(capsys, clock):
    lines = Lines(Paper(stderr=True), clock=clock)
    for done in range(1, 11):
        clock.now += 0.4
        lines.report("verify", done, 10)
    assert capsys.readouterr().err.splitlines() == [
        "verify: 3 of 10 questions",
        "verify: 6 of 10 questions",
        "verify: 9 of 10 questions",
    ]


def test_each_stage_is_told_by_itself(capsys, clock):
    lines = Lines(Paper(stderr=True), clock=clock)
    for stage, done, total in [("generate", 4, 4), ("calibrate", 0, 9), ("select", 0, 0)]:
        clock.now += 5
        lines.report(stage, done, total)
    assert capsys.readouterr().err.splitlines() == [
        "generate: 4 of 4 candidates",
        "calibrate: 0 of 9 ways of running",
        "select: 0 of 0",
    ]


def test_progress_goes_to_standard_error_only(capsys, monkeypatch):
    monkeypatch.setattr("modelseal.cli.console.PAUSE", 0.0)
    with reporting() as report:
        report("verify", 1, 2)
    assert capsys.readouterr() == ("", "verify: 1 of 2 questions\n")


def test_a_terminal_gets_bars_with_the_time_left_which_are_gone_at_the_end(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with reporting() as report:
        report("generate", 1, 2)
        report("generate", 2, 2)
        report("calibrate", 1, 21)
    out, err = capsys.readouterr()
    assert out == ""
    assert "generate" in err
    assert "2/2" in err
    assert "calibrate" in err
    assert "1/21" in err
    assert "-:--:--" in err
    assert err.endswith("\x1b[2K")
