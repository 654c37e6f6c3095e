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
from collections.abc import Callable, Mapping, Sequence
from math import log2
from pathlib import Path

from modelseal.reports.archive import load
from modelseal.reports.markdown import write_table

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "benchmarks" / "results" / "figures.json"
EVALUATIONS = FIGURES.parent / "evaluation"
PAGES = ("method", "results", "scale", "threat-model", "enrolling", "faults")
DOCUMENTS = (ROOT / "README.md", *(ROOT / "docs" / f"{page}.md" for page in PAGES))

PLACE = re.compile(r"(<!-- table: (?P<name>\S+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)

NETWORKS = {"resnet20": "ResNet-20", "resnet32": "ResNet-32", "digits": "digits"}
"""The networks of the evaluation, and what they are called."""

SCALED = {
    "resnet20": "ResNet-20, 32 x 32, ties of 10",
    "vit": "ViT-S/16, 224 x 224, ties of 4",
    "vgg_face": "VGG-Face's shape, 224 x 224, ties of 4",
}
"""The networks of the benchmark of scale, and what they are called."""

LARGE = ("vit", "vgg_face")
"""Those of them on which changes are tried there."""

CHANGES = {
    "sgd_1e-4": "one SGD step, 1e-4",
    "int8": "8-bit weights",
    "prune_5": "5 % pruned",
    "noise_1e-3": "noise, 1e-3 of each layer's spread",
    "fp16": "weights rounded to fp16",
    "mantissa": "the top mantissa bit of a weight",
}
"""The changes, and what they are called."""

GHOSTS = {
    "resnet20": "ResNet-20",
    "vit": "ViT-S/16, 224 x 224",
    "vgg_face": "VGG-Face's shape, 224 x 224",
}
"""The networks on which ghost norms are measured."""

DETECTORS = {
    "high_frequency": "statistics of one image",
    "network": "a network trained on other samples",
    "neighbour": "nearest known image, sources unknown",
    "neighbour_source": "nearest known image, sources known",
    "neighbour_spent": "nearest earlier question, sample spent before",
}
"""What tells samples from natural images, and what it is called."""

SHOWN = ("overview", "comparison", "smallest", "bits", "equivalents", "samples", "not-applied")
"""The tables of a report that the documents show for each of them."""

Figures = Mapping[str, float]
"""Every measured number by its name."""

Show = Callable[[float], str]
"""Writes one number for people."""


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


def evaluate_table(figures: Figures) -> str:
    """What all methods and changes came to, for our samples on each network."""
    lines: Mapping[str, tuple[str, Show]] = {
        "detection_mean": ("the sixteen modifications: noticed by a sample, mean", percent),
        "detection_worst": ("the worst of them", percent),
        "missed_of_trials": ("sets of eight that miss one of them", whole),
        "trials": ("sets tried of each, at least", whole),
        "rows_lost": ("rows in which another method's single samples are ahead", whole),
        "harmless_answers": ("answers of harmless variants", whole),
        "false_alarms": ("of these, false alarms", whole),
        "new_harmless_answers": ("answers of variants that sealing had not tried", whole),
        "new_false_alarms": ("of these, false alarms", whole),
        "smallest_noise": ("smallest noise noticed by eight, 95 % power", power_of_two),
        "smallest_sgd": ("smallest rate of one SGD step", power_of_two),
        "smallest_prune": ("smallest share pruned", power_of_two),
        "smallest_rank-one": ("smallest edit of rank one", power_of_two),
        "smallest_lora": ("smallest LoRA edit (r = 8)", power_of_two),
        "bitflip_share": ("flips of sign, exponent and top four mantissa bits noticed", percent),
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
            "seal.forward_equivalents": ("forward passes that an accepted sample costs", whole),
            "seal.work_ratio": ("times fewer forward passes than `legacy`", whole),
            "seal.seconds_ratio": ("times fewer seconds than `legacy`", whole),
            "select.seconds": ("seconds to cover 10,000 neurons by 10,000 candidates", unit("s")),
            "select.peak_gb": ("memory for that", unit("GB")),
            "verify.installed_mb": ("`pip install modelseal` without extras", unit("MB")),
            "verify.start_s": ("`modelseal verify --help`", unit("s")),
        },
    )


def scale_table(figures: Figures) -> str:
    """What an accepted sample costs on networks of three sizes."""
    lines: Mapping[str, tuple[str, Show]] = {
        "images": ("natural images", whole),
        "accepted_share": ("accepted", percent),
        "forward_equivalents": ("forward passes for an accepted sample", whole),
        "legacy_forward_equivalents": ("the published loop's", whole),
        "backward_cost": ("a backward pass, in forward passes", unit("")),
        "seconds": ("seconds for an accepted sample", unit("s")),
        "legacy_seconds": ("the published loop's", unit("s")),
        "seconds_ratio_cpu": ("times faster", unit("")),
        "psnr_median_db": ("PSNR, median", unit("dB")),
        "gflops": ("operations", unit("GFLOP/s")),
    }
    rows = [
        (text, *(tell(figures, f"scale.{network}.{key}", show) for network in SCALED))
        for key, (text, show) in lines.items()
    ]
    return markdown(("what", *SCALED.values()), rows)


