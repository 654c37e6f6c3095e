"""Candidates made in a few quick harmless ways, where compiling and exporting would take long."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from modelseal.calibration.variants import BatchSize, ChannelsLast, Float64, Nnpack, OneDnnOff
from modelseal.domain import Domain
from modelseal.endpoints.endpoint import CallableEndpoint
from modelseal.fingerprint.file_format import encode
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.models.loader import Model
from modelseal.outputs.specs import parse_spec
from modelseal.sealing.candidates import make_candidates
from modelseal.sealing.recipe import Recipe
from modelseal.types import Array, Codes

QUICK = (
    *(BatchSize(1), BatchSize(7, 3), BatchSize(32, 16)),
    *(ChannelsLast(), OneDnnOff(), Nnpack(), Float64()),
)
WORK = {"count", "workers", "checkpoints", "seconds", "progress"}


def recipe(model: Model, **settings: Any) -> Recipe:
    """A recipe for a model with the quick variants, and a spec as it is written."""
    if isinstance(settings.get("spec"), str):
        settings["spec"] = parse_spec(settings["spec"])
    return Recipe(**{"domain": model.domain, "variants": QUICK, **settings})


def make(model: Model, naturals: Codes, **settings: Any) -> Fingerprint:
    """Makes candidates; settings are those of a recipe and of the work."""
    work = {name: settings.pop(name) for name in WORK & settings.keys()}
    return make_candidates(model, naturals, recipe=recipe(model, **settings), **work)


def timeless(found: Fingerprint) -> bytes:
    return encode(replace(found, origin=replace(found.origin, created="2026-01-01T00:00:00Z")))


def serve(network: nn.Module, domain: Domain) -> CallableEndpoint:
    """An endpoint that runs a network as it is."""

    def answer(inputs: Array) -> Array:
        with torch.no_grad():
            return network(torch.from_numpy(inputs)).numpy()

    return CallableEndpoint(answer, domain)
