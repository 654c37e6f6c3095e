"""Writes tables and reports as Markdown."""

from collections.abc import Sequence

from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.picture import Figure
from modelseal.reports.table import Row, Table
from modelseal.reports.tables import TABLES, list_tables

ABOUT = (
    "What samples of each method detect, what they miss, and when they raise an alarm for "
    "nothing. All numbers are in tables.json."
)
"""What a report is, in a sentence or two."""

ESCAPES = str.maketrans({"<": "&lt;", **{letter: f"\\{letter}" for letter in "\\|[*`"}})
"""What would be taken for more than text."""


def write_table(summary: Summary, name: str) -> str:
    """One table of a summary, as it stands in a document.

    Args:
        summary: What was counted.
        name: One of `TABLES`.

    Returns:
        The lines of the table, without heading and note; one line that says so if there is
        nothing to tell.

    Raises:
        KeyError: There is no such table.
    """
    table = TABLES[name](summary)
    return lay_out(table) if table.rows else "Nothing of it was measured.\n"


def lay_out(table: Table) -> str:
    r"""The lines of a table.

    Examples:
        >>> table = Table(title="", note="", head=("a", "b"), rows=(("1", "x|y"),))
        >>> print(lay_out(table), end="")
        | a | b |
        | --- | --- |
        | 1 | x\|y |
    """
    lines: Sequence[Row] = (table.head, ("---",) * len(table.head), *map(escape, table.rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escape(row: Row) -> Row:
    """Cells whose text stays text and in its cell: reasons and names are of foreign origin."""
    return tuple(" ".join(cell.split()).translate(ESCAPES) for cell in row)


def write_report(
    summaries: Sequence[Summary], figures: Sequence[Sequence[Figure]], *, about: str = ABOUT
) -> str:
    """A whole report.

    Args:
        summaries: What was counted.
        figures: The figures of each of them; in the order of the summaries.
        about: What it is, in a sentence or two.
    """
    parts = [f"# What the samples detect\n\n{about}\n"]
    for summary, pictures in zip(summaries, figures, strict=True):
        parts.append(f"## {wording.title(summary.network, summary.spec)}\n")
        parts += [
            f"### {table.title}\n\n{table.note}\n\n{lay_out(table)}"
            for table in list_tables(summary)
        ]
        parts += [
            f"### {picture.title}\n\n{picture.note}\n\n"
            f"![{picture.title}](figures/{picture.name}.png)\n"
            for picture in pictures
        ]
    return "\n".join(parts)
