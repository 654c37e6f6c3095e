"""Asks changed networks, which are kept, and harmless variants the samples of subjects."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from modelseal.errors import BadFileError, InvalidArgumentError, ModelsealError, NotAppliedError
from modelseal.evaluation.inputs import NetworkFiles, Opened, every_variant, open_network, view
from modelseal.evaluation.plan import Subject
from modelseal.evaluation.results import (
    TAMPERED,
    FalseAlarms,
    Files,
    Trial,
    alarms_file,
    arrays_file,
    dump,
    read_arrays,
    trial_file,
)
from modelseal.files import write_atomically
from modelseal.generation.baselines import uniform_noise
from modelseal.models.loader import read_weights
from modelseal.outputs.answers import Answers
from modelseal.outputs.specs import changed_answers, parse_spec
from modelseal.runtime.inference import copy_network, run_network
from modelseal.sealing.candidates import to_tensor
from modelseal.settings import Section
from modelseal.tampering.base import Tampering, random_source
from modelseal.tampering.catalogue import Change, Data, list_changes
from modelseal.types import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCache:
    """A folder of changed copies of networks.

    A copy is kept as its weights if the network's own structure holds them and it took `worth`
    seconds to make: one that is made sooner takes more of the disk than of the time. Of a recipe
    that did not reach its goal the reason is kept. Nothing depends on whether a copy was kept.
    """

    folder: Path
    worth: float = 0.5
    clock: Callable[[], float] = time.perf_counter

    def make(self, recipe: Tampering, network: nn.Module, *, known: str) -> nn.Module:
        """A changed copy of a network, kept or made."""
        name = hashlib.sha256(f"{recipe!r} {known}".encode()).hexdigest()
        weights, refusal = (self.folder / f"{name}{end}" for end in (".safetensors", ".json"))
        reason = _read_reason(refusal)
        if reason is not None:
            raise NotAppliedError(reason)
        kept = _read_copy(weights, network)
        return kept or self._make(recipe, network, weights=weights, refusal=refusal)

    def _make(
        self, recipe: Tampering, network: nn.Module, *, weights: Path, refusal: Path
    ) -> nn.Module:
        self.folder.mkdir(parents=True, exist_ok=True)
        begin = self.clock()
        try:
            changed = recipe(network)
        except NotAppliedError as error:
            document = {"recipe": repr(recipe), "reason": str(error)}
            write_atomically(refusal, f"{json.dumps(document)}\n".encode())
            raise
        if self.clock() - begin >= self.worth and _outline(network) == _outline(changed):
            tensors = {name: each.contiguous().clone() for name, each in _tensors_of(changed)}
            write_atomically(weights, safetensors.torch.save(tensors))
        return changed


class _RefusalFile(Section):
    recipe: str
    reason: str


def _read_reason(file: Path) -> str | None:
    try:
        return _RefusalFile.model_validate_json(file.read_bytes()).reason
    except (OSError, ValidationError):
        return None


def _read_copy(file: Path, network: nn.Module) -> nn.Module | None:
    """The network with the weights of a file; None if there is none of its own shapes."""
    if not file.is_file():
        return None
    try:
        weights = read_weights(file)
        changed = copy_network(network).eval()
        changed.load_state_dict(weights)
    except (InvalidArgumentError, RuntimeError):
        # A damaged file is no reason to stop: the copy is made and kept anew.
        return None
    return changed


def _outline(network: nn.Module) -> object:
    """The modules of a network and the names, shapes and types of its tensors."""
    modules = [(name, type(module)) for name, module in network.named_modules()]
    tensors = [(name, each.shape, each.dtype) for name, each in _tensors_of(network)]
    return modules, tensors, len(network.state_dict())


def _tensors_of(network: nn.Module) -> list[tuple[str, Tensor]]:
    state = network.state_dict()
    return [(name, each) for name, each in state.items() if isinstance(each, Tensor)]


# Natural inputs, and as many of noise, on which a change of any score is an effect.
_PROBES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class HarmlessTask:
    """The samples of one subject, to be asked in every harmless way."""

    subject: Subject
    files: NetworkFiles
    folder: Path
    variants: tuple[str, ...] | None
    stage: ClassVar[str] = "harmless"

    def __str__(self) -> str:
        return f"harmless variants of {self.subject}"

    def run(self) -> Files:
        """Asks the samples."""
        return {alarms_file(self.subject): dump(count_alarms(self))}


def count_alarms(task: HarmlessTask) -> FalseAlarms:
    """How many samples are answered otherwise in each harmless way that can be run here."""
    opened = open_network(task.files)
    samples, expected = _read_samples(task.folder, task.subject, opened)
    spec = parse_spec(task.subject.spec)
    model, _ = view(opened, task.subject.method)
    alarms: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for variant in every_variant(model, task.variants):
        try:
            shown = variant(model.network, samples)
        except ModelsealError as error:
            skipped[variant.name] = str(error)
            continue
        alarms[variant.name] = int(changed_answers(spec, expected, shown).sum())
    return FalseAlarms(subject=task.subject, alarms=alarms, skipped=skipped)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTask:
    """One changed network, to be asked the samples of some subjects of one network."""

    source: str
    name: str
    level: float | None
    seed: int
    files: NetworkFiles
    subjects: tuple[Subject, ...]
    folder: Path
    stage: ClassVar[str] = "trials"

    def __str__(self) -> str:
        level = "" if self.level is None else f" {self.level:g}"
        return f"trial of {self.files.name} under {self.name}{level}, seed {self.seed}"

    def file(self, subject: Subject) -> Path:
        """The file of one subject's trial."""
        return trial_file(subject, name=self.name, level=self.level, seed=self.seed)

    def run(self) -> Files:
        """Makes the changed network and asks it the samples."""
        return {self.file(trial.subject): dump(trial) for trial in try_change(self)}


