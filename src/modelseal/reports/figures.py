"""Draws the figures of a report.

Only this module and those that it draws with need matplotlib.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from modelseal.evaluation.exhibits import Exhibit
from modelseal.evaluation.statistics import OURS
from modelseal.evaluation.summary import Summary
from modelseal.reports import curve_drawing, field_drawing, share_drawing, sheet_drawing
from modelseal.reports.look import DARK, LIGHT, Page
from modelseal.reports.picture import Figure

DOTS = 150
"""Dots per inch of a PNG."""

PAPERS: tuple[Any, ...] = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
INKS: tuple[Any, ...] = (
    "text.color",
    "axes.labelcolor",
    "axes.edgecolor",
    "xtick.color",
    "ytick.color",
)
SETTINGS: Mapping[Any, object] = {
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
}

Draw = Callable[[Canvas, Page], None]
"""Draws on an empty canvas, and gives it its size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """A kind of figure.

    Args:
        title: The heading above it.
        note: How to read it, in a sentence or two.
        is_wanted: Whether a summary has anything for it.
        draw: Draws it on an empty canvas, and gives that its size.
    """

    title: str
    note: str
    is_wanted: Callable[[Summary], bool]
    draw: Callable[[Canvas, Summary, Page], None]


SKETCHES: Mapping[str, Sketch] = {
    "heat-map": Sketch(
        title="Method against tampering",
        note="How often a single sample answers otherwise, in per cent.",
        is_wanted=lambda summary: any(each.level is None for each in summary.detections),
        draw=field_drawing.draw_heat_map,
    ),
    "missing": Sketch(
        title="Missing rate",
        note="Sets of so many samples of which none answers otherwise, over all changes without "
        "levels. Bands are 95 % Wilson intervals; the lowest line stands for none missed.",
        is_wanted=lambda summary: bool(summary.curves),
        draw=curve_drawing.draw_missing,
    ),
    "sensitivity": Sketch(
        title="Sensitivity",
        note="How often changes of each size are noticed. Right of where a line of sets stays "
        "above the dashed one, a change is detected with 95 % power.",
        is_wanted=lambda summary: bool(summary.graded),
        draw=curve_drawing.draw_sensitivity,
    ),
    "margins": Sketch(
        title="Margin against noise",
        note="Every mark is a sample: how far it is from another shown answer, and how far "
        "harmless variants moved it at the most. Below the solid line they would raise an alarm.",
        is_wanted=lambda summary: any(each.margins for each in summary.qualities),
        draw=field_drawing.draw_margins,
    ),
    "sharing": Sketch(
        title="A provider that answers some queries from a clean copy",
        note="How often sets of our samples, drawn at random, notice a change, over all changes "
        "without levels. The dashed line is 95 %.",
        is_wanted=lambda summary: any(each.method == OURS for each in summary.sharings),
        draw=share_drawing.draw_ours,
    ),
}
"""Every kind of figure, by the name of its files."""


def draw_figures(summary: Summary, *, prefix: str) -> tuple[Figure, ...]:
    """Draws every figure that a summary has something for.

    Args:
        summary: What was counted.
        prefix: What the names of the files begin with.
    """
    return tuple(
        draw_figure(f"{prefix}-{name}", sketch, summary)
        for name, sketch in SKETCHES.items()
        if sketch.is_wanted(summary)
    )


def draw_sheet(
    exhibits: Mapping[str, Sequence[Exhibit]], summary: Summary, *, prefix: str
) -> tuple[Figure, ...]:
    """Draws a sheet of samples; nothing if there are none to show.

    Args:
        exhibits: The samples by method. Whoever sees them can recognise them.
        summary: What was counted.
        prefix: What the names of the files begin with.
    """
    if not exhibits:
        return ()
    sketch = Sketch(
        title="Samples",
        note="Throw-away samples of this evaluation, none of a fingerprint in use. A difference "
        "is drawn many times as large; where a natural image is not known it is left out.",
        is_wanted=lambda _: True,
        draw=partial(sheet_drawing.draw_sheet, exhibits),
    )
    return (draw_figure(f"{prefix}-samples", sketch, summary),)


def draw_figure(name: str, sketch: Sketch, summary: Summary) -> Figure:
    """Draws one figure."""

    def draw(canvas: Canvas, page: Page) -> None:
        sketch.draw(canvas, summary, page)

    return Figure(
        name=name,
        title=sketch.title,
        note=sketch.note,
        png=render(draw, LIGHT, "png"),
        light=render(draw, LIGHT, "svg"),
        dark=render(draw, DARK, "svg"),
    )


def render(draw: Draw, page: Page, kind: str) -> bytes:
    """One drawing as the bytes of a file; the same drawing is always the same bytes."""
    stream = io.BytesIO()
    # A date or a salt by chance would make every report another one.
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context():
        set_up(page)
        canvas = Canvas(layout="constrained")
        FigureCanvasAgg(canvas)
        draw(canvas, page)
        canvas.savefig(stream, format=kind, dpi=DOTS, metadata=metadata)
    return stream.getvalue()


def set_up(page: Page) -> None:
    """Makes the settings of matplotlib ours, whatever the user's own are."""
    mpl.rcdefaults()
    mpl.rcParams.update({**SETTINGS, **dict.fromkeys(PAPERS, page.paper)})
    mpl.rcParams.update({**dict.fromkeys(INKS, page.ink), "grid.color": page.faint})
