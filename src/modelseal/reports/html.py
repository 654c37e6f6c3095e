"""Writes a report as one HTML page that needs nothing beside it."""

from base64 import b64encode
from collections.abc import Mapping, Sequence

from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.filling import render
from modelseal.reports.markdown import ABOUT
from modelseal.reports.picture import Figure
from modelseal.reports.tables import list_tables

TEMPLATE = "page.html.j2"


def write_page(
    summaries: Sequence[Summary], figures: Sequence[Sequence[Figure]], *, about: str = ABOUT
) -> str:
    """A whole report as a page with its style and its figures inside, and no script.

    Args:
        summaries: What was counted.
        figures: The figures of each of them, in the order of the summaries.
        about: What it is, in a sentence or two.
    """
    parts = [
        {
            "title": wording.title(summary.network, summary.spec),
            "tables": list_tables(summary),
            "figures": [embed(picture) for picture in pictures],
        }
        for summary, pictures in zip(summaries, figures, strict=True)
    ]
    return render(TEMPLATE, about=about, parts=parts)


def embed(figure: Figure) -> Mapping[str, str]:
    """A figure with its drawings as addresses that hold the data themselves."""
    return {
        "title": figure.title,
        "note": figure.note,
        "light": address(figure.light),
        "dark": address(figure.dark),
    }


def address(drawing: bytes) -> str:
    """An SVG as an address that holds its data."""
    return f"data:image/svg+xml;base64,{b64encode(drawing).decode()}"
