"""Draws curves: missing rate against number of samples, detection against size of a change."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from modelseal.evaluation.curves import BIT, POWER, GradedCurve
from modelseal.evaluation.intervals import Share
from modelseal.evaluation.summary import Summary
from modelseal.reports import wording
from modelseal.reports.look import Page, Stroke, choose_stroke

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
        FuncFormatter(lambda value, _: "0" if value < 1.5 * floor else wording.small_percent(value))
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
    field.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.percent(value)))


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
    text = wording.level(level)
    return f"$2^{{{text[2:]}}}$" if text.startswith("2^") else text


def add_legend(canvas: Canvas, fields: Sequence[Axes], summary: Summary) -> None:
    """One legend for all fields, below them, with every method that was drawn."""
    for method in summary.methods:
        stroke = choose_stroke(method, summary.methods)
        fields[0].plot(
            [], [], color=stroke.colour, linestyle=stroke.dashes, marker=stroke.marker, label=method
        )
    canvas.legend(loc="outside lower center", ncols=min(len(summary.methods), 6), fontsize=9)
