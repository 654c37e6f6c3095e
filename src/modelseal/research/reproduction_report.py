"""What the published experiment found, as a document, a page and figures."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from math import isfinite
from pathlib import Path, PurePosixPath

import numpy as np
from matplotlib.figure import Figure as Canvas
from PIL import Image

from modelseal.enums import ChannelOrder
from modelseal.generation.baselines.legacy import LegacySettings
from modelseal.reports.build import check_folder, lay_out, publish
from modelseal.reports.plots import AMPLIFIED, THUMB, amplify, render
from modelseal.reports.style import DARK, LIGHT, Page, choose_stroke
from modelseal.research.vgg_face import read_pair
from modelseal.research.vgg_face_experiment import (
    Made,
    Outcome,
    Reproduction,
    Settings,
    Success,
    read_data,
    run_experiment,
)
from modelseal.sealing.recipe import FACTOR
from modelseal.tabular import NOTHING, Table, percent
from modelseal.types import Array, Progress, ignore

_SCHEMA = "modelseal.reproduction/1"


def reproduce(  # noqa: PLR0913 (the numbers of an experiment)
    models: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    images: int | None = None,
    iterations: int = 1000,
    learning_rate: float = 1.0,
    total_variation: float = 0.0,
    epsilon: float = 10.0,
    threshold: float = 0.0005,
    summed: int = 40,
    samples: int = 10,
    bag: int = 100,
    trials: int = 1000,
    tie: int = 10,
    channel_order: ChannelOrder = ChannelOrder.RGB,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress | None = None,
) -> Reproduction:
    """Runs the published VGG-Face experiment from its own files, with our samples beside its own.

    Args:
        models: Holds VGG-face-clean and VGG-face-trojaned, as .pt or .safetensors.
        data: Holds names.txt, VGGFace-Clean and VGGFace-Trojaned.
        output: The folder to make, or an older reproduction to replace.
        images: Of how many clean images samples are made, from 1; None is all.
        iterations: Steps of the published loop at most.
        learning_rate: Of the published loop, in grey levels.
        total_variation: The weight of the total variation in the published loop.
        epsilon: The largest change by the published loop, in RMS grey levels.
        threshold: The mean squared derivative at which the published loop stops; infinite for
            never, which keeps every sample.
        summed: How many log-probabilities the published loop sums.
        samples: How many samples are chosen of a bag, from 1.
        bag: How many candidates are in a bag, from 1.
        trials: How many bags are drawn, from 1.
        tie: How many classes tie in samples of ours.
        channel_order: Which plane of an image the networks were trained to meet first.
        device: Where the networks are run, such as `cuda`.
        seed: Of all that is drawn.
        progress: Is told of the stages `legacy`, `generate`, `calibrate` and `select`.

    Raises:
        BadFileError: A file cannot be used, or the folder cannot be written.
        InvalidArgumentError: A number is out of its range, or there is no such device.
    """
    folder = Path(output)
    for source in (models, data):
        check_folder(folder, source=Path(source))
    legacy = LegacySettings(
        iterations=iterations,
        learning_rate=learning_rate,
        radius=epsilon,
        variation=total_variation,
        threshold=threshold,
        classes=summed,
    )
    settings = Settings(
        legacy=legacy, tied=tie, images=images, samples=samples, bag=bag, trials=trials, seed=seed
    )
    pair = read_pair(Path(models), order=channel_order, device=device)
    clean, triggered = read_data(Path(data), pair)
    found = run_experiment(pair, clean, triggered, settings=settings, progress=progress or ignore)
    told = document(found, order=channel_order, device=device)
    publish(folder, assemble(found, told), source=Path(data))
    return found


def document(
    found: Reproduction, *, order: ChannelOrder, device: str, experiment: str = "vgg-face"
) -> dict[str, object]:
    """All that was found, as texts, finite numbers, lists and objects."""
    return {
        "schema": _SCHEMA,
        "modelseal": version("modelseal"),
        "experiment": experiment,
        "channel_order": order.value,
        "device": device,
        "settings": _list_settings(found.settings),
        "sanity": asdict(found.sanity),
        "layer": found.layer,
        "images": list(found.files),
        "methods": {each.method: _describe(each) for each in found.outcomes},
    }


def _list_settings(settings: Settings) -> dict[str, object]:
    threshold = settings.legacy.threshold
    return {
        "legacy": {**asdict(settings.legacy), "threshold": finite(threshold)},
        "boundary": {
            "tied": settings.tied,
            "margin": "automatic",
            "factor": FACTOR,
            "seed": settings.seed,
        },
        **{
            name: getattr(settings, name) for name in ("images", "samples", "bag", "trials", "seed")
        },
    }


def _describe(outcome: Outcome) -> dict[str, object]:
    made, success = outcome.made, outcome.success
    return {
        "samples": len(made),
        "reason": made.reason,
        "seconds": made.seconds,
        "noticed": int(outcome.noticed.sum()),
        "success": None if success is None else _describe_success(success),
        "each": [_describe_sample(made, outcome, row) for row in range(len(made))],
    }


def _describe_success(success: Success) -> dict[str, object]:
    rates = {"manc": list(success.manc), "random": list(success.random)}
    return {**asdict(success), **rates}


def _describe_sample(made: Made, outcome: Outcome, row: int) -> dict[str, object]:
    return {
        "image": int(made.sources[row]),
        "noticed": bool(outcome.noticed[row]),
        "psnr": finite(made.psnr[row]),
        "sensitivity": finite(made.sensitivity[row]),
    }


def finite(number: float | np.floating) -> float | None:
    """A number as JSON has it: nothing in place of an infinity."""
    return float(number) if isfinite(number) else None


_SHOWN = 4

_SUCCESS, _SHEET = "success", "samples"


def assemble(found: Reproduction, document: Mapping[str, object]) -> dict[str, bytes]:
    """The files of a reproduction, by path."""
    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    files = {"reproduction.json": f"{text}\n".encode(), "reproduction.md": _write_page(found)}
    for name, draw in ((_SUCCESS, draw_success), (_SHEET, _draw_sheet)):
        for suffix, page in (("png", LIGHT), ("svg", LIGHT), ("dark.svg", DARK)):
            drawing = partial(draw, found)
            files[f"figures/{name}.{suffix}"] = render(drawing, page, suffix[-3:])
    for outcome in found.outcomes:
        files |= _list_samples(outcome, found.files)
    return files


def _list_samples(outcome: Outcome, names: tuple[str, ...]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    folder = outcome.method.replace(":", "-")
    for number, (image, source) in enumerate(
        zip(outcome.made.images, outcome.made.sources, strict=True)
    ):
        # The stem alone may be that of two images, one a PNG and one a JPEG.
        stem = f"samples/{folder}/{number:04}-{PurePosixPath(names[source]).stem}"
        png, npy = io.BytesIO(), io.BytesIO()
        Image.fromarray(_as_picture(image)).save(png, format="PNG")
        np.save(npy, image)
        files |= {f"{stem}.png": png.getvalue(), f"{stem}.npy": npy.getvalue()}
    return files


def _as_picture(image: Array) -> Array:
    return np.ascontiguousarray(image.round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def _write_page(found: Reproduction) -> bytes:
    parts = ["# The published experiment on VGG-Face\n"]
    for table in (_tell_sanity(found), _tell_success(found)):
        parts.append(f"## {table.title}\n\n{table.note}\n\n{lay_out(table)}")
    parts.append(
        "## Figures\n\n"
        f"![How often n samples notice the trojan](figures/{_SUCCESS}.png)\n\n"
        f"![Natural images, samples, and {AMPLIFIED} times what differs](figures/{_SHEET}.png)\n"
    )
    reasons = [f"- `{each.method}`: {each.made.reason}\n" for each in found.outcomes]
    told = [line for line, each in zip(reasons, found.outcomes, strict=True) if each.made.reason]
    parts += ["## Methods without samples\n\n" + "".join(told)] if told else []
    return "\n".join(parts).encode()


def _tell_sanity(found: Reproduction) -> Table:
    sanity = found.sanity
    return Table(
        title="Sanity check",
        note=f"On {sanity.images} clean images and {sanity.triggered} with the trigger.",
        head=("what", "share"),
        rows=(
            ("clean network right on clean images", percent(sanity.clean_accuracy)),
            ("trojaned network right on clean images", percent(sanity.trojaned_accuracy)),
            ("the two differ on clean images", percent(sanity.differing)),
            ("trojaned network deceived by the trigger", percent(sanity.attack_success)),
        ),
    )


def _tell_success(found: Reproduction) -> Table:
    return Table(
        title="Success rate",
        note="How often one of n samples, chosen of a bag of candidates, is answered otherwise by "
        f"the trojaned network. Neurons of {found.layer} are covered; `legacy:float` is asked "
        "before rounding to whole grey levels, which a service cannot be. Bags share candidates: "
        "the trials are not independent.",
        head=(
            *("method", "candidates", "noticed alone", "bag", "trials", "choices", "n"),
            *("by cover", "by chance", "median PSNR", "seconds a sample"),
        ),
        rows=tuple(_success_row(each, found.settings.images) for each in found.outcomes),
    )


def _success_row(outcome: Outcome, images: int | None) -> tuple[str, ...]:
    made, success = outcome.made, outcome.success
    if success is None:
        return (outcome.method, "0", *[NOTHING] * 9)
    psnr = np.median(made.psnr)
    return (
        outcome.method,
        f"{len(made)} of {images}",
        percent(float(outcome.noticed.mean())),
        str(success.bag),
        str(success.trials),
        str(success.distinct),
        str(len(success.manc)),
        percent(success.manc[-1]),
        percent(success.random[-1]),
        f"{psnr:.1f} dB" if np.isfinite(psnr) else NOTHING,
        f"{made.seconds / len(made):.2g}" if made.seconds else NOTHING,
    )


def draw_success(found: Reproduction, canvas: Canvas, page: Page) -> None:
    """How often n samples notice the trojan: by cover, and fainter by chance."""
    canvas.set_size_inches(7, 4)
    field = canvas.subplots()
    methods = [each.method for each in found.outcomes]
    for outcome in found.outcomes:
        if outcome.success is None:
            continue
        stroke = choose_stroke(outcome.method, methods)
        counts = range(1, len(outcome.success.manc) + 1)
        for shares, strength in ((outcome.success.manc, 1.0), (outcome.success.random, 0.3)):
            field.plot(
                counts,
                shares,
                color=stroke.colour,
                marker=stroke.marker,
                linestyle=stroke.dashes,
                alpha=strength,
                label=outcome.method if strength == 1 else None,
            )
    field.set_ylim(-0.03, 1.03)
    field.set_xlabel("samples chosen of a bag")
    field.set_ylabel("share of bags")
    field.set_title("How often the trojan is noticed (faint: samples by chance)")
    if field.lines:
        field.legend()


def _draw_sheet(found: Reproduction, canvas: Canvas, page: Page) -> None:
    outcomes = [each for each in found.outcomes if len(each.made)]
    canvas.set_size_inches(1.6 + 3 * _SHOWN * THUMB, 0.6 + 1.1 * THUMB * len(outcomes))
    lines = canvas.subplots(len(outcomes), 3 * _SHOWN, squeeze=False)
    for line, outcome in zip(lines, outcomes, strict=True):
        for field in line:
            field.set_xticks([])
            field.set_yticks([])
            field.spines[:].set_visible(False)
            field.grid(visible=False)
        for place, row in enumerate(range(min(_SHOWN, len(outcome.made)))):
            natural = _as_picture(found.naturals[outcome.made.sources[row]])
            sample = _as_picture(outcome.made.images[row])
            pictures = (natural, sample, amplify(sample, natural))
            for field, picture in zip(line[3 * place : 3 * place + 3], pictures, strict=True):
                field.imshow(picture, interpolation="nearest")
        line[0].set_ylabel(outcome.method, rotation=0, ha="right", va="center")
