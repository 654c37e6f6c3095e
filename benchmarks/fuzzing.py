"""Bytes and JSON that nobody would send, and what is counted when they come all the same."""

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

import numpy as np

from modelseal.errors import BadFileError
from modelseal.verdict import Outcome, Verdict

TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"-1", b"0.5", b"null", b"true", b'""', b"[]", b"{}", b"[[[[[[",
    b"\xff", b"\0", b"9" * 400, b'"outputs"', b'"labels"', b"INT64", b"FP64", b"BYTES", b",", b"\n",
    b"\\ud800", b'"sample": 0,', b"1e-400", b"-0.0", b"[" * 5000,
)  # fmt: skip
"""Pieces that readers of JSON and of numbers have stumbled over."""

KEPT = 5
"""So many examples of what went wrong are kept."""

Case: TypeAlias = Callable[[np.random.Generator], tuple[Verdict, bool]]
"""Makes something up and verifies with it: the verdict, and whether intact is what it deserves."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """What came of many cases.

    Args:
        cases: How many there were.
        outcomes: How many ended how; `refused` are files that were found bad.
        tracebacks: How many ended with an error that is none of a bad file.
        unfounded: How many were intact, though not all answers were those that were expected.
        slowest: The longest time that one took, in seconds.
        examples: The first things that went wrong.
    """

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    tracebacks: int = 0
    unfounded: int = 0
    slowest: float = 0.0
    examples: list[str] = field(default_factory=list)

    def keep(self, example: str) -> None:
        """Keeps an example of what went wrong."""
        if len(self.examples) < KEPT:
            self.examples.append(example)

    def add(self, name: str, outcome: str, seconds: float) -> None:
        """Counts a case that ended in order."""
        self.cases += 1
        self.outcomes[f"{name}: {outcome}"] += 1
        self.slowest = max(self.slowest, seconds)


def run_cases(kinds: dict[str, Case], *, count: int, seed: int) -> Tally:
    """Runs cases of all kinds in turn, each with chance of its own that can be had again.

    Args:
        kinds: The cases by name.
        count: How many in all.
        seed: Of all chance.
    """
    tally = Tally()
    for number in range(count):
        name = list(kinds)[number % len(kinds)]
        begin = perf_counter()
        outcome = run_case(kinds[name], tally, name, (seed, number))
        tally.add(name, outcome, perf_counter() - begin)
    return tally


def run_case(case: Case, tally: Tally, name: str, seed: tuple[int, int]) -> str:
    """Runs one case, and gives what came of it."""
    try:
        verdict, deserved = case(np.random.default_rng(seed))
    except BadFileError as error:
        if len(str(error).splitlines()) == 1:
            return "refused"
        tally.keep(f"{name} {seed}: more than one line: {error}")
    except Exception:  # noqa: BLE001 (this is what is counted)
        tally.keep(f"{name} {seed}: {traceback.format_exc()}")
    else:
        if verdict.outcome is Outcome.INTACT and not deserved:
            tally.unfounded += 1
            tally.keep(f"{name} {seed}: {verdict}")
        return verdict.outcome.value
    tally.tracebacks += 1
    return "traceback"


def mutate(data: bytes, chance: np.random.Generator) -> bytes:
    """Changes bytes in one to four places, so that they are others afterwards."""
    ways = (flip, overwrite, delete, repeat, insert, truncate)
    result = data
    while result == data:
        for _ in range(chance.integers(1, 5)):
            way = ways[chance.integers(len(ways))] if result else insert
            result = way(result, chance)
    return result


def flip(data: bytes, chance: np.random.Generator) -> bytes:
    """Flips one bit."""
    place = chance.integers(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.integers(8))]) + data[place + 1 :]


def overwrite(data: bytes, chance: np.random.Generator) -> bytes:
    """Puts another byte of the same data, which often is of the same kind, in the place of one."""
    place, other = chance.integers(len(data), size=2)
    return data[:place] + data[other : other + 1] + data[place + 1 :]


def span(data: bytes, chance: np.random.Generator) -> slice:
    """A short piece."""
    begin = int(chance.integers(len(data)))
    return slice(begin, begin + int(chance.integers(1, 24)))


def delete(data: bytes, chance: np.random.Generator) -> bytes:
    """Takes a piece out."""
    piece = span(data, chance)
    return data[: piece.start] + data[piece.stop :]


def repeat(data: bytes, chance: np.random.Generator) -> bytes:
    """Repeats a piece."""
    piece = span(data, chance)
    return data[: piece.stop] + data[piece] + data[piece.stop :]


def insert(data: bytes, chance: np.random.Generator) -> bytes:
    """Puts a token in, in the place of a few bytes or of none."""
    begin = chance.integers(len(data) + 1)
    token = TOKENS[chance.integers(len(TOKENS))]
    return data[:begin] + token + data[begin + chance.integers(6) :]


def truncate(data: bytes, chance: np.random.Generator) -> bytes:
    """Cuts the end off."""
    return data[: chance.integers(len(data))]


def any_json(chance: np.random.Generator, *, depth: int = 4) -> object:
    """Any value of JSON, with the keys of answers in many places."""
    keys = ("outputs", "data", "shape", "datatype", "name", "id", "sample", "labels", "scores", "x")
    scalars = (None, True, False, 0, -1, 2**70, 0.5, 1e308, "", "INT64", "y", "\ud800", "NaN")
    kind = chance.integers(4) if depth else 0
    if kind < 2:
        return scalars[chance.integers(len(scalars))]
    items = [any_json(chance, depth=depth - 1) for _ in range(chance.integers(4))]
    return items if kind == 2 else {keys[chance.integers(len(keys))]: item for item in items}


def mutate_json(value: object, chance: np.random.Generator) -> object:
    """Changes one thing in a value of JSON, at any depth, so that it stays JSON."""
    if isinstance(value, dict) and value and chance.integers(4):
        key = list(value)[chance.integers(len(value))]
        if not chance.integers(6):
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: mutate_json(value[key], chance)}
    if isinstance(value, list) and value and chance.integers(5):
        place = chance.integers(len(value))
        changed = mutate_json(value[place], chance)
        more = [changed] * int(chance.integers(0, 3)) if not chance.integers(4) else [changed]
        return [*value[:place], *more, *value[place + 1 :]]
    if isinstance(value, int | float) and chance.integers(2):
        near = (-1, 1, 0.5, 1e-3, 1e-9, -1e-4)
        return value + near[chance.integers(len(near))]
    return any_json(chance, depth=2)
