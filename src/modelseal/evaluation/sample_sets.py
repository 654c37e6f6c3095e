"""Makes the samples of one subject, and chooses sets of them by every rule."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from modelseal.calibration.calibrate import calibrate
from modelseal.calibration.variants import Variant
from modelseal.errors import SealingError
from modelseal.evaluation.inputs import (
    NetworkFiles,
    Numbers,
    Opened,
    derive_seed,
    open_network,
    sealing_variants,
    view,
)
from modelseal.evaluation.plan import FLOAT, Plan, SamplesSection, Subject
from modelseal.evaluation.results import (
    Files,
    Picks,
    SampleSet,
    arrays_file,
    costs_file,
    dump,
    dump_arrays,
    set_file,
)
from modelseal.fingerprint.file_format import weights_digest
from modelseal.generation.image_quality import measure_psnr
from modelseal.models.loader import Model
from modelseal.outputs.specs import OutputSpec, changed_answers, parse_spec
from modelseal.runtime.inference import counting, foreign_errors, run_network
from modelseal.sealing.candidates import draw, make_candidates, to_tensor
from modelseal.sealing.methods import METHODS
from modelseal.sealing.perturbations import foretell_flips, small_copies
from modelseal.sealing.pipeline import DRAWS
from modelseal.sealing.recipe import Recipe
from modelseal.selection.activations import active_neurons
from modelseal.selection.cover import Bits, cover, cover_changes, random_picks
from modelseal.settings import Section
from modelseal.types import Array, Codes, PerInput, Scores

# Natural inputs that are worked on together.
PIECE = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleTask:
    """The samples of one subject, to be made; all methods start from the same natural inputs."""

    subject: Subject
    files: NetworkFiles
    samples: SamplesSection
    seed: int
    variants: tuple[str, ...] | None
    stage: ClassVar[str] = "samples"

    def __str__(self) -> str:
        return f"samples of {self.subject}"

    def run(self) -> Files:
        """Makes the samples."""
        found, arrays, seconds = make_set(self)
        return {
            arrays_file(self.subject): dump_arrays(arrays),
            costs_file(self.subject): dump(_Costs(seconds=seconds)),
            set_file(self.subject): dump(found),
        }


class _Costs(Section):
    """How long it took to make samples here."""

    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Made:
    """The samples of a subject with their calibration, and what all of them cost together."""

    codes: Codes
    scores: Scores
    psnr: PerInput
    margins: PerInput
    moves: PerInput
    sources: Numbers
    work: float


def sample_task(plan: Plan, subject: Subject, files: NetworkFiles) -> SampleTask:
    """What a plan says of one subject's samples."""
    return SampleTask(
        subject=subject,
        files=files,
        samples=plan.samples.of(subject.method),
        seed=derive_seed("samples", plan.samples.seed, subject.network),
        variants=plan.variants,
    )


def make_set(task: SampleTask) -> tuple[SampleSet, dict[str, Array], float]:
    """The samples of one subject as reports and as trials need them, and the seconds they took."""
    opened = open_network(task.files)
    model, naturals = view(opened, task.subject.method)
    method = task.subject.method.removesuffix(FLOAT)
    recipe = Recipe(
        domain=model.domain,
        method=method,
        spec=parse_spec(task.subject.spec),
        tied=task.samples.tie,
        seed=task.seed,
        variants=sealing_variants(model, task.variants),
    )
    begin = time.perf_counter()
    make = _make_accepted if method == "boundary" else _make_all
    pool = choose_pool(opened, method)
    made = make(model, naturals[pool], recipe, task.samples.candidates)
    seconds = time.perf_counter() - begin
    arrays = {"samples": made.codes, "scores": made.scores, "sources": pool[made.sources]}
    picks = pick(
        opened, to_tensor(model, made.codes), spec=recipe.spec, samples=task.samples, seed=task.seed
    )
    found = SampleSet(
        subject=task.subject,
        psnr=_listed(made.psnr),
        margins=_listed(made.margins),
        moves=_listed(made.moves),
        picks=picks,
        work=made.work / len(made.codes),
        digest=weights_digest(arrays),
    )
    return found, arrays, seconds


def choose_pool(opened: Opened, method: str) -> Numbers:
    """The numbers of the natural inputs that a method starts from."""
    rows = np.arange(len(opened.naturals), dtype=np.int64)
    if method != "misclassified":
        return rows
    scores = run_network(opened.model.network, to_tensor(opened.model, opened.naturals))
    wrong = rows[scores.argmax(axis=1) != opened.labels]
    if not len(wrong):
        raise SealingError("expected wrongly classified inputs, but the network errs on none")
    return cast(Numbers, wrong)


