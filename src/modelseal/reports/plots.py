"""Draws every figure of a report; how they look stands in `style`."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from modelseal import tabular
from modelseal.evaluation.curves import POWER, GradedCurve
from modelseal.evaluation.metrics import OURS, Summary
from modelseal.evaluation.results import SHOWN, Exhibit
from modelseal.reports.style import (
    COLOURS,
    DARK,
    DOTS,
    LIGHT,
    MARKERS,
    Page,
    choose_stroke,
    settings_for,
)
from modelseal.sealing.recipe import FACTOR
from modelseal.tabular import BIT, NOTHING
from modelseal.types import Array, PerInput

AMPLIFIED = 16
"""How many times a difference is drawn; the middle grey is none."""

THUMB = 0.85
"""Inches that an image is wide and high."""

_EXPONENT = (22.5, 30.5)

_BITS = {19.0: "mantissa", 26.0: "exponent", 31.0: "sign"}
"""The parts of a float32, each by a bit above which its name has room."""

_DARK_SIDE = 0.55
"""Up to this value cells are dark, so that their numbers are white."""

_Points: TypeAlias = Sequence[tuple[float, float]]
"""A share of queries and the power that is left, in rising order of the share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One drawn figure: as dots and as SVG on white, and as SVG on a dark page."""

    name: str
    title: str
    note: str
    png: bytes = field(repr=False)
    light: bytes = field(repr=False)
    dark: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sketch:
    """A kind of figure, how to read it, and whether a summary has anything for it."""

    title: str
    note: str
    is_wanted: Callable[[Summary], bool]
    draw: Callable[[Canvas, Summary, Page], None]


def draw_figures(summary: Summary, *, prefix: str) -> tuple[Figure, ...]:
    """Every figure that a summary has something for; names of files begin with the prefix."""
    return tuple(
        _draw_figure(f"{prefix}-{name}", sketch, summary)
        for name, sketch in SKETCHES.items()
        if sketch.is_wanted(summary)
    )


def draw_sheets(
    exhibits: Mapping[str, Sequence[Exhibit]], summary: Summary, *, prefix: str
) -> tuple[Figure, ...]:
    """A sheet of samples by method, whoever sees which can recognise them; nothing without any."""
    if not exhibits:
        return ()
    sketch = _Sketch(
        title="Samples",
        note="Throw-away samples of this evaluation, none of a fingerprint in use. A difference "
        "is drawn many times as large; where a natural image is not known it is left out.",
        is_wanted=lambda _: True,
        draw=partial(draw_sheet, exhibits),
    )
    return (_draw_figure(f"{prefix}-samples", sketch, summary),)


def _draw_figure(name: str, sketch: _Sketch, summary: Summary) -> Figure:
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


def render(draw: Callable[[Canvas, Page], None], page: Page, kind: str) -> bytes:
    """One drawing as the bytes of a file; the same drawing is always the same bytes."""
    stream = io.BytesIO()
    # A date or a salt by chance would make every report another one.
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context():
        # The user's own settings play no part.
        mpl.rcdefaults()
        mpl.rcParams.update(settings_for(page))
        canvas = Canvas(layout="constrained")
        FigureCanvasAgg(canvas)
        draw(canvas, page)
        canvas.savefig(stream, format=kind, dpi=DOTS, metadata=metadata)
    return stream.getvalue()


def _draw_heat_map(canvas: Canvas, summary: Summary, page: Page) -> None:
    found = {(d.change, d.method): d.share.value for d in summary.detections if d.level is None}
    changes = list(dict.fromkeys(change for change, _ in found))
    failed = [e.change for e in summary.not_applied if e.level is None and e.change not in changes]
    changes += failed
    cells = [[found.get((row, column), np.nan) for column in summary.methods] for row in changes]
    canvas.set_size_inches(3.2 + 0.85 * len(summary.methods), 1.7 + 0.32 * len(changes))
    axes = canvas.subplots()
    axes.imshow(cells, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xticks(range(len(summary.methods)), summary.methods, rotation=35, ha="left")
    axes.set_yticks(range(len(changes)), changes)
    for row, change in enumerate(changes):
        for column, value in enumerate(cells[row]):
            _write_cell(axes, (column, row), value, "not applied" if change in failed else NOTHING)


def _write_cell(axes: Axes, place: tuple[int, int], value: float, nothing: str) -> None:
    if np.isnan(value):
        axes.text(*place, nothing, ha="center", va="center", fontsize=7)
        return
    shade = "white" if value < _DARK_SIDE else "black"
    text = tabular.percent(value).removesuffix(" %")
    axes.text(*place, text, ha="center", va="center", fontsize=9, color=shade)


def _draw_missing(canvas: Canvas, summary: Summary, page: Page) -> None:
    """Missing rate against number of samples, axes for each rule of choosing."""
    rules = [rule for rule in summary.rules if any(each.rule == rule for each in summary.curves)]
    canvas.set_size_inches(2.2 + 3.2 * len(rules), 4.4)
    fields = list(canvas.subplots(1, len(rules), sharey=True, squeeze=False)[0])
    # The lowest line of a logarithmic axis stands for 0.
    floor = 0.3 / max(point.whole for each in summary.curves for point in each.points)
    for axes, rule in zip(fields, rules, strict=True):
        for curve in (each for each in summary.curves if each.rule == rule):
            numbers = [float(number) for number in range(1, len(curve.points) + 1)]
            values, low, high = (
                [max(getattr(point, end), floor) for point in curve.points]
                for end in ("value", "low", "high")
            )
            colour = choose_stroke(curve.method, summary.methods).colour
            axes.fill_between(numbers, low, high, color=colour, alpha=0.13, linewidth=0)
            _draw_line(axes, curve.method, numbers, values, summary)
        axes.set_title(f"chosen by {rule}" if rule != "random" else "chosen at random")
        axes.set_xlabel("samples in a set")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    fields[0].set_ylabel("sets that miss")
    _scale_shares(fields[0], floor)
    _add_legend(canvas, fields, summary)


def _draw_line(
    axes: Axes, method: str, x: Sequence[float], y: Sequence[float], summary: Summary
) -> None:
    stroke = choose_stroke(method, summary.methods)
    axes.plot(
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


def _scale_shares(axes: Axes, floor: float) -> None:
    """A logarithmic axis of shares from 0, which is drawn at a floor, to 100 %."""
    axes.set_yscale("log")
    axes.set_ylim(floor, 1)
    steps = (1.0,) if floor < 0.005 else (1.0, 0.5, 0.2)  # few decades would look linear
    marks = [step * 10.0**-power for power in range(9) for step in steps]
    axes.yaxis.set_major_locator(
        FixedLocator([floor, *(each for each in marks if each > 2 * floor)])
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "0" if value < 1.5 * floor else tabular.small_percent(value))
    )


def _add_legend(canvas: Canvas, fields: Sequence[Axes], summary: Summary) -> None:
    """One legend for all axes, below them, with every method that was drawn."""
    for method in summary.methods:
        stroke = choose_stroke(method, summary.methods)
        fields[0].plot(
            [], [], color=stroke.colour, linestyle=stroke.dashes, marker=stroke.marker, label=method
        )
    canvas.legend(loc="outside lower center", ncols=min(len(summary.methods), 6), fontsize=9)


def _draw_sensitivity(canvas: Canvas, summary: Summary, page: Page) -> None:
    rule = next(rule for rule in summary.rules if any(c.rule == rule for c in summary.graded))
    curves = [each for each in summary.graded if each.rule == rule]
    families = list(dict.fromkeys(each.family for each in curves))
    canvas.set_size_inches(10, 1.0 + 2.6 * len(families))
    fields = canvas.subplots(len(families), 2, sharey=True, squeeze=False)
    for (single, sets), family in zip(fields, families, strict=True):
        _draw_levels(single, _collect_single(summary, family), summary)
        _draw_levels(sets, _collect_sets(curves, family), summary)
        single.set_title(f"{family}: single samples")
        sets.set_title(f"{family}: sets of {summary.samples}, {rule}")
        single.set_ylabel("that detect the change")
        for axes in (single, sets):
            (_mark_bits if family == BIT else _mark_sizes)(axes, page)
        _mark_power(sets, page)
    _add_legend(canvas, list(fields[0]), summary)


def _collect_single(summary: Summary, family: str) -> dict[str, dict[float, float]]:
    lines: dict[str, dict[float, float]] = {}
    for each in summary.detections:
        if each.change == family and each.level is not None:
            lines.setdefault(each.method, {})[each.level] = each.share.value
    return lines


def _collect_sets(curves: Iterable[GradedCurve], family: str) -> dict[str, dict[float, float]]:
    return {
        each.method: {point.level: point.sets.value for point in each.points}
        for each in curves
        if each.family == family
    }


def _draw_levels(axes: Axes, lines: Mapping[str, Mapping[float, float]], summary: Summary) -> None:
    for method, points in lines.items():
        levels = sorted(points)
        _draw_line(axes, method, levels, [points[level] for level in levels], summary)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tabular.percent(value)))


def _mark_bits(axes: Axes, page: Page) -> None:
    """An axis of the numbers of bits, with the parts of a float32."""
    axes.set_xlabel("number of the flipped bit")
    axes.xaxis.set_major_locator(FixedLocator([0, 8, 16, 23, 31]))
    axes.axvspan(*_EXPONENT, color=page.faint, alpha=0.35, linewidth=0, zorder=0)
    for place, name in _BITS.items():
        axes.text(place, 1.05, name, ha="center", fontsize=8)


def _mark_sizes(axes: Axes, page: Page) -> None:
    """An axis of sizes in powers of two; one with a 0 on it stays even."""
    axes.set_xlabel("size of the change")
    if axes.dataLim.x0 > 0:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _format_power(value)))


def _format_power(level: float) -> str:
    text = tabular.level(level)
    return f"$2^{{{text[2:]}}}$" if text.startswith("2^") else text


def _mark_power(axes: Axes, page: Page) -> None:
    axes.axhline(POWER, color=page.ink, linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)


def _draw_margins(canvas: Canvas, summary: Summary, page: Page) -> None:
    canvas.set_size_inches(8, 5.2)
    axes = canvas.subplots()
    every = [value for each in summary.qualities for value in (*each.margins, *each.moves)]
    # What is drawn in place of 0, which has no place on a logarithmic axis.
    smallest = min((value for value in every if 0 < value < np.inf), default=1e-9) / 2
    for each in summary.qualities:
        stroke = choose_stroke(each.method, summary.methods)
        axes.scatter(
            _lift(each.moves, smallest),
            _lift(each.margins, smallest),
            s=16,
            marker=stroke.marker,
            edgecolors=stroke.colour,
            facecolors="none" if stroke.dashes == "--" else stroke.colour,
            linewidths=0.7,
            alpha=0.8,
            label=each.method,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    _draw_guide(axes, 1.0, "-", "margin = move", page)
    _draw_guide(axes, FACTOR, "--", f"{FACTOR:g} times the move", page)
    axes.set_xlabel("largest harmless move, in the unit of the margin")
    axes.set_ylabel("margin")
    canvas.legend(loc="outside right upper", fontsize=9)


def _lift(values: Sequence[float], smallest: float) -> PerInput:
    """Values for a logarithmic axis: 0 on its edge, and infinite ones not drawn."""
    return np.where(np.isinf(values), np.nan, np.maximum(values, smallest))


def _draw_guide(axes: Axes, factor: float, style: str, name: str, page: Page) -> None:
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    ends = [factor * low, factor * high]
    axes.plot([low, high], ends, style, color=page.ink, linewidth=0.9, label=name, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(min(bottom, low), top)


def _draw_ours(canvas: Canvas, summary: Summary, page: Page) -> None:
    own = {each.samples: each.powers for each in summary.sharings if each.method == OURS}
    draw_shares(canvas, page, exact=own)


def draw_shares(
    canvas: Canvas,
    page: Page,
    *,
    exact: Mapping[int, _Points],
    simulated: Mapping[int, _Points] | None = None,
) -> None:
    """The power against the share of queries answered from a clean copy, by number of samples."""
    canvas.set_size_inches(7.2, 4.4)
    axes = canvas.subplots()
    for order, (count, line) in enumerate(sorted(exact.items())):
        colour, marker = COLOURS[order % len(COLOURS)], MARKERS[order % len(MARKERS)]
        marks = (simulated or {}).get(count, ())
        axes.plot([x for x, _ in line], [y for _, y in line], color=colour, linewidth=1.6)
        axes.plot(
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
        axes.plot([], [], color=colour, marker=marker if marks else None, label=label)
    _mark_power(axes, page)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("share of queries answered from a clean copy")
    axes.set_ylabel("verifications that detect the change")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: tabular.percent(value)))
    canvas.legend(loc="outside lower center", ncols=len(exact), fontsize=9)


def draw_sheet(
    exhibits: Mapping[str, Sequence[Exhibit]], canvas: Canvas, summary: Summary, page: Page
) -> None:
    """A line of samples for each method, each sample as three images."""
    methods = [method for method in summary.methods if method in exhibits]
    canvas.set_size_inches(1.4 + 3 * SHOWN * THUMB, 0.6 + 1.05 * THUMB * len(methods))
    fields = canvas.subplots(len(methods), 3 * SHOWN, squeeze=False)
    for line, method in zip(fields, methods, strict=True):
        images: list[Array | None] = []
        for each in exhibits[method]:
            difference = None if each.natural is None else amplify(each.sample, each.natural)
            images += [each.natural, each.sample, difference]
        images += [None] * (len(line) - len(images))
        for axes, image in zip(line, images, strict=True):
            _hide_frame(axes)
            if image is not None:
                axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        line[0].set_ylabel(method, rotation=0, ha="right", va="center")
    titles = ("natural", "sample", f"difference × {AMPLIFIED}") * SHOWN
    for axes, title in zip(fields[0], titles, strict=True):
        axes.set_title(title, fontsize=7, loc="center")


def _hide_frame(axes: Axes) -> None:
    """Square axes of which nothing is seen but the image on them."""
    axes.set_box_aspect(1)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def amplify(sample: Array, natural: Array) -> Array:
    """What differs, many times as large, around the middle grey."""
    difference = sample.astype(np.int64) - natural.astype(np.int64)
    return np.clip(128 + AMPLIFIED * difference, 0, 255).astype(np.uint8)


SKETCHES: Mapping[str, _Sketch] = {
    "heat-map": _Sketch(
        title="Method against tampering",
        note="How often a single sample answers otherwise, in per cent.",
        is_wanted=lambda summary: any(each.level is None for each in summary.detections),
        draw=_draw_heat_map,
    ),
    "missing": _Sketch(
        title="Missing rate",
        note="Sets of so many samples of which none answers otherwise, over all changes without "
        "levels. Bands are 95 % Wilson intervals; the lowest line stands for none missed.",
        is_wanted=lambda summary: bool(summary.curves),
        draw=_draw_missing,
    ),
    "sensitivity": _Sketch(
        title="Sensitivity",
        note="How often changes of each size are detected. Right of where a line of sets stays "
        "above the dashed one, a change is detected with 95 % power.",
        is_wanted=lambda summary: bool(summary.graded),
        draw=_draw_sensitivity,
    ),
    "margins": _Sketch(
        title="Margin against noise",
        note="Every mark is a sample: how far it is from another shown answer, and how far "
        "harmless variants moved it at the most. Below the solid line they would raise an alarm.",
        is_wanted=lambda summary: any(each.margins for each in summary.qualities),
        draw=_draw_margins,
    ),
    "sharing": _Sketch(
        title="A provider that answers some queries from a clean copy",
        note="How often sets of our samples, drawn at random, notice a change, over all changes "
        "without levels. The dashed line is 95 %.",
        is_wanted=lambda summary: any(each.method == OURS for each in summary.sharings),
        draw=_draw_ours,
    ),
}
"""Every kind of figure, by the name of its files."""
