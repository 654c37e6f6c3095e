"""Draws sheets of samples: natural image, sample, and what differs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from modelseal.evaluation.exhibits import SHOWN, Exhibit
from modelseal.evaluation.summary import Summary
from modelseal.reports.look import Page
from modelseal.shapes import Array

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
    for number, field in enumerate(fields[0]):
        field.set_title(PARTS[number % 3], fontsize=7, loc="center")


def draw_exhibit(fields: Sequence[Axes], exhibit: Exhibit | None) -> None:
    """One sample as three images, of which some may be unknown."""
    images: list[Array | None] = [None, None, None]
    if exhibit is not None:
        difference = None if exhibit.natural is None else amplify(exhibit.sample, exhibit.natural)
        images = [exhibit.natural, exhibit.sample, difference]
    for field, image in zip(fields, images, strict=True):
        field.set_box_aspect(1)
        field.grid(visible=False)
        field.set_xticks([])
        field.set_yticks([])
        field.spines[:].set_visible(False)
        if image is not None:
            field.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def amplify(sample: Array, natural: Array) -> Array:
    """What differs, many times as large, around the middle grey."""
    difference = sample.astype(np.int64) - natural.astype(np.int64)
    return np.clip(128 + AMPLIFIED * difference, 0, 255).astype(np.uint8)
