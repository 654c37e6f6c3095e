"""Makes one sentence of a wrong command line, as of every other mistake."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from modelseal.cli.border import Exit
from modelseal.cli.paper import complain

# Typer shows no name of its own for what its click raises: this is the base of its mistakes.
MISTAKE: Any = typer.BadParameter.__mro__[1]


class Verbs(TyperGroup):
    """All verbs; typer alone would answer a wrong command line with a usage and a box."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as typer has it)
        """Reads the options before the verb."""
        with told():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (as typer has it)
        """Reads what belongs to the verb, and runs it."""
        with told():
            return super().invoke(ctx)


@contextmanager
def told() -> Iterator[None]:
    """Tells a mistake in one sentence, and ends with the code of wrong use."""
    try:
        yield
    except MISTAKE as mistake:
        context, text = mistake.ctx, mistake.format_message()
        # Without any argument the answer is the help: typer has written it or it is the text.
        if not text or "\n" in text:
            raise
        path = context.command_path if context else "modelseal"
        verb = path.partition(" ")[2]
        complain(f"{verb}{': ' if verb else ''}{as_part(text)} (see {path} --help)")
        raise typer.Exit(Exit.WRONG_USE) from mistake


def as_part(text: str) -> str:
    """A sentence of typer as a part of one of ours.

    Examples:
        >>> as_part("Missing argument 'ENDPOINT'.")
        "missing argument 'ENDPOINT'"
    """
    line = " ".join(text.replace("Value error, ", "").split())
    return line[:1].lower() + line[1:].rstrip(".")
