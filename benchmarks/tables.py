"""Writes the measured tables into the documents, from results/figures.json.

A table that is called NETWORK/TABLE is one of a report, from results/evaluation/NETWORK.json. A
table stands between `<!-- table: NAME -->` and `<!-- end: NAME -->`. Run
`python benchmarks/tables.py` to write them all anew, or with `--check` to learn whether they are
what the figures say.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from modelseal.reports.build import load, write_table
from scale_tables import layouts_table, machine_table, rows_table, scale_table
from table_text import (
    Figures,
    Show,
    figure_table,
    markdown,
    percent,
    power_of_two,
    tell,
    unit,
    whole,
)
from trust_tables import fuzz_table, noise_table, sharing_table, spotting_table

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "benchmarks" / "results" / "figures.json"
EVALUATIONS = FIGURES.parent / "evaluation"
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

PLACE = re.compile(r"(<!-- table: (?P<name>\S+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)

NETWORKS = {"resnet20": "ResNet-20", "resnet32": "ResNet-32", "digits": "digits"}
"""The networks of the evaluation, and what they are called."""

SHOWN = ("overview", "comparison", "smallest", "bits", "equivalents", "samples", "not-applied")
"""The tables of a report that the documents show for each of them."""

SPOTTED = {"resnet32": ("spotting", "sharing", "routing")}
"""The further ones, of networks whose plan has spotting."""


DETECTED = {
    "ftll": "the last layer fine-tuned",
    "ftal": "all layers fine-tuned",
    "badnets": "a backdoor trained in",
    "pruning-5": "5 % of the weights pruned",
    "quantisation": "8-bit weights",
    "quantisation-16": "weights rounded to fp16",
    "unlearning": "one input unlearned",
}
"""The modifications in the README's table, and what they are called there."""

METHODS = {
    "ascent": "sensitivity ascent",
    "ibsf": "IBSF",
    "ibsf-tuned": "IBSF, tuned by us",
}
"""What other methods are called there."""

HEAD = ("what is done to the model", "modelseal", "best other method", "which")
"""The columns of that table."""


def main() -> int:
    """Writes the tables, or with `--check` only compares; 0 if they are what they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    check = parser.parse_args().check
    figures = read_figures(FIGURES)
    stale = [path for path in DOCUMENTS if fill(read(path), figures) != read(path)]
    for path in stale:
        if check:
            print(f"{path.name}: its tables are not what {FIGURES.name} says: run make bench")
        else:
            path.write_text(fill(read(path), figures), encoding="utf-8")
    return 1 if check and stale else 0


def read(path: Path) -> str:
    """The text of a document."""
    return path.read_text(encoding="utf-8")


def read_figures(path: Path) -> Figures:
    """All figures; none if nothing was measured yet."""
    if not path.is_file():
        return {}
    content: dict[str, float] = json.loads(read(path))
    return content


def fill(text: str, figures: Figures) -> str:
    """A document with all of its tables written anew.

    Raises:
        KeyError: There is no table of some name.
    """

    def table(found: re.Match[str]) -> str:
        network, _, name = found["name"].rpartition("/")
        content = evaluation_table(network, name) if network else TABLES[name](figures)
        return f"{found[1]}{content}{found[3]}"

    return PLACE.sub(table, text)


def evaluation_table(network: str, name: str) -> str:
    """One table of the report on a network."""
    path = EVALUATIONS / f"{network}.json"
    if not path.is_file():
        return "Not measured.\n"
    (summary,) = load(path)
    return write_table(summary, name)


def detects_table(_: Figures) -> str:
    """A few modifications of ResNet-20, and how often one sample of each method detects them."""
    path = EVALUATIONS / "resnet20.json"
    if not path.is_file():
        return markdown(HEAD, [("not measured",) * len(HEAD)])
    (summary,) = load(path)
    compared = {each.change: each for each in summary.comparisons if each.level is None}
    rows = [
        (
            text,
            percent(compared[change].ours),
            percent(compared[change].best),
            METHODS.get(compared[change].rival, compared[change].rival),
        )
        for change, text in DETECTED.items()
    ]
    counted = {each.method: each for each in summary.alarms if not each.variant}
    ours, other = (
        f"{counted[method].alarms:,} of {counted[method].answers:,}"
        for method in ("boundary", "ibsf-tuned")
    )
    alarms = ("false alarms on the unmodified model", ours, other, METHODS["ibsf-tuned"])
    return markdown(HEAD, [*rows, alarms])


def evaluate_table(figures: Figures) -> str:
    """What all methods and changes came to, for our samples on each network."""
    lines: Mapping[str, tuple[str, Show]] = {
        "detection_mean": ("the sixteen modifications: detected by one sample, mean", percent),
        "detection_worst": ("the modification detected least", percent),
        "missed_of_trials": ("sets of eight samples that miss one of them", whole),
        "trials": ("sets tried on each, at least", whole),
        "rows_lost": ("rows in which single samples of another method do better", whole),
        "harmless_answers": ("answers from harmless variants", whole),
        "false_alarms": ("of these, false alarms", whole),
        "new_harmless_answers": ("answers from variants that sealing had not tried", whole),
        "new_false_alarms": ("of these, false alarms", whole),
        "smallest_noise": ("smallest noise detected by eight samples, 95 % power", power_of_two),
        "smallest_sgd": ("smallest learning rate of one SGD step", power_of_two),
        "smallest_prune": ("smallest share of weights pruned", power_of_two),
        "smallest_rank-one": ("smallest edit of rank one", power_of_two),
        "smallest_lora": ("smallest LoRA edit (r = 8)", power_of_two),
        "bitflip_share": ("flips of sign, exponent and top four mantissa bits detected", percent),
        "bitflip_share_of_effective": ("of those that change any score", percent),
        "grid_minutes": ("minutes on two cores", whole),
    }
    rows = [
        (text, *(tell(figures, f"{network}.evaluate.{key}", show) for network in NETWORKS))
        for key, (text, show) in lines.items()
    ]
    return markdown(("what", *NETWORKS.values()), rows)


def cost_table(figures: Figures) -> str:
    """What making, choosing and verifying cost."""
    return figure_table(
        figures,
        {
            "seal.forward_equivalents": ("forward passes for each accepted sample", whole),
            "seal.work_ratio": ("times fewer forward passes than `legacy`", whole),
            "seal.seconds_ratio": ("times fewer seconds than `legacy`", whole),
            "select.seconds": ("seconds to cover 10,000 neurons by 10,000 candidates", unit("s")),
            "select.peak_gb": ("memory for that", unit("GB")),
            "verify.installed_mb": ("`pip install modelseal` without extras", unit("MB")),
            "verify.start_s": ("`modelseal verify --help`", unit("s")),
        },
    )


TABLES: Mapping[str, Callable[[Figures], str]] = {
    "cost": cost_table,
    "detects": detects_table,
    "evaluate": evaluate_table,
    "spotting": spotting_table,
    "sharing": sharing_table,
    "noise": noise_table,
    "fuzz": fuzz_table,
    "scale": scale_table,
    "scale-machine": machine_table,
    "scale-layouts": layouts_table,
    "scale-rows": rows_table,
}
"""The tables by name."""


if __name__ == "__main__":
    sys.exit(main())
