"""The tables of what a verdict can be trusted in."""

from table_text import Figures, figure_table, markdown, percent, tell, unit, whole

DETECTORS = {
    "high_frequency": "statistics of one image",
    "network": "a network trained on other samples",
    "neighbour": "nearest known image, sources unknown",
    "neighbour_source": "nearest known image, sources known",
    "neighbour_spent": "nearest earlier query, sample spent before",
}
"""What tells samples from natural images, and what it is called."""


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
    return markdown(
        ("detector", "AUC", "detected at 1 % false positives", "at 5 % false positives"), rows
    )


def sharing_table(figures: Figures) -> str:
    """What share of queries a provider may answer from the original and still be found."""
    counts = (1, 8, 16, 32, 64)
    shares = [tell(figures, f"trust.breaking_share_n_{count}", unit("")) for count in counts]
    powers = [tell(figures, f"trust.power_q_0_5_n_{count}", percent) for count in counts]
    head = ("samples", *map(str, counts))
    return markdown(head, [("largest share", *shares), ("power at a share of one half", *powers)])


def noise_table(figures: Figures) -> str:
    """False alarms and queries over simulated deployments."""
    return figure_table(
        figures,
        {
            "trust.noisy_deployments": ("deployments whose answers vary", whole),
            "trust.noisy_differing": ("answers that differed", percent),
            "trust.noisy_alpha": ("alpha", unit("")),
            "trust.noisy_false_alarms": ("false alarms among them", whole),
            "trust.noisy_undecided": ("undecided among them", whole),
            "trust.noisy_power": ("detected with one changed sample of eight", percent),
            "trust.queries_intact": ("queries until intact, median", whole),
            "trust.queries_tampered": ("queries until tampered, median", whole),
            "trust.deterministic_deployments": ("deployments whose answers do not vary", whole),
            "trust.deterministic_false_alarms": ("false alarms among them", whole),
        },
    )


def fuzz_table(figures: Figures) -> str:
    """Fuzzed answers and files, and what a query costs."""
    return figure_table(
        figures,
        {
            "trust.fuzzed_answers": ("fuzzed answers", whole),
            "trust.fuzzed_files": ("fuzzed fingerprint files", whole),
            "trust.fuzz_tracebacks": ("tracebacks", whole),
            "trust.fuzz_intact": ("intact without all expected answers", whole),
            "trust.fuzz_slowest_s": ("seconds for the slowest", unit("s")),
            "trust.query_overhead_ms": ("time that verify adds to a query, bytes", unit("ms")),
            "trust.query_overhead_fp32_ms": ("the same, numbers as JSON", unit("ms")),
        },
    )
