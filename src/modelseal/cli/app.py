"""The program `modelseal`.

It starts with nothing but typer: every verb imports what it needs when it runs.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from traceback import print_exception
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modelseal.cli.console import warn
from modelseal.cli.enroll import enroll
from modelseal.cli.evaluate import evaluate, report
from modelseal.cli.evidence import commit, recheck, reveal
from modelseal.cli.exit_codes import MEANT, Exit, guarded
from modelseal.cli.keys import decrypt, encrypt, keygen, sign
from modelseal.cli.research import convert, reproduce
from modelseal.cli.seal import generate, seal, select
from modelseal.cli.verify import inspect, verify

# Typer shows no name of its own for what its click raises: this is the base of its mistakes.
_MISTAKE: Any = typer.BadParameter.__mro__[1]

_NO_ARGUMENTS = "NoArgsIsHelpError"
"""Raised once typer has written the help, where nothing at all was asked for."""

_PASSWORD = re.compile(r"(?<=://)[^\s/@]*@")
"""What may be before the host of an address."""


class Verbs(TyperGroup):
    """All verbs; typer alone would answer a wrong command line with a usage and a box."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as typer has it)
        """Reads the options before the verb."""
        with _one_sentence():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (as typer has it)
        """Reads what belongs to the verb, and runs it."""
        with _one_sentence(ctx):
            return super().invoke(ctx)


@contextmanager
def _one_sentence(whole: Any = None) -> Iterator[None]:  # noqa: ANN401 (as typer has it)
    """Tells a mistake in one sentence, and ends with the code of wrong use."""
    try:
        yield
    except _MISTAKE as mistake:
        if type(mistake).__name__ == _NO_ARGUMENTS:
            raise
        verb = whole and whole.invoked_subcommand
        # Whoever misspells a verb has not named one.
        verb = verb if mistake.ctx is None or mistake.ctx is not whole else None
        text = _PASSWORD.sub("***@", _as_part(mistake.format_message()))
        own, path = (f"{verb}: ", f"modelseal {verb}") if verb else ("", "modelseal")
        warn(f"{own}{text} (see {path} --help)")
        raise typer.Exit(Exit.WRONG_USE) from mistake


def _as_part(text: str) -> str:
    """A sentence of typer as a part of one of ours.

    Examples:
        >>> _as_part("Missing argument 'ENDPOINT'.")
        "missing argument 'ENDPOINT'"
    """
    line = " ".join(text.replace("Value error, ", "").split())
    line = line.replace("Input should be ", "needs to be ")
    return line[:1].lower() + line[1:].rstrip(".")


app = typer.Typer(
    name="modelseal",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    *(seal, enroll, verify, inspect, generate, select, evaluate, report, reproduce, convert),
    *(keygen, encrypt, decrypt, sign, commit, reveal, recheck),
):
    app.command()(guarded(verb))


def _show_version(*, wanted: bool) -> bool:
    """Writes the version, if it is wanted, and ends; typer takes the answer as the option."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"modelseal {version('modelseal')}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Tell whether the model behind an API is still exactly the model that was deployed."""


def main() -> None:
    """Runs the program with the arguments of the process, and ends it with an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A class name that the terminal's encoding lacks must not cost the verdict.
            stream.reconfigure(errors="backslashreplace")
    MEANT.set(None)
    try:
        app()
    except SystemExit as end:
        # Click ends with 1 for what it cannot write, and for Ctrl-C before a verb has begun.
        if end.code == Exit.TAMPERED and MEANT.get() != Exit.TAMPERED:
            raise SystemExit(Exit.CRASHED) from end
        raise
    except Exception as error:
        # Python would end with 1 here, which says tampered.
        with suppress(OSError):
            print_exception(error)
        raise SystemExit(Exit.CRASHED) from error
