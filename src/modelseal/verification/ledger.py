"""The ledger of spent samples, beside the fingerprint: which sample went where and when.

One JSON object a line: which fingerprint it is of, then one for each check. It only ever grows.
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
from modelseal.fingerprint.file_format import canonical
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.settings import Section, parse_json
from modelseal.types import Array

MAX_BYTES = 2**26
"""The largest ledger that is read: a check of eight samples takes some 150 bytes."""

_LOW = 2
"""With samples for fewer further checks than this, the user is warned."""


class _Opening(Section):
    """The first line; `per_check` is what a check takes unless it says so itself, None for all."""

    schema_: Annotated[Literal["modelseal.ledger/1"], Field(alias="schema")]
    fingerprint: str
    samples: Annotated[int, Field(ge=1)]
    per_check: Annotated[int, Field(ge=1)] | None


class _Entry(Section):
    """One check: its name, when it began, whom it asked, and the samples it spent."""

    check: str
    time: str
    endpoint: str
    samples: Annotated[tuple[int, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ledger:
    """What a ledger holds: its first line, and the checks, oldest first."""

    opening: _Opening
    entries: tuple[_Entry, ...]

    @property
    def uses(self) -> Array:
        """How often each sample was spent."""
        spent = [number for entry in self.entries for number in entry.samples]
        return np.bincount(np.array(spent, np.int64), minlength=self.opening.samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """The samples of a check, for how many more checks fresh ones are left, and its look."""

    check: str
    samples: tuple[int, ...]
    checks_left: int
    look: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How many samples a check may spend, how often each may be asked, and where it is entered.

    Whoever answers a sample may have logged it, and can answer it from a copy of the original
    ever after. So samples are entered before they are asked, and the entry is on the disk before
    the first query goes out: a check that a crash ends has spent its samples all the same.
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
        """Enters the least spent samples for a check; None for all, where no account is kept.

        There is an account if a ledger was begun, or if one is needed for what is asked for.
        """
        path = self.ledger
        if path is None or not (path.exists() or self._needs_ledger(fingerprint)):
            return None
        opening = _opening_of(fingerprint, self.per_check)
        with _locked(path) as file:
            ledger = _parse(_repair(file, path), path)
            if ledger is None:
                _begin(file, opening, path)
                ledger = _Ledger(opening=opening, entries=())
            _check_same(ledger, opening, path)
            count = self.per_check or ledger.opening.per_check or len(fingerprint)
            chosen = self._choose(ledger.uses, count, generator)
            samples = tuple(int(number) for number in chosen)
            check = secrets.token_hex(8)
            _append(file, _Entry(check=check, time=now(), endpoint=endpoint, samples=samples))
        uses = ledger.uses
        uses[chosen] += 1
        left = int(np.maximum((self.max_uses or 1) - uses, 0).sum())
        look = 1 + sum(entry.endpoint == endpoint for entry in ledger.entries)
        return Spending(check=check, samples=samples, checks_left=left // count, look=look)

    def _choose(self, uses: Array, count: int, generator: np.random.Generator) -> Array:
        """The least spent samples, at random among equals."""
        most = np.iinfo(np.int64).max if self.max_uses is None else self.max_uses
        free = np.flatnonzero(uses < most)
        if len(free) < count:
            raise BadFileError(
                self.ledger,
                f"expected {count} samples that were asked fewer than {most} times, got "
                f"{len(free)}: seal a new fingerprint",
            )
        shuffled = generator.permutation(free)
        return shuffled[np.argsort(uses[shuffled], kind="stable")][:count]

    def find(
        self, fingerprint: Fingerprint, *, endpoint: str, check: str | None, known: Collection[int]
    ) -> tuple[int, ...] | None:
        """The samples of a check that goes on, which are entered already; None for all.

        It is found by its name and by the samples whose answers are known already.
        """
        path = self.ledger
        if path is None or not (path.exists() or self._needs_ledger(fingerprint)):
            return None
        if path.exists():
            ledger = read_ledger(path)
            _check_same(ledger, _opening_of(fingerprint, None), path)
            for entry in ledger.entries:
                same = (entry.check, entry.endpoint) == (check, endpoint)
                if same and set(known) <= set(entry.samples):
                    return entry.samples
        raise BadFileError(
            path, f"expected the check of {endpoint} that the record is of, got none"
        )

    def describe_stock(self, spent: Spending, fingerprint: Fingerprint) -> str:
        """A warning if the stock of samples runs low, else nothing."""
        limited = len(spent.samples) < len(fingerprint) or self.max_uses is not None
        if not limited or spent.checks_left >= _LOW:
            return ""
        again = "1 time" if self.max_uses in {None, 1} else f"{self.max_uses} times"
        return (
            f"{self.ledger}: after this check the samples that were asked less than {again} are "
            f"enough for {spent.checks_left} more: seal a new fingerprint"
        )

    def _needs_ledger(self, fingerprint: Fingerprint) -> bool:
        part = self.per_check is not None and self.per_check < len(fingerprint)
        return part or self.max_uses is not None


def ledger_file(fingerprint: Path) -> Path:
    """Where the ledger of a fingerprint's file is."""
    return beside(fingerprint, ".ledger")