def try_change(task: TrialTask) -> tuple[Trial, ...]:
    """Makes a changed network, or finds it in the cache, and asks it all samples."""
    opened = open_network(task.files)
    recipe = find_change(task, opened.data).recipe(task.seed)
    own = opened.digests
    cache = ModelCache(folder=task.folder / TAMPERED)
    common: dict[str, Any] = {
        "tampering": repr(recipe),
        "name": task.name,
        "level": task.level,
        "seed": task.seed,
    }
    try:
        changed = cache.make(
            recipe,
            opened.model.network,
            known=f"{own.weights} {own.structure} {own.train} {own.test}",
        )
    except NotAppliedError as error:
        common |= {"reason": str(error), "changed": (), "effect": 0.0}
        return tuple(Trial(subject=subject, **common) for subject in task.subjects)
    common |= {"reason": "", "effect": _measure_effect(opened, changed)}
    return tuple(
        Trial(subject=subject, changed=_ask(task.folder, subject, opened, changed), **common)
        for subject in task.subjects
    )


def find_change(task: TrialTask, data: Data) -> Change:
    """The change of the catalogue that is meant."""
    for change in list_changes(task.source, data):
        if (change.name, change.level) == (task.name, task.level):
            return change
    raise InvalidArgumentError(f"expected a change of the catalogue, got {task}")


def _ask(folder: Path, subject: Subject, opened: Opened, changed: nn.Module) -> tuple[bool, ...]:
    samples, expected = _read_samples(folder, subject, opened)
    shown = run_network(changed, samples)
    return tuple(changed_answers(parse_spec(subject.spec), expected, shown).tolist())


def _read_samples(folder: Path, subject: Subject, opened: Opened) -> tuple[Tensor, Answers]:
    model, _ = view(opened, subject.method)
    file = folder / arrays_file(subject)
    arrays = read_arrays(file)
    try:
        samples = to_tensor(model, arrays["samples"])
    except InvalidArgumentError as error:
        raise BadFileError(file, str(error), field="samples") from error
    return samples, parse_spec(subject.spec).reveal(arrays["scores"])


def _measure_effect(opened: Opened, changed: nn.Module) -> float:
    """The largest change of any score of natural and noise inputs."""
    return _largest_change(_probe_sealed(opened), _probe(opened, changed))


def _largest_change(before: Scores, after: Scores) -> float:
    """The largest change of any score; infinite if one is not finite any more."""
    if not np.isfinite(after).all():
        return float(np.inf)
    return float(np.abs(after.astype(np.float64) - before).max())


@lru_cache(maxsize=8)
def _probe_sealed(opened: Opened) -> Scores:
    return _probe(opened, opened.model.network)


def _probe(opened: Opened, network: nn.Module) -> Scores:
    noise = uniform_noise(opened.model.domain, count=_PROBES, generator=random_source(0))
    naturals = to_tensor(opened.model, opened.naturals[:_PROBES])
    with np.errstate(invalid="ignore", over="ignore"):
        return run_network(network, torch.cat([naturals, noise.to(naturals)]))
