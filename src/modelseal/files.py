"""Files read within bounds, and written whole or not at all."""

import os
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path

from modelseal.errors import BadFileError

PRIVATE = 0o600
"""The mode of a new file: only its owner reads it, since samples are secrets."""


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that nobody ever sees half of it.

    The bytes go to a temporary file beside it, which takes the file's place once they are on the
    disk. Whatever happens before that, the old file stays and the temporary one is removed. A file
    that is replaced keeps its mode; a new one can be read and written by its owner alone. What a
    symbolic link points to is replaced.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise BadFileError(path, "expected a file to write, got something else")
        replace(target, data)
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error


def write_new(path: Path, data: bytes) -> None:
    """Writes a file that must not be there, which its owner alone can read.

    Two programs at once cannot both take the name. What could not be written whole is removed.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError as error:
        raise BadFileError(path, "expected a new file, got one that is there") from error
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error


def beside(path: Path, suffix: str) -> Path:
    """Where a file is that is called like another, with something added.

    Examples:
        >>> beside(Path("folder/out.seal"), ".sig").as_posix()
        'folder/out.seal.sig'
    """
    return path.parent / f"{path.name}{suffix}"


def replace(target: Path, data: bytes) -> None:
    """Puts new bytes in the place of a file, by way of a temporary one in the same folder."""
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.touch(PRIVATE, exist_ok=False)
        with temporary.open("r+b") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def explain(error: OSError | ValueError) -> str:
    """The reason alone, without the number and the path around it."""
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or str(error)


def read_bytes(path: Path, *, most: int, missing: str = "") -> bytes:
    """The content of a file of at most so many bytes.

    If there is none, `missing` is what is said instead of what the system says.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadFileError(path, "expected a file, got something else")
        if status.st_size > most:
            raise too_large(status.st_size, most=most, name=str(path))
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        said = missing if isinstance(error, FileNotFoundError) else ""
        raise BadFileError(path, said or f"cannot be read: {explain(error)}") from error
    if len(data) > most:
        raise too_large(len(data), most=most, name=str(path))
    return data


def too_large(size: int, *, most: int, name: str) -> BadFileError:
    """The error for a file of too many bytes."""
    return BadFileError(name, f"expected at most {most} bytes, got {size}")


def now() -> str:
    """The present moment in UTC to the second, such as `2026-11-23T10:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
