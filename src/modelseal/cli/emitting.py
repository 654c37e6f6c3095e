"""Files that the program writes: checked before long work, and written whole or not at all."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelseal.cli.paper import Paper
from modelseal.errors import BadFileError

STANDARD_OUTPUT = Path("-")
"""Stands for standard output in place of a file."""


def check_document(path: Path | None, *, inputs: Sequence[Path]) -> None:
    """Makes sure that a document can be written: nowhere, to standard output or to a file.

    Raises:
        BadFileError: The file cannot be written or is one of the inputs.
    """
    if path is not None and path != STANDARD_OUTPUT:
        check_output(path, inputs=inputs)


def check_output(path: Path, *, inputs: Sequence[Path]) -> None:
    """Makes sure, before long work begins, that its result can be written.

    Args:
        path: The file to be written or replaced.
        inputs: The files that are read, none of which may be replaced.

    Raises:
        BadFileError: The folder is missing or may not be written to, or the path is a folder or
            one of the inputs.
    """
    folder = path.parent
    try:
        taken = path.exists() and not path.is_file()
    except OSError as error:
        raise BadFileError(path, f"cannot be written: {error.strerror}") from error
    if not folder.is_dir():
        raise BadFileError(path, f"a file to write was wanted, but there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadFileError(path, f"a file to write was wanted, but {folder} is write-protected")
    if taken:
        raise BadFileError(path, "a file to write was wanted, but this is something else")
    if any(is_same(path, each) for each in (*inputs, *named_by_environment())):
        raise BadFileError(path, "a file to write was wanted, but this one is read as well")


def named_by_environment() -> list[Path]:
    """The key that the environment names, which is read where nothing else opens a file."""
    from modelseal.cli.fingerprints import KEY_FILE

    return [Path(os.environ[KEY_FILE])] if os.environ.get(KEY_FILE) else []


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, which need not be there yet."""
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, RuntimeError):  # a loop of links leads nowhere
        return False


def emit(document: Mapping[str, object], path: Path) -> None:
    """Writes a document as JSON, to a file or to standard output.

    Args:
        document: Texts, numbers, lists and objects; every number is finite.
        path: The file, or `-`.

    Raises:
        BadFileError: The file cannot be written.
    """
    from modelseal.writing import write_atomically

    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    if path == STANDARD_OUTPUT:
        Paper().out(text, highlight=False)
    else:
        write_atomically(path, f"{text}\n".encode())
