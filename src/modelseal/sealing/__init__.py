"""Makes a fingerprint: generate candidates, calibrate them, select a few."""

from modelseal.fingerprint.record import Fingerprint
from modelseal.models.loading import Model
from modelseal.sealing.generating import generate
from modelseal.sealing.power import Effort, state_power
from modelseal.sealing.recipe import Method, Progress, Recipe, Rule, ignore
from modelseal.sealing.selecting import has_neurons, select
from modelseal.shapes import Codes

__all__ = [
    "Effort",
    "Method",
    "Progress",
    "Recipe",
    "Rule",
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
        samples: How many are kept, chosen by maximum active-neuron cover; in a network without
            a nonlinearity, those of the smallest margins.
        progress: Is told of the stages `generate`, `calibrate` and `select`.

    Raises:
        InvalidArgumentError: The inputs do not fit the domain, or fewer candidates were accepted
            than samples are wanted.
        SealingError: No candidate was accepted, or the network cannot be run.
    """
    chosen = recipe or Recipe()
    found = generate(model, naturals, recipe=chosen, candidates=candidates, progress=progress)
    progress("select", 0, samples)
    rule = Rule.MANC if has_neurons(model, found) else Rule.MARGIN
    fingerprint = select(model, found, samples=samples, rule=rule, seed=chosen.seed)
    progress("select", samples, samples)
    return fingerprint
