"""Reads a file as a whole, once it is known not to be too large."""

import stat
from pathlib import Path

from modelseal.errors import BadFileError
from modelseal.writing import explain


def read_bytes(path: Path, *, most: int, missing: str = "") -> bytes:
    """The content of a file.

    Args:
        path: The file.
        most: How many bytes it may have.
        missing: What is said if there is none; by default what the system says.

    Raises:
        BadFileError: It cannot be read, is something else than a file, or is larger.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadFileError(path, "a file was wanted, but this is something else")
        if status.st_size > most:
            raise too_large(status.st_size, most=most, name=str(path))
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        told = missing if isinstance(error, FileNotFoundError) else ""
        raise BadFileError(path, told or f"cannot be read: {explain(error)}") from error
    if len(data) > most:
        raise too_large(len(data), most=most, name=str(path))
    return data


def too_large(size: int, *, most: int, name: str) -> BadFileError:
    """The error for a file of too many bytes."""
    return BadFileError(name, f"at most {most} bytes were wanted, but it has {size}")
