"""How figures look: colours of methods, and of the page they stand on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DOTS = 150
"""Dots per inch of a PNG."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The colours of a page: behind everything, of text and axes, and of grids and guides."""

    paper: str
    ink: str
    faint: str


LIGHT = Page(paper="#ffffff", ink="#1f2328", faint="#d0d7de")
DARK = Page(paper="#14181d", ink="#e6edf3", faint="#3d444d")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stroke:
    """How one method is drawn on every figure; dashes are broken for samples off the levels."""

    colour: str
    marker: str
    dashes: str


# The palette of Okabe and Ito (2008), without black and its pale yellow, which a white page hides.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*")

METHODS = (
    *("boundary", "ascent", "ibsf", "misclassified", "two-class", "legacy", "natural"),
    *("ascent-all", "ibsf-tuned", "publiccheck", "noise"),
)
"""The known methods, so that each has its own colour and mark whichever others are drawn."""


def choose_stroke(method: str, methods: Sequence[str]) -> _Stroke:
    """How a method is drawn among others; unknown ones take what is left, in their order."""
    name, _, form = method.partition(":")
    names = dict.fromkeys((*METHODS, *(each.partition(":")[0] for each in methods)))
    order = list(names).index(name)
    # The first colour is ours alone: when all are taken, the others go round.
    colour = order if order < len(COLOURS) else 1 + order % (len(COLOURS) - 1)
    return _Stroke(
        colour=COLOURS[colour], marker=MARKERS[order % len(MARKERS)], dashes="--" if form else "-"
    )


def settings_for(page: Page) -> Mapping[Any, object]:
    """The settings of matplotlib for a page."""
    papers = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return {
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "font.family": ["DejaVu Sans"],
        "legend.frameon": False,
        "svg.hashsalt": "modelseal",
        "svg.fonttype": "path",
        "grid.color": page.faint,
        **dict.fromkeys(papers, page.paper),
        **dict.fromkeys(inks, page.ink),
    }
