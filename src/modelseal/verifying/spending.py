"""Which samples a check takes: the least spent, entered in the ledger before they are asked."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from modelseal.errors import BadFileError
from modelseal.fingerprint.record import Fingerprint
from modelseal.shapes import Array
from modelseal.verifying.ledger import (
    Entry,
    Ledger,
    Opening,
    append,
    begin,
    check_count,
    locked,
    opening_of,
    parse_ledger,
    read_ledger,
    repair,
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
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        endpoint=endpoint,
        samples=tuple(int(number) for number in chosen),
    )
