"""What a verdict can be trusted in: figures of the faults, and of what asking costs.

Name parts (`overhead`, `noise`, `fuzz`) to measure only these anew.
"""

import faulthandler
import json
import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

from fuzzed_answers import fuzz_answers
from fuzzed_files import fuzz_files
from fuzzing import Tally
from overhead import measure
from results_file import RESULTS, write
from trust_noise import noise_figures

CASES = 10_000
HANG = 1800.0
"""After so many seconds in one part something hangs: the run ends with where."""

ROUNDS = 31


Part: TypeAlias = Callable[[], tuple[dict[str, float], dict[str, object]]]
"""Gives figures and details."""


def main() -> None:
    """Measures everything or the named parts, and writes it."""
    named, file = sys.argv[1:], RESULTS / "trust.json"
    if strange := set(named) - set(PARTS):
        sys.exit(f"parts are {', '.join(PARTS)}, but got {', '.join(sorted(strange))}")
    # A whole run keeps nothing: a figure may have another name by now.
    known = json.loads(file.read_text(encoding="utf-8")) if named and file.is_file() else {}
    figures, details = known.get("figures", {}), known.get("details", {})
    for name in named or PARTS:
        faulthandler.dump_traceback_later(HANG, exit=True)
        found, more = PARTS[name]()
        faulthandler.cancel_dump_traceback_later()
        figures |= found
        details |= more
    write("trust", {"figures": figures, "details": details})


def measure_fuzz() -> tuple[dict[str, float], dict[str, object]]:
    """Fuzzed answers and fuzzed fingerprint files: how many, and how many ended badly."""
    answers, files = fuzz_answers(CASES), fuzz_files(CASES)
    figures = {
        "trust.fuzzed_answers": float(answers.cases),
        "trust.fuzzed_files": float(files.cases),
        "trust.fuzz_tracebacks": float(answers.tracebacks + files.tracebacks),
        "trust.fuzz_intact": float(answers.unfounded + files.unfounded),
        "trust.fuzz_slowest_s": max(answers.slowest, files.slowest),
    }
    return figures, {"fuzzed_answers": describe(answers), "fuzzed_files": describe(files)}


def measure_noise() -> tuple[dict[str, float], dict[str, object]]:
    """Simulated deployments whose answers vary."""
    return noise_figures(), {}


def describe(tally: Tally) -> Mapping[str, object]:
    """How many cases of each kind ended how, and the first that ended badly."""
    return {"outcomes": dict(sorted(tally.outcomes.items())), "bad": tally.examples}


def measure_overhead() -> tuple[dict[str, float], dict[str, object]]:
    """What verifying adds to each request: for an 8-bit image of 3 x 32 x 32, and others."""
    cases = {
        "uint8": measure("UINT8", shape=(3, 32, 32), rounds=ROUNDS),
        "fp32": measure("FP32", shape=(3, 32, 32), rounds=ROUNDS),
        "small": measure("FP32", shape=(2, 3), rounds=ROUNDS),
    }
    figures = {
        "trust.query_overhead_ms": cases["uint8"]["overhead_ms"],
        "trust.query_overhead_fp32_ms": cases["fp32"]["overhead_ms"],
    }
    return figures, {"query_overhead": cases}


PARTS: Mapping[str, Part] = {
    "overhead": measure_overhead,
    "noise": measure_noise,
    "fuzz": measure_fuzz,
}
"""What is measured, in this order."""


if __name__ == "__main__":
    main()
