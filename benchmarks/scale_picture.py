"""Draws how the cost of a sample grows, from results/scale.json."""

import json
import re
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelseal.reports.style import COLOURS, LIGHT
from results_file import RESULTS

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "scale.png"
AXES = {
    "size": "height and width of images in pixels",
    "classes": "number of classes",
    "depth": "layers of a transformer",
    "samples": "samples made together (ResNet-20, ties of ten)",
}
KINDS = {"forward_equivalents": "forward passes", "seconds": "seconds"}
NAME = re.compile(r"scale\.growth\.(\w+)\.(\d+)\.(\w+)")


def main() -> None:
    """Draws the figure anew."""
    content = json.loads((RESULTS / "scale.json").read_text(encoding="utf-8"))
    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for key, value in content["figures"].items():
        if found := NAME.fullmatch(key):
            curves.setdefault((found[1], found[3]), []).append((int(found[2]), value))
    figure = Figure(figsize=(9.6, 5.6), dpi=110, facecolor=LIGHT.paper, layout="constrained")
    for place, (axis, label) in zip(figure.subplots(2, 2).flat, AXES.items(), strict=True):
        for number, kind in enumerate(KINDS):
            draw(place if not number else place.twinx(), sorted(curves[axis, kind]), number, kind)
        place.set_xlabel(label)
        place.set_xscale("linear" if axis == "size" else "log", **base(axis))
    figure.savefig(PICTURE)


def base(axis: str) -> dict[str, int]:
    """The base of an axis that is logarithmic."""
    return {} if axis == "size" else {"base": 10 if axis == "classes" else 2}


def draw(place: Axes, points: list[tuple[int, float]], number: int, kind: str) -> None:
    """One curve, with an axis in its colour."""
    colour = COLOURS[number]
    values, costs = zip(*points, strict=True)
    place.plot(
        values, costs, marker="os"[number], color=colour, linestyle="-" if not number else "--"
    )
    place.set_ylabel(f"{KINDS[kind]} for a sample", color=colour)
    place.tick_params(axis="y", colors=colour)
    place.set_ylim(bottom=0)
    place.set_xticks([])
    place.set_xticks(values, [f"{each:,}" for each in values])
    place.minorticks_off()
    if not number:
        place.grid(color=LIGHT.faint, linewidth=0.5)


if __name__ == "__main__":
    main()
