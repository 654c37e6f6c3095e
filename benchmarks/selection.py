"""Seconds and memory of the maximum active-neuron cover; writes results/selection.json.

Run `python benchmarks/selection.py`. The memory is that of the whole process, so torch stays out.
"""

import resource
import sys
import time

import numpy as np

from modelseal.selection.cover import Picks, cover
from results_file import write

CANDIDATES = 10_000
NEURONS = 10_000
PICKS = 100
DENSITIES = (0.01, 0.1, 0.5)
REPEATS = 3

# ru_maxrss counts bytes on macOS and kibibytes elsewhere.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Measures every density and writes the worst of them as the figures."""
    details = [measure(density) for density in DENSITIES]
    figures = {
        "select.seconds": max(entry["seconds"] for entry in details),
        "select.peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 1e9,
    }
    sizes = {"candidates": CANDIDATES, "neurons": NEURONS, "picks": PICKS}
    write("selection", {"figures": figures, "details": {**sizes, "densities": details}})


def measure(density: float) -> dict[str, float]:
    """The median time of a cover of random neurons that fire with this probability."""
    active = random_bits(density)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        picks = cover(active, PICKS)
        seconds.append(time.perf_counter() - start)
    return {"density": density, "seconds": float(np.median(seconds)), **describe(picks)}


def random_bits(density: float) -> np.ndarray:
    """Packed rows of neurons, made a few at a time so that they do not count as memory."""
    generator = np.random.default_rng(0)
    bits = np.empty((CANDIDATES, -(-NEURONS // 8)), dtype=np.uint8)
    for row in bits:
        row[:] = np.packbits(generator.random(NEURONS) < density)
    return bits


def describe(picks: Picks) -> dict[str, float]:
    """What the cover reached."""
    return {"covered": picks.covered, "rounds": picks.rounds[-1] + 1}


if __name__ == "__main__":
    main()