def _make_accepted(model: Model, naturals: Codes, recipe: Recipe, candidates: int) -> _Made:
    with ExitStack() as stack:
        counter = stack.enter_context(counting(model.network))

        def note(stage: str, done: int, total: int) -> None:
            # Calibration comes after it, which no method is charged for.
            if stage == "generate" and done == total:
                stack.close()

        found = make_candidates(model, naturals, recipe=recipe, count=candidates, progress=note)
    return _Made(
        codes=found.samples,
        scores=run_network(model.network, to_tensor(model, found.samples)),
        psnr=found.psnr,
        margins=found.margins,
        moves=found.moves,
        sources=found.sources,
        work=counter.work,
    )


def _make_all(model: Model, naturals: Codes, recipe: Recipe, candidates: int) -> _Made:
    rows = draw(model, naturals, candidates, recipe.seed)
    starts = to_tensor(model, naturals[rows])
    with counting(model.network) as counter:
        codes = _make_pieces(model, starts, recipe)
    samples = to_tensor(model, codes)
    scores = run_network(model.network, samples)
    if not np.isfinite(scores).all():
        raise SealingError("expected finite scores, got others for a sample")
    variants = cast(Sequence[Variant], recipe.variants)
    calibration = calibrate(model.network, samples, spec=recipe.spec, variants=variants)
    psnr = measure_psnr(samples, starts, span=model.domain.span)
    return _Made(
        codes=codes,
        scores=scores,
        psnr=psnr.double().cpu().numpy(),
        margins=calibration.margins,
        moves=calibration.moves,
        sources=rows,
        work=counter.work,
    )


def _make_pieces(model: Model, starts: Tensor, recipe: Recipe) -> Codes:
    make, parts = METHODS.get(recipe.method), []
    for number, (first, last) in enumerate(pairwise([*range(0, len(starts), PIECE), len(starts)])):
        own = replace(recipe, seed=recipe.seed + number)
        with foreign_errors():
            parts.append(make(model.network, starts[first:last], recipe=own))
    return model.domain.encode(torch.cat(parts).cpu().numpy())


def _listed(values: PerInput) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


_Rule: TypeAlias = Callable[[Array, int, int], Sequence[int]]
"""Chooses places of a bag; takes the bag, how many, and the bag's number."""


def pick(
    opened: Opened, inputs: Tensor, *, spec: OutputSpec, samples: SamplesSection, seed: int
) -> dict[str, Picks]:
    """Chooses a set out of each bag by each rule; a bag that has fewer samples gives all."""
    bags = fill(len(inputs), samples.bags, samples.bag, seed)
    picks: dict[str, Picks] = {}
    for rule in samples.rules:
        choose = _CHOOSING[rule](opened, inputs, spec, seed)
        picks[rule] = tuple(
            tuple(int(bag[at]) for at in choose(bag, min(samples.count, len(bag)), place))
            for place, bag in enumerate(bags)
        )
    return picks


def fill(samples: int, bags: int, size: int, seed: int) -> list[Array]:
    """The numbers of samples in each bag, drawn at random; one bag of all if there are no more."""
    source = np.random.default_rng(derive_seed("bags", seed))
    if samples <= size:
        return [source.permutation(samples)]
    return [source.permutation(samples)[:size] for _ in range(bags)]


def _by_neurons(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> _Rule:
    active = active_neurons(opened.model.network, samples)
    return lambda bag, count, _: cover(active[bag], count).order


def _by_detection(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> _Rule:
    active = active_neurons(opened.model.network, samples)
    detected = detect_small(opened, samples, spec, seed)
    margins = np.asarray(spec.margin(run_network(opened.model.network, samples)), np.float64)
    return lambda bag, count, _: cover_changes(
        detected[bag], active[bag], margins=margins[bag], count=count
    )


def _by_chance(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> _Rule:
    return lambda bag, count, place: random_picks(
        len(bag), count, np.random.default_rng(derive_seed("random", seed, place))
    )


_CHOOSING: Mapping[str, Callable[[Opened, Tensor, OutputSpec, int], _Rule]] = {
    "manc": _by_neurons,
    "detection": _by_detection,
    "random": _by_chance,
}
"""How each rule chooses, readied for the samples of one subject."""


def detect_small(opened: Opened, samples: Tensor, spec: OutputSpec, seed: int) -> Bits:
    """Which small changes each sample notices, as rows of bits.

    The changes have seeds of their own, that no trial has, and those that know no seed are left
    out: a set must not be chosen by what it is tried on.
    """
    expected = spec.reveal(run_network(opened.model.network, samples))
    copies = small_copies(opened.model, samples, draws=DRAWS, seed=seed, fixed=False)
    rows = [changed_answers(spec, expected, run_network(changed, samples)) for changed in copies]
    flips = foretell_flips(opened.model.network, samples, spec=spec, seed=seed)
    noticed = np.hstack([np.stack(rows, axis=1), flips])
    return cast(Bits, np.packbits(noticed, axis=1))
