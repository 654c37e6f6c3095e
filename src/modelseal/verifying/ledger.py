"""The ledger of spent samples, beside the fingerprint: which sample went where and when.

Whoever answers a sample may have logged it, and can answer it from a copy of the original ever
after. So samples are entered before they are asked, and the entry is on the disk before the first
question goes out: a check that a crash ends has spent its samples all the same.

The file has one JSON object a line: first which fingerprint it is of, then one for each check. It
only ever grows, under an exclusive lock. A line without an end, which only a crash leaves behind,
stands for nothing: its samples were never asked.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.codec import canonical, file_digest
from modelseal.fingerprint.parsing import Strict, parse
from modelseal.fingerprint.record import Fingerprint
from modelseal.shapes import Array
from modelseal.writing import PRIVATE, beside, explain

SUFFIX = ".ledger"
"""What is added to the fingerprint's name."""

SCHEMA = "modelseal.ledger/1"

MAX_BYTES = 2**26
"""The largest ledger that is read: a check of eight samples takes some 150 bytes."""


class Opening(Strict):
    """The first line of a ledger.

    Args:
        fingerprint: SHA-256 of the canonical plain bytes of the fingerprint.
        samples: How many samples that has.
        per_check: How many samples a check takes unless it says so itself; None for all.
    """

    schema_: Annotated[Literal["modelseal.ledger/1"], Field(alias="schema")]
    fingerprint: str
    samples: Annotated[int, Field(ge=1)]
    per_check: Annotated[int, Field(ge=1)] | None


class Entry(Strict):
    """One check: its name, when it began, whom it asked, and the samples it spent."""

    check: str
    time: str
    endpoint: str
    samples: Annotated[tuple[int, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """What a ledger holds.

    Args:
        opening: Its first line.
        entries: The checks, oldest first.
    """

    opening: Opening
    entries: tuple[Entry, ...]

    @property
    def uses(self) -> Array:
        """How often each sample was spent."""
        spent = [number for entry in self.entries for number in entry.samples]
        return np.bincount(np.array(spent, np.int64), minlength=self.opening.samples)


def ledger_of(fingerprint: Path) -> Path:
    """Where the ledger of a fingerprint's file is."""
    return beside(fingerprint, SUFFIX)


def open_ledger(path: Path, fingerprint: Fingerprint, *, per_check: int | None) -> None:
    """Makes a ledger in which nothing is spent yet.

    Args:
        path: The file, which must not be there.
        fingerprint: What it is of.
        per_check: How many samples a check takes unless it says so itself; None for all.

    Raises:
        BadFileError: There is such a file, or it cannot be written.
        InvalidArgumentError: A check would take more samples than there are.
    """
    check_count(per_check, fingerprint)
    with locked(path) as file:
        if os.fstat(file).st_size:
            raise BadFileError(path, "a new ledger was wanted, but there is one already")
        begin(file, opening_of(fingerprint, per_check), path)


def read_ledger(path: Path) -> Ledger:
    """Reads a ledger.

    Raises:
        BadFileError: It cannot be read or is none.
    """
    with locked(path, create=False) as file:
        found = parse_ledger(read_all(file, path), path)
    if found is None:
        raise BadFileError(path, "a ledger was wanted, but it is empty")
    return found


def check_count(per_check: int | None, fingerprint: Fingerprint) -> None:
    """Makes sure that there are as many samples as a check shall take.

    Raises:
        InvalidArgumentError: There are fewer.
    """
    if per_check is not None and not 0 < per_check <= len(fingerprint):
        raise InvalidArgumentError(
            f"1 to {len(fingerprint)} samples for each check were wanted, but {per_check} came"
        )


def opening_of(fingerprint: Fingerprint, per_check: int | None) -> Opening:
    """The first line of a fingerprint's ledger."""
    return Opening.model_validate(
        {
            "schema": SCHEMA,
            "fingerprint": file_digest(fingerprint),
            "samples": len(fingerprint),
            "per_check": per_check,
        }
    )


@contextmanager
def locked(path: Path, *, create: bool = True) -> Iterator[int]:
    """Gives the open file of a ledger, which nobody else has meanwhile.

    Raises:
        BadFileError: It cannot be opened, read or written.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT if create else os.O_RDONLY
    try:
        file = os.open(path, flags, PRIVATE)
        try:
            lock(file, path)
            yield file
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be kept as a ledger: {explain(error)}") from error


def lock(file: int, path: Path) -> None:
    """Waits until nobody else has a file, and takes it until it is closed.

    Raises:
        BadFileError: The system cannot do that.
    """
    try:
        # Not every system has it, and whoever keeps no ledger needs none.
        from fcntl import LOCK_EX, flock
    except ModuleNotFoundError as error:
        raise BadFileError(path, "cannot be kept as a ledger: there is no flock here") from error
    flock(file, LOCK_EX)


def begin(file: int, opening: Opening, path: Path) -> None:
    """Writes the first line of a new ledger, whose name is on the disk too when this is over."""
    append(file, opening)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def append(file: int, line: Strict) -> None:
    """Writes a line, which is on the disk when this is over."""
    text = canonical(line.model_dump(mode="json", by_alias=True)).encode() + b"\n"
    while text:
        text = text[os.write(file, text) :]
    os.fsync(file)


def repair(file: int, path: Path) -> bytes:
    """The content without a line that a crash left unfinished, which is cut off."""
    data = read_all(file, path)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.ftruncate(file, len(whole))
    return whole


def read_all(file: int, path: Path) -> bytes:
    """The content of an open file.

    Raises:
        BadFileError: It is too large.
    """
    size = os.fstat(file).st_size
    if size > MAX_BYTES:
        raise BadFileError(path, f"at most {MAX_BYTES} bytes were wanted, but it has {size}")
    return os.pread(file, size, 0)


def parse_ledger(data: bytes, path: Path) -> Ledger | None:
    """What a file says; None if it has no whole line.

    Raises:
        BadFileError: A line is malformed, or speaks of a sample that there is not.
    """
    lines = data.split(b"\n")[:-1]
    if not lines:
        return None
    opening = parse(Opening, lines[0], name=f"{path}: line 1")
    entries = tuple(
        parse(Entry, line, name=f"{path}: line {number}")
        for number, line in enumerate(lines[1:], start=2)
    )
    check_entries(entries, opening.samples, path)
    return Ledger(opening=opening, entries=entries)


def check_entries(entries: tuple[Entry, ...], samples: int, path: Path) -> None:
    """Makes sure that every check spent samples that there are, each once.

    Raises:
        BadFileError: One did not.
    """
    for number, entry in enumerate(entries, start=2):
        numbers = set(entry.samples)
        if len(numbers) < len(entry.samples) or not numbers <= set(range(samples)):
            raise BadFileError(
                path,
                f"each of {samples} samples was wanted once at most",
                field=f"line {number}.samples",
            )
