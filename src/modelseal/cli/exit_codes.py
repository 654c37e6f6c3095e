"""The border of the program: where an error becomes one sentence and an exit code."""

from collections.abc import Callable
from contextvars import ContextVar
from enum import IntEnum
from functools import wraps
from traceback import print_exception
from typing import ParamSpec

import typer

from modelseal.cli.console import warn
from modelseal.errors import ModelsealError

Parameters = ParamSpec("Parameters")


class Exit(IntEnum):
    """The exit codes, which are an interface: scripts decide by them."""

    INTACT = 0
    TAMPERED = 1
    WRONG_USE = 2
    UNDECIDED = 3
    CRASHED = 70
    """A bug in this program; Python's own code for it is 1, which says tampered here."""
    INTERRUPTED = 130


MEANT: ContextVar[int | None] = ContextVar("meant", default=None)
"""The exit code that a verb itself asked for; None if none did."""


def guarded(verb: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Makes one sentence and an exit code of whatever modelseal itself raises, and of Ctrl-C.

    All else is a bug, or an escape of the owner's code: it ends with its traceback and the code of
    a crash. If it passed, then SystemExit(0) would say intact, and click would make tampered of
    EOFError or a broken pipe.
    """

    @wraps(verb)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            verb(*args, **kwargs)
        except typer.Exit as end:
            MEANT.set(end.exit_code)
            raise
        except ModelsealError as error:
            warn(str(error))
            raise typer.Exit(Exit.WRONG_USE) from error
        except KeyboardInterrupt as error:
            warn(str(error) or "interrupted")
            raise typer.Exit(Exit.INTERRUPTED) from error
        except BaseException as error:
            print_exception(error)
            raise typer.Exit(Exit.CRASHED) from error

    return run
