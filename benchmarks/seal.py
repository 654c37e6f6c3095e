"""Sealing ResNet-20 on CIFAR-10 test images: what is accepted, noticed and missed.

Top-1 labels and 8-bit samples throughout.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from server import serve
from torch import Tensor

from cifar import declare, images, resnet
from cost import measure_legacy
from detection import choose_sets, detect, miss, notice, spread
from modelseal.calibration.calibrate import calibrate
from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.endpoints.onnx import OnnxEndpoint
from modelseal.enums import Depth
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.models.loader import Model
from modelseal.runtime.inference import export_onnx
from modelseal.sealing.candidates import list_variants, make_candidates, to_tensor
from modelseal.sealing.methods import make_ascent
from modelseal.sealing.recipe import Recipe
from modelseal.selection.activations import active_neurons
from modelseal.verdict import Finding
from modelseal.verification.verify import verify
from results_file import write

NATURALS = 256
# The published loop takes about ten seconds an image.
LEGACY_IMAGES = 16
ASCENT_IMAGES = 64


def main() -> None:
    """Runs all parts and writes their figures."""
    torch.set_num_threads(2)
    model = resnet(20)
    codes, _ = images("test", NATURALS)
    starts = to_tensor(model, codes)
    recipe = Recipe(domain=model.domain)
    fingerprint = make_candidates(model, codes, recipe=recipe, count=NATURALS)
    samples = to_tensor(model, fingerprint.samples)
    figures = {
        "seal.accepted_share": len(fingerprint) / NATURALS,
        "seal.psnr_median_db": float(np.median(fingerprint.psnr)),
        **measure_alarms(model, fingerprint),
    }
    others = {
        "natural": starts[: NATURALS // 2],
        "legacy": model.domain.snap(measure_legacy(model, starts[:LEGACY_IMAGES])[0]),
        "ascent": make_ascent(model.network, starts[:ASCENT_IMAGES], recipe=recipe),
    }
    figures |= measure_detection(model, samples, others)
    details = {
        "margins": sorted(fingerprint.margins.tolist()),
        "moves": sorted(fingerprint.moves.tolist()),
        "psnr": sorted(fingerprint.psnr.tolist()),
        "variants": list(fingerprint.origin.variants),
        "torch": torch.__version__,
    }
    write("seal", {"figures": figures, "details": details})


def measure_alarms(model: Model, fingerprint: Fingerprint) -> dict[str, float]:
    """Runs every harmless variant anew, and asks ONNX Runtime and a real server."""
    again = calibrate(
        model.network,
        to_tensor(model, fingerprint.samples),
        spec=fingerprint.spec,
        variants=list_variants(model),
    )
    answers, alarms = again.silent.size * len(again.variants), int((~again.silent).sum())
    with tempfile.TemporaryDirectory() as folder:
        for endpoint in serve_elsewhere(model, Path(folder)):
            verdict = verify(
                fingerprint, endpoint, generator=np.random.default_rng(0), depth=Depth.ALL
            )
            answers += len(verdict.evidence)
            alarms += len(verdict.evidence) - verdict.count(Finding.AGREES)
    return {"seal.harmless_answers": answers, "seal.false_alarms": alarms}


def serve_elsewhere(model: Model, folder: Path) -> Iterator[Endpoint]:
    """The same weights as an ONNX file and behind an HTTP server."""
    program = folder / "model.onnx"
    program.write_bytes(export_onnx(model.network, torch.zeros(1, *model.domain.shape)))
    yield OnnxEndpoint(program, model.domain)
    declared = folder / "model.toml"
    declared.write_text(declare(20), encoding="utf-8")
    with serve(declared, folder=folder / "server") as url:
        yield OipEndpoint(url, model.domain)


def measure_detection(model: Model, samples: Tensor, others: dict[str, Tensor]) -> dict[str, float]:
    """How often single samples notice each change, and how often eight chosen ones miss it."""
    every = {"boundary": samples, **others}
    noticed, effects = notice(model.network, every, spread(others["natural"]))
    sets = choose_sets(active_neurons(model.network, samples), np.random.default_rng(0))
    figures: dict[str, float] = {}
    for change, rows in noticed.items():
        figures[f"seal.detection.{change}"] = detect(rows["boundary"], change)
        for name in others:
            figures[f"seal.detection.{name}.{change}"] = detect(rows[name], change)
        figures[f"seal.missing_8.{change}"] = miss(rows["boundary"], sets)
        if change in effects:
            alive = effects[change]
            figures[f"seal.no_effect.{change}"] = float(1 - alive.mean())
            figures[f"seal.missing_8_of_effective.{change}"] = miss(rows["boundary"][alive], sets)
    return figures


if __name__ == "__main__":
    main()
