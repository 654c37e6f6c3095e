"""What the program writes on: standard output and standard error."""

import os
from contextlib import suppress

from rich.console import Console
from rich.text import Text

UNLIMITED = 10_000
"""Columns where no terminal ends the line: it stays whole for whoever searches the text."""


class Paper(Console):
    """Standard output or standard error: coloured and wrapped on a terminal, plain elsewhere.

    Args:
        stderr: Whether it is standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = UNLIMITED

    def write(self, text: str, *, style: str = "") -> None:
        """Writes a line that is never cut or wrapped, with nothing in it that moves a cursor."""
        self.print(Text(plain(text), style), soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Falls silent where nobody reads any more: the exit code still has something to say."""
        self.quiet = True
        # There is no such number where the stream is none of the system's; then it needs no care.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def plain(text: str) -> str:
    r"""Text of foreign origin without control characters, which could rewrite what is on screen.

    Examples:
        >>> plain("cat\x1b[2J")
        'cat\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() else visible(letter) for letter in text)


def visible(letter: str) -> str:
    """A space for the end of a line and the like, an escape for other control characters."""
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()


def complain(sentence: str) -> None:
    """Tells the user in one line what is wrong."""
    Paper(stderr=True).write(f"modelseal: {sentence}")
