"""Makes a fingerprint: generate candidates, calibrate them, select a few."""

from modelseal.sealing.candidates import generate
from modelseal.sealing.checkpoints import Logistics
from modelseal.sealing.neighbours import find_neighbours
from modelseal.sealing.pipeline import choose_few, seal, select
from modelseal.sealing.power import Effort, state_power
from modelseal.sealing.recipe import Method, Recipe, Rule

__all__ = [
    "Effort",
    "Logistics",
    "Method",
    "Recipe",
    "Rule",
    "choose_few",
    "find_neighbours",
    "generate",
    "seal",
    "select",
    "state_power",
]
