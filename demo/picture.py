"""Draws what the samples are and who answered what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from program import Row

import modelseal as ms

Codes: TypeAlias = NDArray[np.uint8]
Array: TypeAlias = NDArray[Any]

SHOWN = 6
"""How many samples are drawn."""

GREY = 128
"""The grey of no difference."""

OTHERWISE = "#b3261e"
"""The colour of answers that are not the expected one."""


def draw(fingerprint: ms.Fingerprint, naturals: Codes, rows: Sequence[Row], file: Path) -> None:
    """Writes a picture: natural images, samples, differences, and the answers to each.

    Args:
        fingerprint: Its samples are grey images.
        naturals: The images that the samples were made of, by their numbers.
        rows: What the verified networks answered; the first is the sealed one.
        file: The PNG file.
    """
    count = min(SHOWN, len(fingerprint))
    samples = fingerprint.samples[:count]
    starts = naturals[fingerprint.sources[:count]]
    factor = amplification(samples, starts)
    strips = {
        "natural image": starts,
        "sample": samples,
        f"difference × {factor}": amplify(samples, starts, factor),
    }
    figure = Figure(figsize=(1.9 + 1.05 * count, 4.3 + 0.32 * len(rows)), layout="constrained")
    heights = [1.0] * len(strips) + [0.3 * (len(rows) + 1.5)]
    axes = figure.subplots(len(strips) + 1, count, squeeze=False, height_ratios=heights)
    for line, (title, images) in zip(axes, strips.items(), strict=False):
        draw_strip(line, images, title)
    for number, below in enumerate(axes[-1]):
        axes[-2][number].set_xlabel(f"PSNR {fingerprint.psnr[number]:.0f} dB")
        draw_answers(below, rows, number)
    axes[-1][0].set_yticks(range(-1, len(rows)), ["answer of", *(row.name for row in rows)])
    axes[-1][0].get_yticklabels()[0].set(color="#666666")
    figure.suptitle(
        "Samples of one fingerprint, and what each served model takes them for\n"
        "(red: another answer than the sealed model's)"
    )
    figure.savefig(file, dpi=110, metadata={"Software": None})


def amplification(samples: Codes, starts: Codes) -> int:
    """The largest whole factor at which no difference leaves the range of grey levels."""
    largest = int(np.abs(samples.astype(int) - starts).max())
    return max(1, (GREY - 1) // max(1, largest))


def amplify(samples: Codes, starts: Codes, factor: int) -> Array:
    """Differences on a middle grey, made larger."""
    grey: Array = GREY + (samples.astype(int) - starts) * factor
    return grey.clip(0, 255).astype(np.uint8)


def draw_strip(line: Sequence[Axes], images: Array, title: str) -> None:
    """One row of images with its title at the left."""
    for axes, image in zip(line, images, strict=True):
        axes.imshow(image[0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("#888888")
    line[0].set_ylabel(title, rotation=0, ha="right", va="center")


def draw_answers(axes: Axes, rows: Sequence[Row], number: int) -> None:
    """What each network answered to one sample, one below the other."""
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -1.4), xticks=[], yticks=[])
    axes.spines[:].set_visible(b=False)
    axes.tick_params(length=0)
    for place, row in enumerate(rows):
        noticed = number in row.noticed
        style = {"color": OTHERWISE, "weight": "bold"} if noticed else {"color": "#222222"}
        text = row.shown.get(number) or "no answer"
        axes.text(0.5, place, text, ha="center", va="center_baseline", fontdict=style)
