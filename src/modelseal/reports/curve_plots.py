"""Draws curves: missing rate against number of samples, detection against size of a change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from modelseal import display
from modelseal.display import BIT, NOTHING
from modelseal.evaluation.curves import POWER, GradedCurve
from modelseal.evaluation.metrics import OURS, Summary
from modelseal.intervals import Share
from modelseal.reports.style import COLOURS, MARKERS, Page, Stroke, choose_stroke
from modelseal.sealing.recipe import FACTOR
from modelseal.types import PerInput

BITS = {19.0: "mantissa", 26.0: "exponent", 31.0: "sign"}
"""The parts of a float32, each by a bit above which its name has room."""

EXPONENT = (22.5, 30.5)
"""Where the exponent begins and ends."""

Lines: TypeAlias = dict[str, dict[float, float]]
"""By method, a share for each level."""


def draw_missing(canvas: Canvas, summary: Summary, page: Page) -> None:
    """Missing rate against number of samples, a field for each rule of choosing."""
    rules = [rule for rule in summary.rules if any(each.rule == rule for each in summary.curves)]
    canvas.set_size_inches(2.2 + 3.2 * len(rules), 4.4)
    fields = list(canvas.subplots(1, len(rules), sharey=True, squeeze=False)[0])
    sizes = [point.whole for each in summary.curves for point in each.points]
    floor = 0.3 / max(sizes)
    for field, rule in zip(fields, rules, strict=True):
        for curve in (each for each in summary.curves if each.rule == rule):
            stroke = choose_stroke(curve.method, summary.methods)
            draw_band(field, curve.points, stroke, floor)
        field.set_title(f"chosen by {rule}" if rule != "random" else "chosen at random")
        field.set_xlabel("samples in a set")
        field.xaxis.set_major_locator(MaxNLocator(integer=True))
    fields[0].set_ylabel("sets that miss")
    scale_shares(fields[0], floor)
    add_legend(canvas, fields, summary)


def draw_band(field: Axes, points: Sequence[Share], stroke: Stroke, floor: float) -> None:
    """One curve with its intervals, on a logarithmic axis whose lowest line stands for 0."""
    numbers = [float(number) for number in range(1, len(points) + 1)]
    values, low, high = (
        [max(getattr(point, end), floor) for point in points] for end in ("value", "low", "high")
    )
    field.fill_between(numbers, low, high, color=stroke.colour, alpha=0.13, linewidth=0)
    draw_line(field, numbers, values, stroke)


def draw_line(field: Axes, x: Sequence[float], y: Sequence[float], stroke: Stroke) -> None:
    """One line with its marks, which stay whole where they lie on the edge."""
    field.plot(
        x,
        y,
        color=stroke.colour,
        linestyle=stroke.dashes,
        linewidth=1.5,
        marker=stroke.marker,
        markersize=4.5,
        clip_on=False,
        zorder=3,
    )


def scale_shares(field: Axes, floor: float) -> None:
    """A logarithmic axis of shares from 0, which is drawn at a floor, to 100 %."""
    field.set_yscale("log")
    field.set_ylim(floor, 1)
    steps = (1.0,) if floor < 0.005 else (1.0, 0.5, 0.2)  # few decades would look linear
    marks = [step * 10.0**-power for power in range(9) for step in steps]
    field.yaxis.set_major_locator(
        FixedLocator([floor, *(each for each in marks if each > 2 * floor)])
    )
    field.yaxis.set_minor_locator(NullLocator())
    field.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "0" if value < 1.5 * floor else display.small_percent(value))
    )


def draw_sensitivity(canvas: Canvas, summary: Summary, page: Page) -> None:
    """Detection against level: for each family a field of single samples beside one of sets."""
    rule = next(rule for rule in summary.rules if any(c.rule == rule for c in summary.graded))
    curves = [each for each in summary.graded if each.rule == rule]
    families = list(dict.fromkeys(each.family for each in curves))
    canvas.set_size_inches(10, 1.0 + 2.6 * len(families))
    fields = canvas.subplots(len(families), 2, sharey=True, squeeze=False)
    for (single, sets), family in zip(fields, families, strict=True):
        draw_levels(single, collect_single(summary, family), summary)
        draw_levels(sets, collect_sets(curves, family), summary)
        single.set_title(f"{family}: single samples")
        sets.set_title(f"{family}: sets of {summary.samples}, {rule}")
        single.set_ylabel("that notice")
        for field in (single, sets):
            (mark_bits if family == BIT else mark_sizes)(field, page)
        sets.axhline(POWER, color=page.ink, linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)
    add_legend(canvas, list(fields[0]), summary)


def collect_single(summary: Summary, family: str) -> Lines:
    """How often single samples notice each level, by method."""
    lines: Lines = {}
    for each in summary.detections:
        if each.change == family and each.level is not None:
            lines.setdefault(each.method, {})[each.level] = each.share.value
    return lines


def collect_sets(curves: Iterable[GradedCurve], family: str) -> Lines:
    """How often sets notice each level, by method."""
    return {
        each.method: {point.level: point.sets.value for point in each.points}
        for each in curves
        if each.family == family
    }


def draw_levels(field: Axes, lines: Lines, summary: Summary) -> None:
    """The lines of one family."""
    for method, points in lines.items():
        levels = sorted(points)
        stroke = choose_stroke(method, summary.methods)
        draw_line(field, levels, [points[level] for level in levels], stroke)
    field.set_ylim(0, 1.02)
    field.yaxis.set_major_formatter(FuncFormatter(lambda value, _: display.percent(value)))


def mark_bits(field: Axes, page: Page) -> None:
    """An axis of the numbers of bits, with the parts of a float32."""
    field.set_xlabel("number of the flipped bit")
    field.xaxis.set_major_locator(FixedLocator([0, 8, 16, 23, 31]))
    field.axvspan(*EXPONENT, color=page.faint, alpha=0.35, linewidth=0, zorder=0)
    for place, name in BITS.items():
        field.text(place, 1.05, name, ha="center", fontsize=8)


def mark_sizes(field: Axes, page: Page) -> None:
    """An axis of sizes in powers of two; one with a 0 on it stays even."""
    field.set_xlabel("size of the change")
    if field.dataLim.x0 <= 0:
        return
    field.set_xscale("log", base=2)
    field.xaxis.set_minor_locator(NullLocator())
    field.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tell_power(value)))


def tell_power(level: float) -> str:
    """A level as mathematics."""
    text = display.level(level)
    return f"$2^{{{text[2:]}}}$" if text.startswith("2^") else text


def add_legend(canvas: Canvas, fields: Sequence[Axes], summary: Summary) -> None:
    """One legend for all fields, below them, with every method that was drawn."""
    for method in summary.methods:
        stroke = choose_stroke(method, summary.methods)
        fields[0].plot(
            [], [], color=stroke.colour, linestyle=stroke.dashes, marker=stroke.marker, label=method
        )
    canvas.legend(loc="outside lower center", ncols=min(len(summary.methods), 6), fontsize=9)


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
        axis.set_major_formatter(FuncFormatter(lambda value, _: display.percent(value)))


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
    text = display.percent(value).removesuffix(" %")
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
