"""Makes a fingerprint: generate candidates, calibrate them, select a few."""

from modelseal.fingerprint.record import Fingerprint
from modelseal.models.loading import Model
from modelseal.sealing.generating import generate
from modelseal.sealing.logistics import Logistics
from modelseal.sealing.neighbours import find_neighbours
from modelseal.sealing.power import Effort, state_power
from modelseal.sealing.recipe import Method, Progress, Recipe, Rule, ignore
from modelseal.sealing.selecting import select
from modelseal.shapes import Codes

__all__ = [
    "Effort",
    "Logistics",
    "Method",
    "Progress",
    "Recipe",
    "Rule",
    "choose_few",
    "find_neighbours",
    "generate",
    "seal",
    "select",
    "state_power",
]


def seal(
    model: Model,
    naturals: Codes,
    *,
    recipe: Recipe | None = None,
    candidates: int = 64,
    samples: int = 8,
    progress: Progress = ignore,
) -> Fingerprint:
    """Makes a fingerprint of a network; `state_power` measures what it notices.

    Args:
        model: The owner's network, untampered.
        naturals: Natural inputs as they are stored.
        recipe: How samples shall be made; by default ties of ten classes for one shown label.
        candidates: Of how many natural inputs samples are made.
        samples: How many are kept: those that together notice most of many small changes, and of
            equals those that make most neurons active.
        progress: Is told of the stages `generate`, `calibrate` and `select`.

    Raises:
        InvalidArgumentError: The inputs do not fit the domain, or fewer candidates were accepted
            than samples are wanted.
        SealingError: No candidate was accepted, or the network cannot be run.
    """
    found = generate(
        model, naturals, recipe=recipe or Recipe(), candidates=candidates, progress=progress
    )
    return choose_few(model, found, samples=samples, progress=progress)


def choose_few(
    model: Model,
    found: Fingerprint,
    *,
    samples: int = 8,
    rule: Rule = Rule.DETECTION,
    progress: Progress = ignore,
) -> Fingerprint:
    """The second half of `seal`: chooses a few of what `generate` gave.

    Args:
        model: The owner's network, untampered.
        found: The accepted candidates.
        samples: How many are kept.
        rule: How they are chosen.
        progress: Is told of the stage `select`.

    Raises:
        InvalidArgumentError: There are fewer candidates, or they were made for other weights.
    """
    progress("select", 0, samples)
    fingerprint = select(model, found, samples=samples, rule=rule, seed=found.origin.seed)
    progress("select", samples, samples)
    return fingerprint
