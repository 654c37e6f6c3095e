"""The program `modelseal`.

It starts with nothing but typer: every verb imports what it needs when it runs.
"""

import sys
from contextlib import suppress
from io import TextIOWrapper
from traceback import print_exception
from typing import Annotated

import typer

from modelseal.cli.border import MEANT, Exit, guarded
from modelseal.cli.commit import commit
from modelseal.cli.convert import convert
from modelseal.cli.encrypt import decrypt, encrypt
from modelseal.cli.enroll import enroll
from modelseal.cli.evaluate import evaluate
from modelseal.cli.generate import generate
from modelseal.cli.inspect import inspect
from modelseal.cli.keygen import keygen
from modelseal.cli.recheck import recheck
from modelseal.cli.report import report
from modelseal.cli.reproduce import reproduce
from modelseal.cli.reveal import reveal
from modelseal.cli.seal import seal
from modelseal.cli.select import select
from modelseal.cli.sign import sign
from modelseal.cli.verify import verify
from modelseal.cli.wrong_use import Verbs

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


def tell_version(*, wanted: bool) -> bool:
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
        bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Show it.")
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
