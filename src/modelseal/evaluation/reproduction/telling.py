"""What was found, as a document for machines."""

from dataclasses import asdict
from importlib.metadata import version
from math import isfinite

import numpy as np

from modelseal.evaluation.reproduction.bags import Success
from modelseal.evaluation.reproduction.making import Made
from modelseal.evaluation.reproduction.running import Outcome, Reproduction
from modelseal.evaluation.reproduction.settings import Settings
from modelseal.models.vgg_face import ChannelOrder

SCHEMA = "modelseal.reproduction/1"


def document(
    found: Reproduction, *, order: ChannelOrder, device: str, experiment: str = "vgg-face"
) -> dict[str, object]:
    """All that was found, as texts, finite numbers, lists and objects.

    Args:
        found: What was found.
        order: Which plane of an image the networks met first.
        device: Where they were run.
        experiment: Which experiment it is.
    """
    return {
        "schema": SCHEMA,
        "modelseal": version("modelseal"),
        "experiment": experiment,
        "channel_order": order.value,
        "device": device,
        "settings": list_settings(found.settings),
        "sanity": asdict(found.sanity),
        "layer": found.layer,
        "images": list(found.files),
        "methods": {each.method: describe(each) for each in found.outcomes},
    }


def list_settings(settings: Settings) -> dict[str, object]:
    """The numbers of the run; an early stop that is switched off has no threshold."""
    threshold = settings.legacy.threshold
    return {
        "legacy": {**asdict(settings.legacy), "threshold": finite(threshold)},
        "boundary": {**settings.recipe.parameters, "seed": settings.recipe.seed},
        **{
            name: getattr(settings, name) for name in ("images", "samples", "bag", "trials", "seed")
        },
    }


def describe(outcome: Outcome) -> dict[str, object]:
    """What the samples of one method noticed."""
    made, success = outcome.made, outcome.success
    return {
        "samples": len(made),
        "reason": made.reason,
        "seconds": made.seconds,
        "noticed": int(outcome.noticed.sum()),
        "success": None if success is None else describe_success(success),
        "each": [describe_sample(made, outcome, row) for row in range(len(made))],
    }


def describe_success(success: Success) -> dict[str, object]:
    """How often choices of bags noticed the trojan."""
    rates = {"manc": list(success.manc), "random": list(success.random)}
    return {**asdict(success), **rates}


def describe_sample(made: Made, outcome: Outcome, row: int) -> dict[str, object]:
    """What is known of one sample."""
    return {
        "image": int(made.sources[row]),
        "noticed": bool(outcome.noticed[row]),
        "psnr": finite(made.psnr[row]),
        "sensitivity": finite(made.sensitivity[row]),
    }


def finite(number: float | np.floating) -> float | None:
    """A number as JSON has it: nothing in place of an infinity."""
    return float(number) if isfinite(number) else None