def find_ledger(ledger: Path | None, fingerprint: Fingerprint) -> Path | None:
    """The ledger that is named, or else the one beside the fingerprint's file, if it has one."""
    return ledger or (ledger_file(Path(fingerprint.file)) if fingerprint.file else None)


def open_ledger(path: Path, fingerprint: Fingerprint, *, per_check: int | None) -> None:
    """Makes a ledger in which nothing is spent yet, in a new file."""
    check_count(per_check, fingerprint)
    with _locked(path) as file:
        if os.fstat(file).st_size:
            raise BadFileError(path, "expected a new ledger, got one that is there already")
        _begin(file, _opening_of(fingerprint, per_check), path)


def read_ledger(path: Path) -> _Ledger:
    """Reads a ledger."""
    with _locked(path, create=False) as file:
        found = _parse(_read_all(file, path), path)
    if found is None:
        raise BadFileError(path, "expected a ledger, got an empty file")
    return found


def check_count(per_check: int | None, fingerprint: Fingerprint) -> None:
    """Makes sure that there are as many samples as a check shall take."""
    if per_check is not None and not 0 < per_check <= len(fingerprint):
        raise InvalidArgumentError(
            f"expected 1 to {len(fingerprint)} samples for each check, got {per_check}",
            field="per_check",
        )


def _opening_of(fingerprint: Fingerprint, per_check: int | None) -> _Opening:
    return _Opening.model_validate(
        {
            "schema": "modelseal.ledger/1",
            "fingerprint": fingerprint.digest,
            "samples": len(fingerprint),
            "per_check": per_check,
        }
    )


def _check_same(ledger: _Ledger, opening: _Opening, path: Path) -> None:
    if ledger.opening.fingerprint != opening.fingerprint:
        raise BadFileError(
            path,
            "expected the ledger of this fingerprint, got that of another one: move it away",
            field="fingerprint",
        )


@contextmanager
def _locked(path: Path, *, create: bool = True) -> Iterator[int]:
    """Gives the open file of a ledger, which nobody else has meanwhile."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT if create else os.O_RDONLY
    try:
        # Not every system has it, and whoever keeps no ledger needs none.
        from fcntl import LOCK_EX, flock

        file = os.open(path, flags, PRIVATE)
        try:
            flock(file, LOCK_EX)
            yield file
        finally:
            os.close(file)
    except ModuleNotFoundError as error:
        raise BadFileError(path, "cannot be kept as a ledger: there is no flock here") from error
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be kept as a ledger: {explain(error)}") from error


def _begin(file: int, opening: _Opening, path: Path) -> None:
    """Writes the first line of a new ledger, whose name is on the disk too when this is over."""
    _append(file, opening)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _append(file: int, line: Section) -> None:
    text = canonical(line.model_dump(mode="json", by_alias=True)).encode() + b"\n"
    while text:
        text = text[os.write(file, text) :]
    os.fsync(file)


def _repair(file: int, path: Path) -> bytes:
    """The content without a line that a crash left unfinished: its samples were never asked."""
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


def _parse(data: bytes, path: Path) -> _Ledger | None:
    lines = data.split(b"\n")[:-1]
    if not lines:
        return None
    opening = parse_json(_Opening, lines[0], name=f"{path}: line 1")
    entries = []
    for number, line in enumerate(lines[1:], start=2):
        entry = parse_json(_Entry, line, name=f"{path}: line {number}")
        samples = set(entry.samples)
        if len(samples) < len(entry.samples) or not samples <= set(range(opening.samples)):
            expected = f"expected samples 0 to {opening.samples - 1}, each once at most"
            raise BadFileError(path, expected, field=f"line {number}.samples")
        entries.append(entry)
    return _Ledger(opening=opening, entries=tuple(entries))
