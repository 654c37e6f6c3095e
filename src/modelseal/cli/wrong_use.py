"""Makes one sentence of a wrong command line, as of every other mistake."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from modelseal.cli.border import Exit
from modelseal.cli.paper import complain

# Typer shows no name of its own for what its click raises: this is the base of its mistakes.
MISTAKE: Any = typer.BadParameter.__mro__[1]

NO_ARGUMENTS = "NoArgsIsHelpError"
"""Raised once typer has written the help, where nothing at all was asked for."""

PASSWORD = re.compile(r"(?<=://)[^\s/@]*@")
"""What may be before the host of an address."""


class Verbs(TyperGroup):
    """All verbs; typer alone would answer a wrong command line with a usage and a box."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as typer has it)
        """Reads the options before the verb."""
        with told():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (as typer has it)
        """Reads what belongs to the verb, and runs it."""
        with told(ctx):
            return super().invoke(ctx)


@contextmanager
def told(whole: Any = None) -> Iterator[None]:  # noqa: ANN401 (as typer has it)
    """Tells a mistake in one sentence, and ends with the code of wrong use.

    Args:
        whole: Typer's context of the whole program, once it is known; it names the verb.
    """
    try:
        yield
    except MISTAKE as mistake:
        if type(mistake).__name__ == NO_ARGUMENTS:
            raise
        verb = whole and whole.invoked_subcommand
        # Whoever misspells a verb has not named one.
        verb = verb if mistake.ctx is None or mistake.ctx is not whole else None
        text = PASSWORD.sub("***@", as_part(mistake.format_message()))
        own, path = (f"{verb}: ", f"modelseal {verb}") if verb else ("", "modelseal")
        complain(f"{own}{text} (see {path} --help)")
        raise typer.Exit(Exit.WRONG_USE) from mistake


def as_part(text: str) -> str:
    """A sentence of typer as a part of one of ours.

    Examples:
        >>> as_part("Missing argument 'ENDPOINT'.")
        "missing argument 'ENDPOINT'"
    """
    line = " ".join(text.replace("Value error, ", "").split())
    line = line.replace("Input should be ", "needs to be ")
    return line[:1].lower() + line[1:].rstrip(".")
