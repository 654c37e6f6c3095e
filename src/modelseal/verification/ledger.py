"""The ledger of spent samples, beside the fingerprint: which sample went where and when.

Whoever answers a sample may have logged it, and can answer it from a copy of the original ever
after. So samples are entered before they are asked, and the entry is on the disk before the first
query goes out: a check that a crash ends has spent its samples all the same.

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

LOW = 2
"""With samples for fewer further checks than this, the user is warned."""


class Opening(Section):
    """The first line of a ledger: which fingerprint it is of.

    `per_check` is how many samples a check takes unless it says so itself; None for all.
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
    """What a ledger holds: its first line, and the checks, oldest first."""

    opening: Opening
    entries: tuple[Entry, ...]

    @property
    def uses(self) -> Array:
        """How often each sample was spent."""
        spent = [number for entry in self.entries for number in entry.samples]
        return np.bincount(np.array(spent, np.int64), minlength=self.opening.samples)


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
    samples: tuple[int, ...]
    checks_left: int
    look: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How many samples a check may spend, and where that is entered.

    There is an account if a ledger was begun, or if one is needed for what is asked for.

    Args:
        ledger: The ledger's file; None for no account.
        per_check: How many samples a check takes; by default as the ledger says, or all.
        max_uses: How often a sample may be asked; by default any number of times.
    """

    ledger: Path | None = None
    per_check: int | None = None
    max_uses: int | None = None

    def __post_init__(self) -> None:
        limits = {"per_check": self.per_check, "max_uses": self.max_uses}
        for field, limit in limits.items():
            if limit is not None and self.ledger is None:
                raise InvalidArgumentError("expected a ledger beside it, got none", field=field)

    def spend(
        self, fingerprint: Fingerprint, *, endpoint: str, generator: np.random.Generator
    ) -> Spending | None:
        """Enters the samples of a check before they are asked; None for all, without a ledger.

        Raises:
            ModelsealError: Too few samples are left, or the ledger cannot be used.
        """
        check_count(self.per_check, fingerprint)
        if self.ledger is None or not (self.ledger.exists() or self._needs_ledger(fingerprint)):
            return None
        return spend(
            self.ledger,
            fingerprint,
            endpoint=endpoint,
            generator=generator,
            per_check=self.per_check,
            max_uses=self.max_uses,
        )

    def find(
        self,
        fingerprint: Fingerprint,
        *,
        endpoint: str,
        check: str | None,
        known: Collection[int],
    ) -> tuple[int, ...] | None:
        """The samples of a check that goes on, which are entered already; None for all.

        Raises:
            ModelsealError: The ledger has no such check, or there is none where there should be.
        """
        check_count(self.per_check, fingerprint)
        if self.ledger is not None and self.ledger.exists():
            return find_check(self.ledger, fingerprint, endpoint=endpoint, check=check, known=known)
        if self.ledger is not None and self._needs_ledger(fingerprint):
            raise BadFileError(
                self.ledger,
                "expected a ledger with the check that goes on, got none: per_check and max_uses "
                "are for a new check",
            )
        return None

    def describe_stock(self, spent: Spending, fingerprint: Fingerprint) -> str:
        """A warning if the stock of samples runs low, else nothing."""
        limited = len(spent.samples) < len(fingerprint) or self.max_uses is not None
        if not limited or spent.checks_left >= LOW:
            return ""
        again = "1 time" if self.max_uses in {None, 1} else f"{self.max_uses} times"
        return (
            f"{self.ledger}: after this check the samples that were asked less than {again} are "
            f"enough for {spent.checks_left} more: seal a new fingerprint"
        )

    def _needs_ledger(self, fingerprint: Fingerprint) -> bool:
        part = self.per_check is not None and self.per_check < len(fingerprint)
        return part or self.max_uses is not None


def ledger_of(fingerprint: Path) -> Path:
    """Where the ledger of a fingerprint's file is."""
    return beside(fingerprint, SUFFIX)


def open_ledger(path: Path, fingerprint: Fingerprint, *, per_check: int | None) -> None:
    """Makes a ledger in which nothing is spent yet.

    Raises:
        BadFileError: There is such a file, or it cannot be written.
        InvalidArgumentError: A check would take more samples than there are.
    """
    check_count(per_check, fingerprint)
    with _locked(path) as file:
        if os.fstat(file).st_size:
            raise BadFileError(path, "expected a new ledger, got one that is there already")
        _begin(file, _opening_of(fingerprint, per_check), path)


def read_ledger(path: Path) -> Ledger:
    """Reads a ledger.

    Raises:
        BadFileError: It cannot be read or is none.
    """
    with _locked(path, create=False) as file:
        found = _parse(_read_all(file, path), path)
    if found is None:
        raise BadFileError(path, "expected a ledger, got an empty file")
    return found


