"""Draws what is left of the power against a provider that answers some queries cleanly."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from modelseal.evaluation.curves import POWER
from modelseal.evaluation.statistics import OURS
from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.look import COLOURS, MARKERS, Page

Points: TypeAlias = Sequence[tuple[float, float]]
"""A share of queries and the power that is left, in rising order of the share."""


def draw_ours(canvas: Canvas, summary: Summary, page: Page) -> None:
    """The power of our samples against the share of queries answered from a clean copy."""
    own = {each.samples: each.powers for each in summary.sharings if each.method == OURS}
    draw_shares(canvas, page, exact=own)


def draw_shares(
    canvas: Canvas,
    page: Page,
    *,
    exact: Mapping[int, Points],
    simulated: Mapping[int, Points] | None = None,
) -> None:
    """The power against the share of queries answered from a clean copy.

    Args:
        canvas: Is drawn on.
        page: What it stands on.
        exact: By number of samples, what was computed: a line.
        simulated: By number of samples, what verifying gave: marks.
    """
    canvas.set_size_inches(7.2, 4.4)
    field = canvas.subplots()
    for order, (count, points) in enumerate(sorted(exact.items())):
        draw_count(field, count, points, (simulated or {}).get(count, ()), order=order)
    set_axes(field, page)
    canvas.legend(loc="outside lower center", ncols=len(exact), fontsize=9)


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
    field.plot([], [], color=colour, marker=marker if marks else None, label=label)


def set_axes(field: Axes, page: Page) -> None:
    """Both axes from nothing to all, with the power that is to be kept."""
    field.axhline(POWER, color=page.ink, linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)
    field.set_xlim(0, 1)
    field.set_ylim(0, 1.02)
    field.set_xlabel("share of queries answered from a clean copy")
    field.set_ylabel("verifications that notice")
    for axis in (field.xaxis, field.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: wording.percent(value)))