def machine_table(figures: Figures) -> str:
    """Memory, and how much of the machine is used."""
    return figure_table(
        figures,
        {
            "scale.vgg_face.peak_gb": ("memory for sealing VGG-Face's shape, at most", unit("GB")),
            "scale.peak_gflops": ("the machine's measured peak", unit("GFLOP/s")),
            "scale.peak_share": ("share of it that making samples reaches", percent),
            "scale.vgg_face.forward_share": ("share that a forward pass reaches", percent),
        },
    )


def rows_table(figures: Figures) -> str:
    """What single samples of large networks notice."""
    rows = []
    for key, text in CHANGES.items():
        shares = [
            tell(figures, f"scale.{network}.detection.{kind}{key}", percent)
            for network in LARGE
            for kind in ("", "natural.")
        ]
        rows.append((text, *shares))
    head = [text for name in LARGE for text in (SCALED[name], "natural images")]
    return markdown(("change", *head), rows)


def ghost_table(figures: Figures) -> str:
    """How exact and how fast ghost norms are."""
    rows = [
        (
            text,
            tell(figures, f"scale.ghost_norm_error.{name}", unit("")),
            tell(figures, f"scale.ghost_norm_speedup.{name}", unit("")),
        )
        for name, text in GHOSTS.items()
    ]
    return markdown(("network", "largest relative error", "times faster"), rows)


def spotting_table(figures: Figures) -> str:
    """How well detectors tell samples from natural images."""
    rows = [
        (
            text,
            tell(figures, f"trust.spotting_auc_{key}", unit("")),
            tell(figures, f"trust.spotting_found_{key}_at_1_percent", percent),
            tell(figures, f"trust.spotting_found_{key}_at_5_percent", percent),
        )
        for key, text in DETECTORS.items()
    ]
    return markdown(("detector", "AUC", "found at 1 % false", "at 5 % false"), rows)


def sharing_table(figures: Figures) -> str:
    """What share of questions a provider may answer cleanly and still be found."""
    counts = (1, 8, 16, 32, 64)
    shares = [tell(figures, f"trust.breaking_share_n_{count}", unit("")) for count in counts]
    powers = [tell(figures, f"trust.power_q_0_5_n_{count}", percent) for count in counts]
    head = ("samples", *map(str, counts))
    return markdown(head, [("largest share", *shares), ("power at a share of one half", *powers)])


def noise_table(figures: Figures) -> str:
    """False alarms and questions over simulated deployments."""
    return figure_table(
        figures,
        {
            "trust.noisy_deployments": ("deployments whose answers vary", whole),
            "trust.noisy_differing": ("of their answers differed", percent),
            "trust.noisy_alpha": ("alpha", unit("")),
            "trust.noisy_false_alarms": ("false alarms among them", whole),
            "trust.noisy_undecided": ("of them undecided", whole),
            "trust.noisy_power": ("found with one changed sample of eight", percent),
            "trust.queries_intact": ("questions until intact, median", whole),
            "trust.queries_tampered": ("questions until tampered, median", whole),
            "trust.deterministic_deployments": ("deployments whose answers do not vary", whole),
            "trust.deterministic_false_alarms": ("false alarms among them", whole),
        },
    )


def fuzz_table(figures: Figures) -> str:
    """Fuzzed answers and files, and what asking costs."""
    return figure_table(
        figures,
        {
            "trust.fuzzed_answers": ("fuzzed answers", whole),
            "trust.fuzzed_files": ("fuzzed fingerprint files", whole),
            "trust.fuzz_tracebacks": ("tracebacks", whole),
            "trust.fuzz_intact": ("intact without all expected answers", whole),
            "trust.fuzz_slowest_s": ("seconds for the slowest", unit("s")),
            "trust.query_overhead_ms": ("verify's own time for a question", unit("ms")),
        },
    )


def figure_table(figures: Figures, rows: Mapping[str, tuple[str, Show]]) -> str:
    """A table of a few figures, one a line."""
    told = [(name, tell(figures, key, show)) for key, (name, show) in rows.items()]
    return markdown(("what", "measured"), told)


def tell(figures: Figures, key: str, show: Show) -> str:
    """One figure for people."""
    return show(figures[key]) if key in figures else "not measured"


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.0f} %"


def whole(number: float) -> str:
    """A number without a fraction."""
    return f"{number:,.0f}"


def unit(name: str) -> Show:
    """Shows a number to three digits with its unit."""
    return lambda number: f"{number:,.3g} {name}".strip()


def power_of_two(number: float) -> str:
    """Such as 2^-13."""
    return f"2^{log2(number):.0f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES: Mapping[str, Callable[[Figures], str]] = {
    "cost": cost_table,
    "evaluate": evaluate_table,
    "spotting": spotting_table,
    "sharing": sharing_table,
    "noise": noise_table,
    "fuzz": fuzz_table,
    "scale": scale_table,
    "scale-machine": machine_table,
    "scale-rows": rows_table,
    "scale-ghosts": ghost_table,
}
"""The tables by name."""


if __name__ == "__main__":
    sys.exit(main())
