"""Runs every benchmark, each in a process of its own, and gathers all figures in one file."""

import json
import os
import subprocess
import sys
from pathlib import Path

from results_file import RESULTS, write

HERE = Path(__file__).resolve().parent
BENCHMARKS = (
    "house",
    "selection",
    "footprint",
    "speed",
    "seal",
    "scale",
    "evaluate",
    "trust",
    "trust_spotting",
)
GATHER = "figures"


def main() -> None:
    """Runs the named benchmarks, or all of them, and writes `figures.json` anew.

    The name `figures` runs none.
    """
    paths = os.pathsep.join([str(HERE), str(HERE.parent / "demo")])
    for name in sys.argv[1:] or BENCHMARKS:
        if name == GATHER:
            continue
        print(f"{name} ...", flush=True)
        environment = {**os.environ, "PYTHONPATH": paths}
        subprocess.run([sys.executable, HERE / f"{name}.py"], check=True, env=environment)
    figures: dict[str, float] = {}
    for name in BENCHMARKS:
        result = RESULTS / f"{name}.json"
        if result.is_file():
            figures |= json.loads(result.read_text(encoding="utf-8"))["figures"]
    write("figures", dict(sorted(figures.items())))


if __name__ == "__main__":
    main()
