"""How well samples of ResNet-20 are told from natural images, and what a provider gains by that.

`python benchmarks/trust_spotting.py` measures and draws; with `draw` it only draws the figure
anew, from what was measured. All sets of samples are drawn at random, none is chosen.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from changed import draws
from cifar import DOMAIN, images, resnet
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.evaluation.adversary.detectors import Separation
from modelseal.evaluation.adversary.router import breaking_share, power_of_routing, power_of_sharing
from modelseal.evaluation.adversary.spotter import (
    HIGH_FREQUENCY,
    NEIGHBOURS,
    NETWORKS,
    Material,
    spot,
)
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.generation.gaps import score
from modelseal.models.loader import Model
from modelseal.sealing.candidates import make_candidates, to_tensor
from modelseal.sealing.recipe import Recipe
from modelseal.types import Array, Inputs, Mask, Scores
from results_file import RESULTS, write
from sharing import SharingEndpoint, power_if_independent, simulate

NAME = "trust_spotting"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "share.png"
CANDIDATES, NATURALS = 320, 3000
# How many networks of each change; the fixed ones have one.
DRAWS = {"sgd_1e-4": 10, "noise_1e-3": 10, "int8": 1, "prune_5": 1, "fp16": 1}
COUNTS = (1, 8, 16, 32, 64)
ROUTED = (1, 8, 64)
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SIMULATED = (0.5, 0.75, 0.9, 0.95)
RUNS = 300
FINE = tuple(round(0.01 * step, 2) for step in range(101))

NEIGHBOUR_FIGURES = ("neighbour", "neighbour_source", "neighbour_spent")
"""What the detectors that compare are called among the figures."""


def main() -> None:
    """Measures and draws, or only draws."""
    if sys.argv[1:] != ["draw"]:
        spotting_figures()
    PICTURE.write_bytes(draw_share(read_details()))


def spotting_figures(*, candidates: int = CANDIDATES, naturals: int = NATURALS) -> dict[str, float]:
    """Measures everything, and writes it with its details into a file of results.

    Args:
        candidates: Of how many natural images samples are made.
        naturals: How many other natural images there are.

    Returns:
        The figures, by name.
    """
    torch.set_num_threads(2)
    model, generator = resnet(20), np.random.default_rng(0)
    codes, _ = images("test", candidates + naturals)
    sealed = make_candidates(
        model, codes[:candidates], recipe=Recipe(domain=model.domain), count=candidates
    )
    clean, changed = score_all(model, sealed)
    material = Material(
        domain=DOMAIN,
        samples=sealed.samples,
        sources=codes[sealed.sources],
        naturals=codes[candidates:],
    )
    spotted = spot(material, generator=generator)
    noticed = {name: compare(clean, scores) for name, scores in changed.items()}
    figures = {
        **tell_separations(spotted.separations),
        **tell_shares(noticed),
        **tell_simulated(sealed, clean, changed, generator),
        **tell_routed(noticed, spotted.separations, spotted.scores, spotted.tried),
    }
    details = {
        "samples": len(sealed),
        "shares": FINE,
        "power": {str(n): [power(noticed, q, n) for q in FINE] for n in COUNTS},
        "simulated": {
            str(n): [[q, figures[name("simulated", q, n)]] for q in SIMULATED] for n in COUNTS
        },
        "torch": torch.__version__,
    }
    write(NAME, {"figures": figures, "details": details})
    return figures


def score_all(model: Model, sealed: Fingerprint) -> tuple[Scores, dict[str, list[Scores]]]:
    """The scores that the sealed network and every changed one give all samples."""
    samples = to_tensor(model, sealed.samples)
    recipes = draws()
    changed = {
        change: [
            score(recipes[change][1](seed)(model.network), samples).numpy() for seed in range(count)
        ]
        for change, count in DRAWS.items()
    }
    return score(model.network, samples).numpy(), changed


def compare(clean: Scores, changed: Sequence[Scores]) -> Array:
    """Which samples notice which network, by the top label."""
    return np.stack([scores.argmax(1) != clean.argmax(1) for scores in changed])


def power(noticed: Mapping[str, Array], share: float, count: int) -> float:
    """The power against sharing: the mean over changes, each counted once."""
    return float(np.mean([power_of_sharing(rows, share, count) for rows in noticed.values()]))


def name(kind: str, share: float, count: int) -> str:
    """The name of a figure of one share and one size of sets."""
    return f"trust.{kind}_q_{f'{share:g}'.replace('.', '_')}_n_{count}"


def tell_separations(found: Mapping[str, Separation]) -> dict[str, float]:
    """How well detectors do: the best of each kind, and each by its own name."""
    groups: dict[str, Sequence[str]] = {
        "high_frequency": tuple(HIGH_FREQUENCY),
        "network": tuple(NETWORKS),
        **{figure: (each,) for figure, each in zip(NEIGHBOUR_FIGURES, NEIGHBOURS, strict=True)},
    }
    figures: dict[str, float] = {}
    for group, names in groups.items():
        best = max((found[each] for each in names), key=lambda each: each.auc)
        figures |= {
            f"trust.spotting_auc_{group}": best.auc,
            f"trust.spotting_auc_{group}_low": best.low,
            f"trust.spotting_auc_{group}_high": best.high,
        }
        for rate in best.rates:
            percent = f"{100 * rate.false_rate:g}_percent"
            figures[f"trust.spotting_found_{group}_at_{percent}"] = rate.found.value
    for each in found.values():
        figures[f"trust.spotting_auc.{each.detector.replace(' ', '_')}"] = each.auc
    return figures


def tell_shares(noticed: Mapping[str, Array]) -> dict[str, float]:
    """The power against a provider that answers a share of all queries cleanly."""
    figures = {name("power", q, n): power(noticed, q, n) for q in SHARES for n in COUNTS}
    for n in COUNTS:
        figures[f"trust.breaking_share_n_{n}"] = find_break(noticed, n)
    return figures


def find_break(noticed: Mapping[str, Array], count: int) -> float:
    """The largest share answered cleanly at which 19 of 20 sets still notice."""
    return breaking_share(lambda share: power(noticed, share, count))


def tell_simulated(
    sealed: Fingerprint,
    clean: Scores,
    changed: Mapping[str, Sequence[Scores]],
    generator: np.random.Generator,
) -> dict[str, float]:
    """The same by verifying endpoints that do so."""
    honest = remember(sealed, clean)
    others = {kind: [remember(sealed, each) for each in rows] for kind, rows in changed.items()}
    figures: dict[str, float] = {}
    for q in SIMULATED:
        for n in COUNTS:
            caught = [
                simulate(
                    sealed,
                    [SharingEndpoint(honest, each, share=q, generator=generator) for each in rows],
                    count=n,
                    runs=RUNS // len(others),
                    generator=generator,
                ).value
                for rows in others.values()
            ]
            figures[name("simulated", q, n)] = float(np.mean(caught))
    return figures


def remember(sealed: Fingerprint, scores: Scores) -> CallableEndpoint:
    """An endpoint that answers each sample with scores that were found before."""
    inputs = sealed.domain.decode(sealed.samples)
    known = {row.tobytes(): scores[[number]] for number, row in enumerate(inputs)}

    def look_up(asked: Inputs) -> Scores:
        return known[asked[0].tobytes()]

    return CallableEndpoint(look_up, sealed.domain)


def tell_routed(
    noticed: Mapping[str, Array],
    found: Mapping[str, Separation],
    scores: Mapping[str, Array],
    tried: Mask,
) -> dict[str, float]:
    """The power against a provider that answers what its best detector suspects cleanly."""
    best = max((found[each] for each in (*HIGH_FREQUENCY, *NETWORKS)), key=lambda each: each.auc)
    detection = float(np.mean([rows[:, tried].mean() for rows in noticed.values()]))
    figures = {"trust.spotting_detection_mean": detection}
    for rate in best.rates:
        suspected = scores[best.detector] > rate.threshold
        for n in ROUTED:
            powers = [power_of_routing(each[:, tried], suspected, n) for each in noticed.values()]
            percent = f"{100 * rate.false_rate:g}_percent"
            figures[f"trust.routed_at_{percent}_n_{n}"] = float(np.mean(powers))
            figures[f"trust.routed_if_independent_at_{percent}_n_{n}"] = power_if_independent(
                detection, rate.found.value, n
            )
    return figures


def read_details() -> Mapping[str, Any]:
    """What was measured, as it was written."""
    text = (RESULTS / f"{NAME}.json").read_text(encoding="utf-8")
    details: Mapping[str, Any] = json.loads(text)["details"]
    return details


def draw_share(details: Mapping[str, Any]) -> bytes:
    """Draws the power against the share of queries that are answered cleanly, as a PNG."""
    from modelseal.reports.plots import draw_shares, render
    from modelseal.reports.style import LIGHT

    draw = partial(
        draw_shares,
        exact={
            int(n): list(zip(details["shares"], each, strict=True))
            for n, each in details["power"].items()
        },
        simulated={
            int(n): [tuple(pair) for pair in each] for n, each in details["simulated"].items()
        },
    )
    return render(draw, LIGHT, "png")


if __name__ == "__main__":
    main()