def check_count(per_check: int | None, fingerprint: Fingerprint) -> None:
    """Makes sure that there are as many samples as a check shall take.

    Raises:
        InvalidArgumentError: There are fewer.
    """
    if per_check is not None and not 0 < per_check <= len(fingerprint):
        raise InvalidArgumentError(
            f"expected 1 to {len(fingerprint)} samples for each check, got {per_check}",
            field="per_check",
        )


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
    """
    opening = _opening_of(fingerprint, per_check)
    with _locked(path) as file:
        ledger = _parse(_repair(file, path), path)
        if ledger is None:
            _begin(file, opening, path)
            ledger = Ledger(opening=opening, entries=())
        _check_same(ledger, opening, path)
        count = per_check or ledger.opening.per_check or len(fingerprint)
        chosen = _choose(ledger.uses, count, most=max_uses, generator=generator, path=path)
        samples = tuple(int(number) for number in chosen)
        check = secrets.token_hex(8)
        _append(file, Entry(check=check, time=now(), endpoint=endpoint, samples=samples))
    uses = ledger.uses
    uses[chosen] += 1
    left = int(np.maximum((max_uses or 1) - uses, 0).sum())
    look = 1 + sum(entry.endpoint == endpoint for entry in ledger.entries)
    return Spending(check=check, samples=samples, checks_left=left // count, look=look)


def find_check(
    path: Path,
    fingerprint: Fingerprint,
    *,
    endpoint: str,
    check: str | None,
    known: Collection[int],
) -> tuple[int, ...]:
    """The samples of the check that goes on, by its name and by those that are known already.

    Raises:
        BadFileError: It is no ledger, or one of another fingerprint, or has no such check.
    """
    ledger = read_ledger(path)
    _check_same(ledger, _opening_of(fingerprint, None), path)
    for entry in ledger.entries:
        same = (entry.check, entry.endpoint) == (check, endpoint)
        if same and set(known) <= set(entry.samples):
            return entry.samples
    raise BadFileError(path, f"expected the check of {endpoint} that the record is of, got none")


def _opening_of(fingerprint: Fingerprint, per_check: int | None) -> Opening:
    return Opening.model_validate(
        {
            "schema": SCHEMA,
            "fingerprint": file_digest(fingerprint),
            "samples": len(fingerprint),
            "per_check": per_check,
        }
    )


def _choose(
    uses: Array, count: int, *, most: int | None, generator: np.random.Generator, path: Path
) -> Array:
    """The least spent samples, at random among equals."""
    free = np.flatnonzero(uses < (np.iinfo(np.int64).max if most is None else most))
    if len(free) < count:
        raise BadFileError(
            path,
            f"expected {count} samples that were asked fewer than {most} times, got {len(free)}: "
            "seal a new fingerprint",
        )
    shuffled = generator.permutation(free)
    return shuffled[np.argsort(uses[shuffled], kind="stable")][:count]


def _check_same(ledger: Ledger, opening: Opening, path: Path) -> None:
    if ledger.opening.fingerprint != opening.fingerprint:
        raise BadFileError(
            path,
            "expected the ledger of this fingerprint, got that of another one, which may be moved "
            "away",
            field="fingerprint",
        )


@contextmanager
def _locked(path: Path, *, create: bool = True) -> Iterator[int]:
    """Gives the open file of a ledger, which nobody else has meanwhile."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT if create else os.O_RDONLY
    try:
        file = os.open(path, flags, PRIVATE)
        try:
            _lock(file, path)
            yield file
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be kept as a ledger: {explain(error)}") from error


def _lock(file: int, path: Path) -> None:
    try:
        # Not every system has it, and whoever keeps no ledger needs none.
        from fcntl import LOCK_EX, flock
    except ModuleNotFoundError as error:
        raise BadFileError(path, "cannot be kept as a ledger: there is no flock here") from error
    flock(file, LOCK_EX)


def _begin(file: int, opening: Opening, path: Path) -> None:
    """Writes the first line of a new ledger, whose name is on the disk too when this is over."""
    _append(file, opening)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _append(file: int, line: Section) -> None:
    """Writes a line, which is on the disk when this is over."""
    text = canonical(line.model_dump(mode="json", by_alias=True)).encode() + b"\n"
    while text:
        text = text[os.write(file, text) :]
    os.fsync(file)


def _repair(file: int, path: Path) -> bytes:
    """The content without a line that a crash left unfinished, which is cut off."""
    data = _read_all(file, path)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.ftruncate(file, len(whole))
    return whole


def _read_all(file: int, path: Path) -> bytes:
    size = os.fstat(file).st_size
    if size > MAX_BYTES:
        raise BadFileError(path, f"expected at most {MAX_BYTES} bytes, got {size}")
    return os.pread(file, size, 0)


def _parse(data: bytes, path: Path) -> Ledger | None:
    """What a file says; None if it has no whole line."""
    lines = data.split(b"\n")[:-1]
    if not lines:
        return None
    opening = parse_json(Opening, lines[0], name=f"{path}: line 1")
    entries = tuple(
        parse_json(Entry, line, name=f"{path}: line {number}")
        for number, line in enumerate(lines[1:], start=2)
    )
    for number, entry in enumerate(entries, start=2):
        numbers = set(entry.samples)
        if len(numbers) < len(entry.samples) or not numbers <= set(range(opening.samples)):
            raise BadFileError(
                path,
                f"expected samples 0 to {opening.samples - 1}, each once at most",
                field=f"line {number}.samples",
            )
    return Ledger(opening=opening, entries=entries)
