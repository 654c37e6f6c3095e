import errno
import inspect

import pytest
import typer
from click import Abort, ClickException
from typer.testing import CliRunner

from modelseal.cli.exit_codes import Exit, guarded
from modelseal.errors import (
    BadFileError,
    EndpointError,
    InvalidArgumentError,
    MissingExtraError,
    SealingError,
)


@pytest.fixture
def run_alone():
    """Runs a program whose only verb raises, as click runs it."""

    def invoke(raised):
        def verb():
            raise raised

        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(guarded(verb))
        return CliRunner().invoke(app, [])

    return invoke


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgumentError("one thing was wanted, but another came"),
        BadFileError("x.seal", "is no fingerprint"),
        MissingExtraError("Sealing", "seal"),
        SealingError("no sample was found"),
        EndpointError("no answer came"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_error_of_ours_becomes_one_sentence_and_exit_code_2(capsys, error):
    @guarded
    def verb():
        raise error

    with pytest.raises(typer.Exit, match=r"^2$") as caught:
        verb()
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == f"modelseal: {error}\n"


def test_an_interruption_becomes_one_line_and_exit_code_130(capsys):
    @guarded
    def verb():
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit, match=r"^130$") as caught:
        verb()
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "modelseal: interrupted\n"


@pytest.mark.parametrize(
    "escape",
    [
        ZeroDivisionError("a bug"),
        SystemExit(0),
        SystemExit(1),
        EOFError("nothing to read"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        ClickException("one of another program"),
        Abort(),
        GeneratorExit("left"),
    ],
    ids=repr,
)
def test_whatever_else_leaves_a_verb_is_exit_code_70_with_its_traceback(run_alone, escape):
    result = run_alone(escape)
    assert result.exit_code == 70
    assert type(escape).__name__ in result.stderr
    assert "Traceback" in result.stderr


def test_a_verb_s_own_exit_code_passes(run_alone):
    assert [run_alone(typer.Exit(code)).exit_code for code in (0, 1, 3)] == [0, 1, 3]


def test_a_guarded_verb_keeps_its_name_parameters_and_help():
    def verb(one: int, *, two: str = "") -> None:
        """Does it."""

    assert inspect.signature(guarded(verb)) == inspect.signature(verb)
    assert (guarded(verb).__name__, guarded(verb).__doc__) == ("verb", "Does it.")


def test_no_two_exit_codes_are_the_same():
    codes = [member.value for member in Exit.__members__.values()]
    assert len(set(codes)) == len(codes)
    assert [Exit.INTACT, Exit.TAMPERED, Exit.WRONG_USE, Exit.UNDECIDED] == [0, 1, 2, 3]
