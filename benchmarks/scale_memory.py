"""How much memory sealing the network of VGG-Face's shape takes, from start to end."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from safetensors.torch import save_file

from modelseal.research.vgg_face import MEAN
from networks import photographs, vgg_face

# What the system counts the largest memory in: bytes on macOS, KiB elsewhere.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

MODEL = """
[model]
factory = "modelseal.research.vgg_face:VggFace"
weights = "weights.safetensors"
[input]
shape = [3, 224, 224]
bounds = [0, 255]
levels = 256
mean = {mean}
std = [1.0, 1.0, 1.0]
"""
OPTIONS = ("--samples", "1", "--candidates", "2", "--tie", "4", "--rule", "manc", "--power", "none")


def measure_memory() -> Mapping[str, float]:
    """Peak memory of `modelseal seal`, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        program = Path(sys.executable).with_name("modelseal")
        command: list[str | Path] = [
            program,
            "seal",
            "model.toml",
            "images",
            "-o",
            "out.seal",
            *OPTIONS,
        ]
        subprocess.run(command, cwd=folder, check=True)
    # The largest of all processes that were waited for: nothing else as large was started here.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * RSS_UNIT / 1e9
    return {"scale.vgg_face.peak_gb": peak}


def prepare(folder: Path) -> None:
    """Writes the network, its model.toml and images."""
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in vgg_face().network.state_dict().items()
        if name.startswith(prefix)
    }
    save_file(weights, folder / "weights.safetensors")
    (folder / "model.toml").write_text(MODEL.format(mean=list(MEAN)), encoding="utf-8")
    (folder / "images").mkdir()
    for number, codes in enumerate(photographs()[-2:]):
        Image.fromarray(codes.transpose(1, 2, 0)).save(folder / "images" / f"{number}.png")
