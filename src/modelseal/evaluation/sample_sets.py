"""Makes the samples of one subject, and measures what can be said of them without a change."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import numpy as np
import torch

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
from modelseal.evaluation.plan import FLOAT, Plan
from modelseal.evaluation.results import SampleSet, Subject
from modelseal.evaluation.subsets import pick
from modelseal.generation.image_quality import measure_psnr
from modelseal.models.loader import Model
from modelseal.outputs.specs import parse_spec
from modelseal.runtime.cost import Counter, counting
from modelseal.runtime.inference import foreign_errors, run_network
from modelseal.sealing.candidates import draw, generate, to_tensor
from modelseal.sealing.methods import make_samples
from modelseal.sealing.recipe import Method, Recipe
from modelseal.types import Array, Codes, PerInput, Scores

# Natural inputs that are worked on together.
PIECE = 32
# The method whose natural inputs are those that the network takes for another class.
MISCLASSIFIED = "misclassified"


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleTask:
    """The samples of one subject, to be made.

    Args:
        subject: Whose samples.
        files: Its network.
        candidates: Of how many natural inputs.
        bags: How many bags are drawn of them.
        bag: How many candidates a bag has.
        count: The largest number of samples in a set.
        tie: How many classes tie in samples of ours.
        rules: How sets are chosen.
        seed: The seed of the network's draws: all methods start from the same natural inputs.
        variants: The names of the harmless variants; None is all.
    """

    subject: Subject
    files: NetworkFiles
    candidates: int
    bags: int
    bag: int
    count: int
    tie: int
    rules: tuple[str, ...]
    seed: int
    variants: tuple[str, ...] | None

    def __str__(self) -> str:
        return f"samples of {self.subject.method} for {self.subject.network}, {self.subject.spec}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Made:
    """The samples of a subject with their calibration.

    Args:
        codes: As they are stored.
        scores: What the sealed network says of them.
        psnr: Of each against its natural input, in dB.
        margins: How far each is from another shown answer.
        moves: How far harmless variants moved it at the most.
        sources: The numbers of the natural inputs.
        work: What all of them cost together, in forward passes of one input.
    """

    codes: Codes
    scores: Scores
    psnr: PerInput
    margins: PerInput
    moves: PerInput
    sources: Numbers
    work: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleResult:
    """What was made for a subject.

    Args:
        samples: All that reports need; no alarms yet.
        arrays: What asking needs: `samples` as they are stored, the sealed network's `scores` of
            them, and `sources`, the numbers of their natural inputs.
        seconds: How long making them took here.
    """

    samples: SampleSet
    arrays: dict[str, Array]
    seconds: float


def sample_task(plan: Plan, subject: Subject, files: NetworkFiles) -> SampleTask:
    """What a plan says of one subject's samples."""
    common = plan.samples
    own = common.methods.get(subject.method)
    names = plan.harmless.variants
    return SampleTask(
        subject=subject,
        files=files,
        candidates=(own and own.candidates) or common.candidates,
        bags=(own and own.bags) or common.bags,
        bag=(own and own.bag) or common.bag,
        count=common.count,
        tie=common.tie,
        rules=tuple(common.rules),
        seed=derive_seed("samples", common.seed, subject.network),
        variants=None if names is None else tuple(names),
    )


def make_set(task: SampleTask) -> SampleResult:
    """Makes the samples of one subject.

    Raises:
        ModelsealError: No samples can be made.
    """
    opened = open_network(task.files)
    model, naturals = view(opened, task.subject.method)
    method = Method(task.subject.method.removesuffix(FLOAT))
    recipe = Recipe(
        method=method,
        spec=parse_spec(task.subject.spec),
        tied=task.tie,
        seed=task.seed,
        variants=sealing_variants(model, task.variants),
    )
    begin = time.perf_counter()
    make = make_accepted if method is Method.BOUNDARY else make_all
    pool = choose_pool(opened, method)
    made = make(model, naturals[pool], recipe, task.candidates)
    seconds = time.perf_counter() - begin
    picks = pick(
        opened,
        to_tensor(model, made.codes),
        spec=recipe.spec,
        rules=task.rules,
        sizes=(task.bags, task.bag, task.count),
        seed=task.seed,
    )
    return SampleResult(
        samples=SampleSet(
            subject=task.subject,
            psnr=listed(made.psnr),
            margins=listed(made.margins),
            moves=listed(made.moves),
            picks=picks,
            alarms={},
            work=made.work / len(made.codes),
        ),
        arrays={"samples": made.codes, "scores": made.scores, "sources": pool[made.sources]},
        seconds=seconds,
    )


def choose_pool(opened: Opened, method: Method) -> Numbers:
    """The numbers of the natural inputs that a method starts from.

    Raises:
        SealingError: There are none.
    """
    rows = np.arange(len(opened.naturals), dtype=np.int64)
    if method.value != MISCLASSIFIED:
        return rows
    scores = run_network(opened.model.network, to_tensor(opened.model, opened.naturals))
    wrong = rows[scores.argmax(axis=1) != opened.labels]
    if not len(wrong):
        raise SealingError("wrongly classified inputs were wanted, but the network errs on none")
    return cast(Numbers, wrong)


def make_accepted(model: Model, naturals: Codes, recipe: Recipe, candidates: int) -> Made:
    """Our own samples: those that sealing accepts.

    Raises:
        SealingError: None is.
    """
    with ExitStack() as stack:
        counter = stack.enter_context(counting(model.network))

        def note(stage: str, done: int, total: int) -> None:
            # Calibration comes after it, which no method is charged for.
            if stage == "generate" and done == total:
                stack.close()

        found = generate(model, naturals, recipe=recipe, candidates=candidates, progress=note)
    return Made(
        codes=found.samples,
        scores=run_network(model.network, to_tensor(model, found.samples)),
        psnr=found.psnr,
        margins=found.margins,
        moves=found.moves,
        sources=found.sources,
        work=counter.work,
    )


def make_all(model: Model, naturals: Codes, recipe: Recipe, candidates: int) -> Made:
    """A rival's samples: all of them, whatever harmless variants do to them.

    Raises:
        SealingError: A score is not finite.
    """
    rows = draw(model, naturals, candidates, recipe.seed)
    starts = to_tensor(model, naturals[rows])
    with counting(model.network) as counter:
        codes, work = make_pieces(model, starts, recipe, counter)
    samples = to_tensor(model, codes)
    scores = run_network(model.network, samples)
    if not np.isfinite(scores).all():
        raise SealingError("finite scores were wanted, but a sample has others")
    variants = cast(Sequence[Variant], recipe.variants)
    calibration = calibrate(model.network, samples, spec=recipe.spec, variants=variants)
    psnr = measure_psnr(samples, starts, span=model.domain.span)
    return Made(
        codes=codes,
        scores=scores,
        psnr=psnr.double().cpu().numpy(),
        margins=calibration.margins,
        moves=calibration.moves,
        sources=rows,
        work=work,
    )


def make_pieces(
    model: Model, starts: torch.Tensor, recipe: Recipe, counter: Counter
) -> tuple[Codes, float]:
    """Samples as they are stored, made piece by piece with a seed for each, and their work."""
    parts = []
    for number, (first, last) in enumerate(pairwise([*range(0, len(starts), PIECE), len(starts)])):
        own = replace(recipe, seed=recipe.seed + number)
        with foreign_errors():
            parts.append(make_samples(model, starts[first:last], own))
    return model.domain.encode(torch.cat(parts).cpu().numpy()), counter.work


def listed(values: PerInput) -> tuple[float, ...]:
    """Numbers as plain floats."""
    return tuple(float(value) for value in values)
