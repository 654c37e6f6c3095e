"""A table as a value: what each cell says, and nothing of how it looks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from modelseal.reports.wording import NOTHING

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
