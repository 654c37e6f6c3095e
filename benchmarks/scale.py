"""What sealing costs on networks of all sizes, and what the samples of large ones notice.

ResNet-20 on CIFAR-10, a network of VGG-Face's shape and a vision transformer at 224 x 224. Each
part is kept as soon as it is measured, so that a run that was stopped goes on where it was; name
parts to measure them anew.
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import torch

from cifar import data_folder
from results_file import RESULTS, write
from scale_cost import SUBJECTS, measure_cost, measure_share
from scale_detection import measure_rows
from scale_gpu import measure_gpu
from scale_growth import measure_growth
from scale_layouts import measure_layouts
from scale_memory import measure_memory

GPU = "gpu_"
Figures: TypeAlias = Mapping[str, float]
"""Measured numbers by their names."""

PARTS: Mapping[str, Callable[[], Figures]] = {
    "resnet20": lambda: measure_cost("resnet20"),
    "vit": lambda: measure_cost("vit"),
    "vgg_face": lambda: measure_cost("vgg_face"),
    "share": measure_share,
    "growth": measure_growth,
    "layouts": measure_layouts,
    "rows_vit": lambda: measure_rows("vit"),
    "rows_vgg_face": lambda: measure_rows("vgg_face"),
    "memory": measure_memory,
    **{f"{GPU}{name}": partial(measure_gpu, name) for name in SUBJECTS},
}
"""What is measured, in this order."""


def main() -> None:
    """Measures the named parts, or those that are missing."""
    if data_folder() is None:
        print("skipped: it needs the real data")
        return
    details = read_details()
    known, tools = details["parts"], details["tools"]
    here = [each for each in PARTS if torch.cuda.is_available() or not each.startswith(GPU)]
    for name in sys.argv[1:] or [each for each in here if each not in known]:
        print(f"scale: {name} ...", flush=True)
        torch.set_num_threads(2)
        known[name], tools[name] = PARTS[name](), describe()
        figures = {key: value for part in known.values() for key, value in part.items()}
        write("scale", {"figures": figures, "details": details})


def describe() -> Mapping[str, str]:
    """What a part was measured with."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"torch": torch.__version__, **gpu}


def read_details() -> dict[str, Any]:
    """The parts that were measured before, and what with."""
    file = RESULTS / "scale.json"
    if not file.is_file():
        return {"parts": {}, "tools": {}}
    details: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["details"]
    return details


if __name__ == "__main__":
    main()
