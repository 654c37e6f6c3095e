import io
import os
import sys

from hypothesis import given
from hypothesis import strategies as st

from modelseal.cli.console import Paper, complain, plain


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left_in_plain_text(text):
    assert plain(text).isprintable()


@given(st.text().filter(str.isprintable))
def test_printable_text_stays_as_it_is(text):
    assert plain(text) == text


def test_an_escape_sequence_can_be_read_and_a_new_line_is_a_space():
    assert plain("a\x1b[2J\nb") == r"a\x1b[2J b"


def test_a_complaint_is_one_line_on_standard_error(capsys):
    complain("one\ntwo [bold]three[/bold] " + 300 * "x")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"modelseal: one two [bold]three[/bold] {300 * 'x'}\n"


def test_text_is_plain_where_there_is_no_terminal(capsys):
    Paper().write("words", style="bold red")
    assert capsys.readouterr().out == "words\n"


def test_text_has_its_colour_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    Paper().write("words", style="bold red")
    assert capsys.readouterr().out == "\x1b[1;31mwords\x1b[0m\n"


class Gone(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_a_reader_that_has_gone_ends_the_text_and_not_the_program(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Gone())
    paper = Paper()
    paper.write("first")
    assert paper.quiet
    paper.write("second")


def test_a_broken_pipe_is_replaced_so_that_python_can_flush_it_at_the_end(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        Paper().write("lost")
        stream.write("flushed on leaving")
    os.write(writing, b"leads to the null device now")
    os.close(writing)
