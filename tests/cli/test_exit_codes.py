import errno

import pytest
import typer
from click import Abort, ClickException
from typer.testing import CliRunner

from modelseal.cli.exit_codes import Exit, guarded
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError, MissingExtraError


def run_alone(raised):
    """Runs a program whose only verb raises, as click runs it."""

    def verb():
        raise raised

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(guarded(verb))
    return CliRunner().invoke(app, [])


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InvalidArgumentError("expected one, got two"), 2, "expected one, got two"),
        (BadFileError("x.seal", "expected a fingerprint"), 2, "x.seal: expected a fingerprint"),
        (MissingExtraError("S", "x"), 2, 'S needs an extra: pip install "modelseal[x]"'),
        (EndpointError("expected an answer"), 2, "expected an answer"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_each_error_of_ours_and_ctrl_c_become_one_sentence(error, code, told):
    result = run_alone(error)
    assert (result.exit_code, result.stderr) == (code, f"modelseal: {told}\n")


@pytest.mark.parametrize(
    "escape",
    [
        *(ZeroDivisionError("a bug"), SystemExit(0), SystemExit(1), EOFError("nothing to read")),
        *(BrokenPipeError(errno.EPIPE, "Broken pipe"), ClickException("another program's")),
        *(Abort(), GeneratorExit("left")),
    ],
    ids=repr,
)
def test_whatever_else_leaves_a_verb_is_exit_code_70_with_its_traceback(escape):
    result = run_alone(escape)
    assert result.exit_code == 70
    assert type(escape).__name__ in result.stderr
    assert "Traceback" in result.stderr


def test_a_verb_s_own_exit_code_passes_and_no_two_are_the_same():
    assert [run_alone(typer.Exit(code)).exit_code for code in (0, 1, 3)] == [0, 1, 3]
    assert len(set(Exit)) == len(Exit.__members__)
    assert [Exit.INTACT, Exit.TAMPERED, Exit.WRONG_USE, Exit.UNDECIDED] == [0, 1, 2, 3]
