"""Keeps finished pieces in a folder, so that a run that was stopped goes on where it was.

A piece is a file of its own, named after a digest of all that it depends on: whatever was changed
since, only pieces that would come out the same are found again.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np
import safetensors.numpy

from modelseal.domain import Domain
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.tensors import load
from modelseal.sealing.piecing import Piece, PieceTask
from modelseal.writing import explain, write_atomically

PIECES = "*.piece"
# What a process that was killed while it wrote a piece leaves behind.
UNFINISHED = ".*.tmp"
PRIVATE = 0o700
"""The mode of the folder: only its owner sees the samples, which are secrets."""


def check_folder(folder: Path) -> None:
    """Makes sure, before long work begins, that pieces can be kept.

    Raises:
        BadFileError: Something else has the folder's name.
    """
    if folder.exists() and not folder.is_dir():
        raise BadFileError(
            folder, "a folder for unfinished work was wanted, but this is something else"
        )


def keep(folder: Path, task: PieceTask, piece: Piece) -> None:
    """Writes a piece, whole or not at all, in a folder that is made if it is missing.

    Raises:
        BadFileError: It cannot be written.
    """
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written to: {explain(error)}") from error
    arrays = {"samples": np.ascontiguousarray(piece.samples), "work": np.array([piece.work])}
    write_atomically(file_of(folder, task), safetensors.numpy.save(arrays))


def find_kept(folder: Path, task: PieceTask) -> Piece | None:
    """A piece that is kept already; None if there is none, or none that can be used."""
    try:
        return parse(file_of(folder, task).read_bytes(), task.domain, len(task.naturals))
    # What cannot be used is made again, and replaced.
    except (OSError, InvalidArgumentError):
        return None


def parse(data: bytes, domain: Domain, count: int) -> Piece:
    """Reads a piece of so many samples.

    Raises:
        InvalidArgumentError: It is none.
    """
    arrays = load(data)
    samples, work = arrays.get("samples"), arrays.get("work")
    if samples is None or work is None or work.shape != (1,) or samples.shape[:1] != (count,):
        raise InvalidArgumentError(
            f"a piece of {count} samples was wanted, but something else came"
        )
    domain.check(samples)
    return Piece(samples=samples, work=float(work[0]))


def file_of(folder: Path, task: PieceTask) -> Path:
    """Where a piece is kept."""
    return folder / PIECES.replace("*", task.key)


def count_kept(folder: Path) -> int:
    """How many pieces there are."""
    return len(list(folder.glob(PIECES)))


def clear(folder: Path) -> None:
    """Removes all pieces, and the folder unless somebody else has put something in it.

    Raises:
        BadFileError: A piece cannot be removed.
    """
    try:
        for pattern in (PIECES, UNFINISHED):
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise BadFileError(folder, f"cannot be emptied: {explain(error)}") from error
    with suppress(OSError):
        folder.rmdir()
