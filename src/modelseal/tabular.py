"""A table as a value: what each cell says, and nothing of how it looks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log2
from typing import TypeAlias, TypeVar

from modelseal.intervals import Bound, Share

Row: TypeAlias = tuple[str, ...]
"""The cells of one line."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table.

    Args:
        title: The heading above it.
        note: How to read it, in a sentence or two.
        head: The names of the columns.
        rows: The lines below, each as long as the head.
    """

    title: str
    note: str
    head: Row
    rows: tuple[Row, ...]


def once(items: Iterable[Item]) -> tuple[Item, ...]:
    """Each item once, in the order of coming."""
    return tuple(dict.fromkeys(items))


def grid(
    cells: Mapping[tuple[str, Item], str], rows: Iterable[str], columns: Sequence[Item]
) -> tuple[Row, ...]:
    """Lines of a table that has a cell for each row and column, or nothing there."""
    return tuple((row, *(cells.get((row, column), NOTHING) for column in columns)) for row in rows)


BIT = "bit"
"""The family whose level is the number of the flipped bit: 31 is the sign, 0 changes least."""

NOTHING = "–"  # noqa: RUF001 (a dash in an empty cell is wanted)
"""Stands where there is nothing to tell."""


def percent(value: float) -> str:
    """A share in per cent, rounded, but never to 0 or 100 where it is not.

    Examples:
        >>> percent(0.25), percent(0.9999), percent(0.0001), percent(1.0)
        ('25 %', '> 99 %', '< 1 %', '100 %')
    """
    if 0 < value < 0.005:
        return "< 1 %"
    if 0.995 <= value < 1:
        return "> 99 %"
    return f"{100 * value:.0f} %"


def small_percent(value: float) -> str:
    """A share in per cent to two digits, however small.

    Examples:
        >>> small_percent(0.000234), small_percent(0.0), small_percent(0.9999)
        ('0.023 %', '0 %', '> 99 %')
    """
    return percent(value) if value >= 0.1 else f"{100 * value:.2g} %"


def ratio(share: Share) -> str:
    """What was counted, of how many.

    Examples:
        >>> from modelseal.intervals import measure
        >>> ratio(measure(3, 1200))
        '3 of 1,200'
    """
    return f"{share.part:,} of {share.whole:,}"


def bound(limit: Bound) -> str:
    """An upper bound and where it comes from."""
    return f"{small_percent(limit.value)} ({limit.rule.value})"


def level(value: float) -> str:
    """A level: a power of two as such, a whole number as such, else three digits.

    Examples:
        >>> level(2.0**-13), level(31.0), level(0.3)
        ('2^-13', '31', '0.3')
    """
    if 0 < value < inf and log2(value).is_integer() and value <= 1:
        return f"2^{log2(value):.0f}"
    return f"{value:.3g}"


def row(change: str, value: float | None) -> str:
    """A row, with its level if it has one.

    Examples:
        >>> row("noise", 2.0**-3), row("bit", 1.0), row("ftal", None)
        ('noise 2^-3', 'bit 1', 'ftal')
    """
    if value is None:
        return change
    return f"{change} {value:.0f}" if change == BIT else f"{change} {level(value)}"


def number(value: float) -> str:
    """A number to three digits; large ones whole.

    Examples:
        >>> number(0.001234), number(12345.6), number(inf)
        ('0.00123', '12,346', 'infinite')
    """
    if not isfinite(value):
        return "infinite" if value == inf else NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def images(count: int | None, asked: int) -> str:
    """How many natural images match a sample.

    Examples:
        >>> images(12, 320), images(None, 320)
        ('12', 'more than 320')
    """
    return f"more than {asked:,}" if count is None else f"{count:,}"


def title(network: str, spec: str) -> str:
    """What a summary is about."""
    return f"{network}, {spec}"
