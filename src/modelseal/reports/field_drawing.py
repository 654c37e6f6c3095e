"""Draws fields: the heat map of methods and changes, and margins against harmless moves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.look import Page, choose_stroke
from modelseal.reports.wording import NOTHING
from modelseal.sealing.recipe import FACTOR
from modelseal.shapes import PerInput

DARK_SIDE = 0.55
"""Up to this value cells are dark, so that their numbers are white."""


def draw_heat_map(canvas: Canvas, summary: Summary, page: Page) -> None:
    """Single-sample detection, a line for each change and a column for each method."""
    found = {(d.change, d.method): d.share.value for d in summary.detections if d.level is None}
    changes = list(dict.fromkeys(change for change, _ in found))
    failed = [e.change for e in summary.not_applied if e.level is None and e.change not in changes]
    changes += failed
    cells = [[found.get((row, column), np.nan) for column in summary.methods] for row in changes]
    canvas.set_size_inches(3.2 + 0.85 * len(summary.methods), 1.7 + 0.32 * len(changes))
    field = canvas.subplots()
    field.imshow(cells, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    field.grid(visible=False)
    field.spines[:].set_visible(False)
    field.tick_params(length=0, labeltop=True, labelbottom=False)
    field.set_xticks(range(len(summary.methods)), summary.methods, rotation=35, ha="left")
    field.set_yticks(range(len(changes)), changes)
    for row, change in enumerate(changes):
        for column, value in enumerate(cells[row]):
            write_cell(field, (column, row), value, "not applied" if change in failed else NOTHING)


def write_cell(field: Axes, place: tuple[int, int], value: float, nothing: str) -> None:
    """The number in one cell, in a colour that is seen on it."""
    if np.isnan(value):
        field.text(*place, nothing, ha="center", va="center", fontsize=7)
        return
    shade = "white" if value < DARK_SIDE else "black"
    text = wording.percent(value).removesuffix(" %")
    field.text(*place, text, ha="center", va="center", fontsize=9, color=shade)


def draw_margins(canvas: Canvas, summary: Summary, page: Page) -> None:
    """Margins against the largest harmless moves, with the line where both are the same."""
    canvas.set_size_inches(8, 5.2)
    field = canvas.subplots()
    smallest = find_smallest(summary)
    for each in summary.qualities:
        stroke = choose_stroke(each.method, summary.methods)
        field.scatter(
            lift(each.moves, smallest),
            lift(each.margins, smallest),
            s=16,
            marker=stroke.marker,
            edgecolors=stroke.colour,
            facecolors="none" if stroke.dashes == "--" else stroke.colour,
            linewidths=0.7,
            alpha=0.8,
            label=each.method,
        )
    field.set_xscale("log")
    field.set_yscale("log")
    draw_guide(field, 1.0, "-", "margin = move", page)
    draw_guide(field, FACTOR, "--", f"{FACTOR:g} times the move", page)
    field.set_xlabel("largest harmless move, in the unit of the margin")
    field.set_ylabel("margin")
    canvas.legend(loc="outside right upper", fontsize=9)


def lift(values: Sequence[float], smallest: float) -> PerInput:
    """Values for a logarithmic axis: 0 on its edge, and infinite ones not drawn."""
    return np.where(np.isinf(values), np.nan, np.maximum(values, smallest))


def find_smallest(summary: Summary) -> float:
    """What is drawn in place of 0, which has no place on a logarithmic axis."""
    every = [value for each in summary.qualities for value in (*each.margins, *each.moves)]
    return min((value for value in every if 0 < value < np.inf), default=1e-9) / 2


def draw_guide(field: Axes, factor: float, style: str, name: str, page: Page) -> None:
    """A line on which margins are so many times the moves, across all that is drawn."""
    low, high = field.get_xlim()
    bottom, top = field.get_ylim()
    field.plot(
        [low, high],
        [factor * low, factor * high],
        style,
        color=page.ink,
        linewidth=0.9,
        label=name,
        zorder=1,
    )
    field.set_xlim(low, high)
    field.set_ylim(min(bottom, low), top)
