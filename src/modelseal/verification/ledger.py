"""The ledger of spent samples, beside the fingerprint: which sample went where and when.

Whoever answers a sample may have logged it, and can answer it from a copy of the original ever
after. So samples are entered before they are asked, and the entry is on the disk before the first
question goes out: a check that a crash ends has spent its samples all the same.

The file has one JSON object a line: first which fingerprint it is of, then one for each check. It
only ever grows, under an exclusive lock. A line without an end, which only a crash leaves behind,
stands for nothing: its samples were never asked.
"""

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import PRIVATE, beside, explain, now
from modelseal.fingerprint.codec import canonical, file_digest
from modelseal.fingerprint.record import Fingerprint
from modelseal.settings import Section, parse_json
from modelseal.types import Array

SUFFIX = ".ledger"
"""What is added to the fingerprint's name."""

SCHEMA = "modelseal.ledger/1"

MAX_BYTES = 2**26
"""The largest ledger that is read: a check of eight samples takes some 150 bytes."""


class Opening(Section):
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


class Entry(Section):
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


def append(file: int, line: Section) -> None:
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
    opening = parse_json(Opening, lines[0], name=f"{path}: line 1")
    entries = tuple(
        parse_json(Entry, line, name=f"{path}: line {number}")
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """Which samples a check has spent, and what is left.

    Args:
        check: What the ledger calls the check.
        samples: Their numbers.
        checks_left: How many more checks of this size can take samples that are not used up.
        look: How many checks of this endpoint the ledger has, this one among them.
    """

    check: str
    samples: Array
    checks_left: int
    look: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the samples, as `Manners.chosen` takes them."""
        return tuple(int(number) for number in self.samples)


def spend(
    path: Path,
    fingerprint: Fingerprint,
    *,
    endpoint: str,
    generator: np.random.Generator,
    per_check: int | None = None,
    max_uses: int | None = None,
) -> Spending:
    """Chooses the least spent samples for a check, and enters them before they are asked.

    Args:
        path: The ledger, which is made if it is missing.
        fingerprint: What it is of.
        endpoint: What is going to be asked, without secrets.
        generator: Chooses among samples that were spent equally often.
        per_check: How many samples are taken; by default as the ledger says, or all.
        max_uses: How often a sample may be asked; by default any number of times.

    Raises:
        BadFileError: It is no ledger, or one of another fingerprint, or cannot be written, or too
            few samples are left: then nothing was entered.
        InvalidArgumentError: More samples are wanted than there are.
    """
    check_count(per_check, fingerprint)
    opening = opening_of(fingerprint, per_check)
    with locked(path) as file:
        ledger = parse_ledger(repair(file, path), path)
        if ledger is None:
            begin(file, opening, path)
            ledger = Ledger(opening=opening, entries=())
        check_same(ledger, opening, path)
        count = per_check or ledger.opening.per_check or len(fingerprint)
        chosen = choose(ledger.uses, count, most=max_uses, generator=generator, path=path)
        entry = entry_of(endpoint, chosen)
        append(file, entry)
    uses = ledger.uses
    uses[chosen] += 1
    before = sum(each.endpoint == endpoint for each in ledger.entries)
    return Spending(
        check=entry.check,
        samples=chosen,
        checks_left=left(uses, max_uses or 1) // count,
        look=before + 1,
    )


def choose(
    uses: Array, count: int, *, most: int | None, generator: np.random.Generator, path: Path
) -> Array:
    """The least spent samples, at random among equals.

    Raises:
        BadFileError: Too few are left.
    """
    free = np.flatnonzero(uses < (np.iinfo(np.int64).max if most is None else most))
    if len(free) < count:
        raise BadFileError(
            path,
            f"{count} samples that were asked fewer than {most} times were wanted, but {len(free)} "
            "are left: seal a new fingerprint",
        )
    shuffled = generator.permutation(free)
    return shuffled[np.argsort(uses[shuffled], kind="stable")][:count]


def left(uses: Array, most: int) -> int:
    """How many times samples can still be asked, all together."""
    return int(np.maximum(most - uses, 0).sum())


def find_check(
    path: Path,
    fingerprint: Fingerprint,
    *,
    endpoint: str,
    check: str | None,
    known: Collection[int],
) -> tuple[int, ...]:
    """The samples of the check that goes on.

    Args:
        path: The ledger.
        fingerprint: What it is of.
        endpoint: What is asked, without secrets.
        check: What the ledger calls the check; None if its record does not say.
        known: The samples whose answers are known already.

    Raises:
        BadFileError: It is no ledger, or one of another fingerprint, or has no such check.
    """
    ledger = read_ledger(path)
    check_same(ledger, opening_of(fingerprint, None), path)
    for entry in ledger.entries:
        same = (entry.check, entry.endpoint) == (check, endpoint)
        if same and set(known) <= set(entry.samples):
            return entry.samples
    raise BadFileError(
        path,
        f"the check of {endpoint} that the record is of was wanted, but the ledger has no such one",
    )


def check_same(ledger: Ledger, opening: Opening, path: Path) -> None:
    """Makes sure that a ledger is the one of a fingerprint.

    Raises:
        BadFileError: It is that of another one.
    """
    if ledger.opening.fingerprint != opening.fingerprint:
        raise BadFileError(
            path,
            "the ledger of this fingerprint was wanted, but it is that of another one, which may "
            "be moved away",
        )


def entry_of(endpoint: str, chosen: Array) -> Entry:
    """The line of a check that begins now."""
    return Entry(
        check=secrets.token_hex(8),
        time=now(),
        endpoint=endpoint,
        samples=tuple(int(number) for number in chosen),
    )
