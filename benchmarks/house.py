"""Measures the code itself: its size, the names of its modules, its tests and its import."""

import argparse
import ast
import statistics
import subprocess
import sys
import time
from pathlib import Path

from results_file import write

ROOT = Path(__file__).resolve().parents[1]
FIELD_NOUNS = {"encoding", "fine_tuning", "poisoning", "training"}
"""Names in -ing that are the field's own nouns."""
IMPORTS = 11


def main() -> None:
    """Measures everything; `--test-seconds N` says what `time make test` told already."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--test-seconds", type=float)
    seconds = options.parse_args().test_seconds
    sources = sorted((ROOT / "src").rglob("*.py"))
    names = [path.stem for path in sources if path.stem != "__init__"]
    figures: dict[str, float] = {
        "house.src_lines": count_lines(sources),
        "house.modules": len(sources),
        "house.gerund_modules": sum(
            name.endswith("ing") and name not in FIELD_NOUNS for name in names
        ),
        "house.test_lines": count_lines(sorted((ROOT / "tests").rglob("*.py"))),
        "house.import_ms": 1000 * import_seconds(),
        "house.median_body": statistics.median(
            length for path in sources for length in body_lengths(path)
        ),
    }
    if seconds is None:
        started = time.monotonic()
        subprocess.run(["make", "test"], cwd=ROOT, check=True)
        seconds = time.monotonic() - started
    figures["house.test_seconds"] = seconds
    write("house", {"figures": figures})


def count_lines(paths: list[Path]) -> int:
    """How many lines some files have together."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def body_lengths(path: Path) -> list[int]:
    """How many lines each function of a file has below its signature and docstring."""
    lengths = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1)
    return lengths


def import_seconds() -> float:
    """The median time that `import modelseal` takes in a fresh process, beyond Python's start."""
    code = "import time; t = time.perf_counter(); import modelseal; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(IMPORTS)
    ]
    return statistics.median(float(run.stdout) for run in runs)


if __name__ == "__main__":
    main()
