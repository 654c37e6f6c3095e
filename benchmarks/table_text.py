"""Figures as tables in Markdown."""

from collections.abc import Callable, Mapping, Sequence
from math import log2

Figures = Mapping[str, float]
"""Every measured number by its name."""

Show = Callable[[float], str]
"""Writes one number for people."""


def figure_table(figures: Figures, rows: Mapping[str, tuple[str, Show]]) -> str:
    """A table of a few figures, one a line."""
    told = [(name, tell(figures, key, show)) for key, (name, show) in rows.items()]
    return markdown(("what", "measured"), told)


def tell(figures: Figures, key: str, show: Show) -> str:
    """One figure for people."""
    return show(figures[key]) if key in figures else "not measured"


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.0f} %"


def whole(number: float) -> str:
    """A number without a fraction."""
    return f"{number:,.0f}"


def unit(name: str) -> Show:
    """Shows a number to three digits with its unit."""
    return lambda number: f"{number:,.3g} {name}".strip()


def power_of_two(number: float) -> str:
    """Such as 2^-13."""
    return f"2^{log2(number):.0f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
