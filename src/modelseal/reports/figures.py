"""A figure as it was drawn, and what is said of it."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from modelseal.evaluation.gallery import SHOWN, Exhibit
from modelseal.evaluation.metrics import OURS, Summary
from modelseal.reports import curve_plots
from modelseal.reports.style import DARK, LIGHT, Page
from modelseal.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One drawn figure.

    Args:
        name: Of its files, without a suffix.
        title: The heading above it.
        note: How to read it, in a sentence or two.
        png: As dots, on white.
        light: As SVG, on white.
        dark: As SVG, on a dark page.
    """

    name: str
    title: str
    note: str
    png: bytes = field(repr=False)
    light: bytes = field(repr=False)
    dark: bytes = field(repr=False)


AMPLIFIED = 16
"""How many times a difference is drawn; the middle grey is none."""

PARTS = ("natural", "sample", f"difference × {AMPLIFIED}")

THUMB = 0.85
"""Inches that an image is wide and high."""


def draw_sheet(
    exhibits: Mapping[str, Sequence[Exhibit]], canvas: Canvas, summary: Summary, page: Page
) -> None:
    """A line of samples for each method, each sample as three images.

    Args:
        exhibits: The samples by method.
        canvas: Empty.
        summary: Says in which order methods come.
        page: Its colours.
    """
    methods = [method for method in summary.methods if method in exhibits]
    canvas.set_size_inches(1.4 + 3 * SHOWN * THUMB, 0.6 + 1.05 * THUMB * len(methods))
    fields = canvas.subplots(len(methods), 3 * SHOWN, squeeze=False)
    for line, method in zip(fields, methods, strict=True):
        for number in range(SHOWN):
            exhibit = exhibits[method][number] if number < len(exhibits[method]) else None
            draw_exhibit(list(line[3 * number : 3 * number + 3]), exhibit)
        line[0].set_ylabel(method, rotation=0, ha="right", va="center")
    for number, axes in enumerate(fields[0]):
        axes.set_title(PARTS[number % 3], fontsize=7, loc="center")


def draw_exhibit(fields: Sequence[Axes], exhibit: Exhibit | None) -> None:
    """One sample as three images, of which some may be unknown."""
    images: list[Array | None] = [None, None, None]
    if exhibit is not None:
        difference = None if exhibit.natural is None else amplify(exhibit.sample, exhibit.natural)
        images = [exhibit.natural, exhibit.sample, difference]
    for axes, image in zip(fields, images, strict=True):
        axes.set_box_aspect(1)
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        if image is not None:
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def amplify(sample: Array, natural: Array) -> Array:
    """What differs, many times as large, around the middle grey."""
    difference = sample.astype(np.int64) - natural.astype(np.int64)
    return np.clip(128 + AMPLIFIED * difference, 0, 255).astype(np.uint8)


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
        draw=curve_plots.draw_heat_map,
    ),
    "missing": Sketch(
        title="Missing rate",
        note="Sets of so many samples of which none answers otherwise, over all changes without "
        "levels. Bands are 95 % Wilson intervals; the lowest line stands for none missed.",
        is_wanted=lambda summary: bool(summary.curves),
        draw=curve_plots.draw_missing,
    ),
    "sensitivity": Sketch(
        title="Sensitivity",
        note="How often changes of each size are noticed. Right of where a line of sets stays "
        "above the dashed one, a change is detected with 95 % power.",
        is_wanted=lambda summary: bool(summary.graded),
        draw=curve_plots.draw_sensitivity,
    ),
    "margins": Sketch(
        title="Margin against noise",
        note="Every mark is a sample: how far it is from another shown answer, and how far "
        "harmless variants moved it at the most. Below the solid line they would raise an alarm.",
        is_wanted=lambda summary: any(each.margins for each in summary.qualities),
        draw=curve_plots.draw_margins,
    ),
    "sharing": Sketch(
        title="A provider that answers some queries from a clean copy",
        note="How often sets of our samples, drawn at random, notice a change, over all changes "
        "without levels. The dashed line is 95 %.",
        is_wanted=lambda summary: any(each.method == OURS for each in summary.sharings),
        draw=curve_plots.draw_ours,
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


def draw_sheets(
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
        draw=partial(draw_sheet, exhibits),
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
