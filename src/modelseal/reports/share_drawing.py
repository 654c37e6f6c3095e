"""Draws what is left of the power against a provider that answers some queries cleanly."""

import io
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from modelseal.evaluation.spotting.gaining import POWER
from modelseal.reports import wording
from modelseal.reports.figures import DOTS, set_up
from modelseal.reports.look import COLOURS, LIGHT, MARKERS, Page

Points: TypeAlias = Sequence[tuple[float, float]]
"""A share of queries and the power that is left, in rising order of the share."""


def draw_shares(
    exact: Mapping[int, Points], simulated: Mapping[int, Points], *, page: Page = LIGHT
) -> bytes:
    """The power against the share of queries answered from a clean copy, as a PNG.

    Args:
        exact: By number of samples, what was computed: a line.
        simulated: By number of samples, what verifying gave: marks.
        page: What it stands on.
    """
    stream = io.BytesIO()
    with mpl.rc_context():
        set_up(page)
        canvas = Canvas(layout="constrained", figsize=(7.2, 4.4))
        FigureCanvasAgg(canvas)
        field = canvas.subplots()
        for order, (count, points) in enumerate(sorted(exact.items())):
            draw_count(field, count, points, simulated.get(count, ()), order=order)
        set_axes(field, page)
        canvas.legend(loc="outside lower center", ncols=len(exact), fontsize=9)
        canvas.savefig(stream, format="png", dpi=DOTS, metadata={"Software": None})
    return stream.getvalue()


def draw_count(field: Axes, count: int, line: Points, marks: Points, *, order: int) -> None:
    """The line and the marks of one number of samples, with its place in the legend."""
    colour, marker = COLOURS[order % len(COLOURS)], MARKERS[order % len(MARKERS)]
    field.plot([x for x, _ in line], [y for _, y in line], color=colour, linewidth=1.6)
    field.plot(
        [x for x, _ in marks],
        [y for _, y in marks],
        color=colour,
        marker=marker,
        linestyle="none",
        markersize=5.5,
        clip_on=False,
        zorder=3,
    )
    label = f"{count} sample{'s' if count > 1 else ''}"
    field.plot([], [], color=colour, marker=marker, label=label)


def set_axes(field: Axes, page: Page) -> None:
    """Both axes from nothing to all, with the power that is to be kept."""
    field.axhline(POWER, color=page.ink, linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)
    field.set_xlim(0, 1)
    field.set_ylim(0, 1.02)
    field.set_xlabel("share of queries answered from a clean copy")
    field.set_ylabel("verifications that notice")
    for axis in (field.xaxis, field.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: wording.percent(value)))
