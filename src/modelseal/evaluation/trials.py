"""What a changed network's scores say: which answers are others, and how far scores moved."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from modelseal.errors import BadFileError, InvalidArgumentError, NotAppliedError
from modelseal.evaluation.inputs import NetworkFiles, Opened, open_network, view
from modelseal.evaluation.model_cache import Shelf
from modelseal.evaluation.results import Subject, Trial, arrays_file, tampered_folder
from modelseal.evaluation.store import read_arrays
from modelseal.generation.baselines import uniform_noise
from modelseal.outputs.specs import OutputSpec, TopLabels, parse_spec
from modelseal.runtime.inference import run_network
from modelseal.sealing.candidates import to_tensor
from modelseal.tampering.base import random_source
from modelseal.tampering.registry import Change, Data, list_changes
from modelseal.types import Mask, Scores


def changed_answers(spec: OutputSpec, expected: Scores, scores: Scores) -> Mask:
    """Which inputs are answered otherwise than before.

    A server that shows labels finds the highest score of a row that is not finite, too: there
    NaN counts as the largest, as torch and numpy have it. One that shows numbers shows no answer,
    which verifying calls undecided; that is no detection.

    Args:
        spec: What the endpoint shows.
        expected: The sealed network's scores.
        scores: The changed network's.
    """
    if isinstance(spec, TopLabels):
        shown = np.where(np.isnan(scores), np.inf, scores)
        return ~spec.agree(spec.reveal(expected), spec.reveal(shown))
    changed = np.zeros(len(scores), dtype=bool)
    rows = np.isfinite(scores).all(axis=1)
    if rows.any():
        before, after = spec.reveal(expected[rows]), spec.reveal(scores[rows])
        changed[rows] = ~spec.agree(before, after)
    return changed


def largest_change(before: Scores, after: Scores) -> float:
    """The largest change of any score; infinite if one is not finite any more."""
    if not np.isfinite(after).all():
        return float(np.inf)
    return float(np.abs(after.astype(np.float64) - before).max())


# Natural inputs, and as many of noise, on which a change of any score is an effect.
PROBES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """One changed network.

    Args:
        source: The name in a plan that leads to the change: its own or that of its group.
        name: The change's name.
        level: Its level in a graded family.
        seed: Of the recipe.
    """

    source: str
    name: str
    level: float | None
    seed: int

    def __str__(self) -> str:
        level = "" if self.level is None else f" {self.level:g}"
        return f"{self.name}{level}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTask:
    """One changed network, to be asked the samples of some subjects.

    Args:
        spot: The change.
        files: The network.
        subjects: Whose samples; all of this network.
        folder: Where results are.
    """

    spot: Spot
    files: NetworkFiles
    subjects: tuple[Subject, ...]
    folder: Path

    def __str__(self) -> str:
        return f"trial of {self.files.name} under {self.spot}"


def find_change(spot: Spot, data: Data) -> Change:
    """The change that is meant.

    Raises:
        InvalidArgumentError: The catalogue has no such change.
    """
    for change in list_changes(spot.source, data):
        if (change.name, change.level) == (spot.name, spot.level):
            return change
    raise InvalidArgumentError(f"a change of the catalogue was wanted, but {spot} is none")


def try_change(task: TrialTask) -> tuple[Trial, ...]:
    """Makes a changed network, or takes it from the shelf, and asks it all samples.

    Raises:
        ModelsealError: It cannot be made or run.
    """
    opened = open_network(task.files)
    recipe = find_change(task.spot, opened.data).recipe(task.spot.seed)
    shelf = Shelf(folder=tampered_folder(task.folder))
    try:
        changed = shelf.make(
            recipe,
            opened.model.network,
            known=f"{opened.weights} {opened.structure} {opened.learned} {opened.tested}",
        )
    except NotAppliedError as error:
        return tuple(
            write_down(task, subject, tampering=repr(recipe), reason=str(error))
            for subject in task.subjects
        )
    effect = measure_effect(opened, changed)
    return tuple(
        write_down(
            task,
            subject,
            tampering=repr(recipe),
            changed=ask(task, subject, opened, changed),
            effect=effect,
        )
        for subject in task.subjects
    )


def write_down(
    task: TrialTask,
    subject: Subject,
    *,
    tampering: str,
    reason: str = "",
    changed: tuple[bool, ...] = (),
    effect: float = 0.0,
) -> Trial:
    """The trial of one subject."""
    return Trial(
        subject=subject,
        tampering=tampering,
        name=task.spot.name,
        level=task.spot.level,
        seed=task.spot.seed,
        reason=reason,
        changed=changed,
        effect=effect,
    )


def ask(task: TrialTask, subject: Subject, opened: Opened, changed: nn.Module) -> tuple[bool, ...]:
    """Whether a changed network answers each sample of a subject otherwise."""
    model, _ = view(opened, subject.method)
    file = arrays_file(task.folder, subject)
    arrays = read_arrays(file)
    try:
        samples = to_tensor(model, arrays["samples"])
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error), field="samples") from error
    shown = run_network(changed, samples)
    return tuple(changed_answers(parse_spec(subject.spec), arrays["scores"], shown).tolist())


def measure_effect(opened: Opened, changed: nn.Module) -> float:
    """The largest change of any score of natural and noise inputs."""
    return largest_change(probe(opened), run_probes(opened, changed))


@lru_cache(maxsize=8)
def probe(opened: Opened) -> Scores:
    """What the sealed network says of natural and noise inputs."""
    return run_probes(opened, opened.model.network)


def run_probes(opened: Opened, network: nn.Module) -> Scores:
    """What a network says of natural and noise inputs."""
    noise = uniform_noise(opened.model.domain, count=PROBES, generator=random_source(0))
    naturals = to_tensor(opened.model, opened.naturals[:PROBES])
    with np.errstate(invalid="ignore", over="ignore"):
        return run_network(network, torch.cat([naturals, noise.to(naturals)]))
