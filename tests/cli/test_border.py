import inspect

import pytest
import typer

from modelseal.cli.border import Exit, guarded
from modelseal.errors import (
    BadFileError,
    EndpointError,
    InvalidArgumentError,
    MissingExtraError,
    SealingError,
)


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


def test_a_bug_passes_as_it_is():
    @guarded
    def verb():
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        verb()


def test_a_guarded_verb_keeps_its_name_parameters_and_help():
    def verb(one: int, *, two: str = "") -> None:
        """Does it."""

    assert inspect.signature(guarded(verb)) == inspect.signature(verb)
    assert (guarded(verb).__name__, guarded(verb).__doc__) == ("verb", "Does it.")


def test_no_two_exit_codes_are_the_same():
    codes = [member.value for member in Exit.__members__.values()]
    assert len(set(codes)) == len(codes)
    assert [Exit.INTACT, Exit.TAMPERED, Exit.WRONG_USE, Exit.UNDECIDED] == [0, 1, 2, 3]
