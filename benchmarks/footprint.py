"""What the verifying side alone costs: its size when installed, and its time to start."""

import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from results_file import write

ROOT = Path(__file__).resolve().parents[1]
RUNS = 9


def main() -> None:
    """Installs modelseal without extras into an empty environment and measures it there."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "environment"
        venv.create(home, with_pip=True)
        before = size(home)
        install = (home / "bin/python", "-m", "pip", "install", "--quiet", "--constraint")
        subprocess.run([*install, ROOT / "constraints.txt", ROOT], check=True)
        figures = {
            "verify.installed_mb": (size(home) - before) / 1e6,
            "verify.start_s": start_time(home / "bin/modelseal"),
            "verify.torch_installed": float(any(home.rglob("torch"))),
        }
    write("footprint", {"figures": figures, "details": {"python": sys.version.split()[0]}})


def size(folder: Path) -> int:
    """The bytes of all files below a folder, each file once."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def start_time(program: Path) -> float:
    """The median seconds of `modelseal verify --help`, after a run that compiles the modules."""
    seconds = []
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        subprocess.run([program, "verify", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
