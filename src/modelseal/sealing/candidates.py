"""Makes candidates of natural inputs and keeps those that no harmless variant can flip."""

from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from modelseal.calibration.calibrate import Calibration, calibrate
from modelseal.calibration.variants import Replaced, Variant, all_variants, fp32_variants
from modelseal.errors import BadFileError, InvalidArgumentError, SealingError
from modelseal.files import now
from modelseal.fingerprint.codec import weights_digest
from modelseal.fingerprint.record import Fingerprint, Origin
from modelseal.generation.image_quality import measure_psnr
from modelseal.models.loader import Model, load_model
from modelseal.models.transforms import reorderings
from modelseal.outputs.specs import TopLabels
from modelseal.runtime.cost import counting
from modelseal.runtime.devices import device_of, settle_network
from modelseal.runtime.float32 import without_tf32
from modelseal.runtime.inference import foreign_errors, run_network
from modelseal.sealing.checkpoints import Logistics, Piece, PieceTask, cut_evenly, gather
from modelseal.sealing.methods import make_samples
from modelseal.sealing.recipe import Method, Recipe
from modelseal.sealing.search import measure_margin
from modelseal.types import Array, Codes, Mask, PerInput, Progress, Scores, ignore

# A boundary sample whose margin is this many times what it, or half of the others, need has
# failed to come near its tie, unless it is this share of its natural input's margin at the most.
WIDE, SHARE = 10.0, 0.01
# Softmax in float32 adds up to 1 within 1e-6, in half precision within 1e-3.
PROBABILITY_TOLERANCE = 1e-3
PACKAGES = ("modelseal", "numpy", "torch")


@without_tf32()
def generate(
    model: Model,
    naturals: Codes,
    *,
    recipe: Recipe,
    candidates: int = 64,
    progress: Progress = ignore,
    logistics: Logistics | None = None,
) -> Fingerprint:
    """Makes candidates, calibrates them, and keeps those that hold what the recipe promises.

    Args:
        model: The owner's network, untampered.
        naturals: Natural inputs as they are stored.
        recipe: How samples shall be made.
        candidates: Of how many natural inputs, drawn at random; of all if there are fewer.
        progress: Is told of the stages `generate` and `calibrate`.
        logistics: Where and for how long they are made, and kept meanwhile; by default here.

    Returns:
        All accepted candidates, as a fingerprint that `select` takes; its origin says in `work`
        how many forward passes of one input were made for each of them, calibration apart.

    Raises:
        InvalidArgumentError: The inputs do not fit the domain, or there are none.
        SealingError: No candidate was accepted, or the network cannot be run.
        BadFileError: A finished piece cannot be kept.
    """
    drawn = draw(model, naturals, candidates, recipe.seed)
    plan = logistics or Logistics()
    tasks = plan_pieces(model, naturals, drawn, recipe, plan)
    perform = partial(make_piece, model) if plan.is_here else make_elsewhere
    pieces = gather(tasks, perform, logistics=plan, progress=progress)
    # All that were drawn, unless the time was over before.
    rows = np.concatenate([tasks[number].rows for number in pieces])
    codes = np.concatenate([piece.samples for piece in pieces.values()])
    starts, samples = to_tensor(model, naturals[rows]), to_tensor(model, codes)
    calibration = calibrate(
        model.network,
        samples,
        spec=recipe.spec,
        variants=recipe.with_allowed(
            list_variants(model) if recipe.variants is None else recipe.variants
        ),
        progress=progress,
    )
    check_allowed(calibration, recipe)
    kept = accept(calibration, recipe, naturals=measure_margin(model, starts, recipe).numpy())
    work = sum(piece.work for piece in pieces.values())
    origin = describe(model, recipe, calibration, kept, work=work)
    psnr = measure_psnr(samples[kept], starts[kept], span=model.domain.span)
    scores = run_network(model.network, samples[kept])
    check_logits(scores, recipe)
    return Fingerprint(
        domain=model.domain,
        spec=recipe.spec,
        classes=scores.shape[1],
        names=model.names,
        samples=codes[kept],
        expected=recipe.spec.reveal(scores),
        margins=calibration.margins[kept],
        moves=calibration.moves[kept],
        factor=recipe.factor,
        psnr=psnr.double().cpu().numpy(),
        sources=rows[kept],
        origin=origin,
    )


def draw(model: Model, naturals: Codes, candidates: int, seed: int) -> Array:
    """The numbers of the natural inputs that are used, in random order.

    Raises:
        InvalidArgumentError: There are none, or they do not fit the domain.
    """
    model.domain.check(naturals)
    if candidates < 1 or not len(naturals):
        raise InvalidArgumentError(
            f"at least 1 candidate and 1 natural input are needed, but got {candidates} "
            f"and {len(naturals)}"
        )
    return np.random.default_rng(seed).permutation(len(naturals))[:candidates]


def plan_pieces(
    model: Model, naturals: Codes, drawn: Array, recipe: Recipe, logistics: Logistics
) -> list[PieceTask]:
    """The pieces that are to be made, in the order of drawing."""
    weights = digest_network(model.network)
    return [
        PieceTask(
            number=number,
            rows=drawn[first:last],
            naturals=naturals[drawn[first:last]],
            recipe=recipe,
            weights=weights,
            domain=model.domain,
            device=str(device_of(model.network)),
            threads=logistics.threads,
            source=logistics.source,
        )
        for number, (first, last) in enumerate(cut_evenly(len(drawn), model.domain))
    ]


def make_piece(model: Model, task: PieceTask) -> Piece:
    """Makes the samples of one piece, and counts what they cost.

    Raises:
        SealingError: The network cannot be run.
    """
    starts = to_tensor(model, task.naturals)
    with foreign_errors(), counting(model.network) as counter:
        samples = make_samples(model, starts, task.recipe)
    return Piece(samples=model.domain.encode(samples.cpu().numpy()), work=counter.work)


def make_elsewhere(task: PieceTask) -> Piece:
    """The same in a process that has no network yet.

    Raises:
        ModelsealError: The network cannot be run, or the model.toml is another one by now.
    """
    return make_piece(open_model(cast(Path, task.source), task.weights, task.device), task)


@lru_cache(maxsize=1)
def open_model(source: Path, weights: str, device: str) -> Model:
    """Loads the network once in every process.

    Raises:
        BadFileError: The model.toml cannot be used, or its weights are others than these.
    """
    model = load_model(source)
    if digest_network(model.network) != weights:
        raise BadFileError(source, f"weights of digest {weights} were wanted, but others came")
    settle_network(model.network, torch.device(device))
    return model


def to_tensor(model: Model, codes: Codes) -> Tensor:
    """Stored inputs as the network takes them, on its device."""
    return torch.from_numpy(model.domain.decode(codes)).to(device_of(model.network))


def list_variants(model: Model) -> tuple[Variant, ...]:
    """All harmless float32 ways of running this model, its normalisation's orders among them."""
    return (*fp32_variants(device_of(model.network)), *list_orders(model))


def list_every_variant(model: Model) -> tuple[Variant, ...]:
    """All that sealing tries and much more, for the evaluation of false alarms."""
    return (*all_variants(model.domain, device_of(model.network)), *list_orders(model))


def list_orders(model: Model) -> tuple[Variant, ...]:
    """The model with its normalisation computed in other orders."""
    return tuple(Replaced(name, network) for name, network in reorderings(model.network).items())


def check_allowed(calibration: Calibration, recipe: Recipe) -> None:
    """Makes sure that what an owner allows is among what was measured.

    Raises:
        SealingError: The network cannot be run in an allowed precision.
    """
    allowed = {each.value for each in recipe.allowed}
    for each in calibration.skipped:
        if each.name in allowed:
            raise SealingError(f"{each.name} was allowed, but cannot be tried: {each.reason}")


def accept(calibration: Calibration, recipe: Recipe, *, naturals: PerInput) -> Mask:
    """Which candidates have the margin that they need, and not far more.

    Args:
        calibration: What harmless variants did to the candidates.
        recipe: How they were made.
        naturals: The margins of the natural inputs that they were made from.

    Raises:
        SealingError: None has.
    """
    needed = np.maximum(recipe.factor * calibration.moves, recipe.margin or 0.0)
    if not np.isfinite(needed).any():
        raise SealingError(f"finite scores were wanted, but none of {len(needed)} candidates has")
    kept = calibration.accepted(recipe.factor) & (calibration.margins >= needed)
    if not kept.any():
        raise SealingError(
            f"none of {len(kept)} candidates can be used: a margin of "
            f"{np.nanmedian(needed):.2g} is needed, but the median is "
            f"{np.nanmedian(calibration.margins):.2g}; try more candidates or other natural inputs"
        )
    # Digits and tolerances bound the margin themselves: there a wide one says nothing of the tie.
    if recipe.method is Method.BOUNDARY and isinstance(recipe.spec, TopLabels):
        widest = WIDE * np.maximum(needed, np.median(needed[kept]))
        widest = np.fmax(widest, SHARE * naturals)
        kept &= calibration.margins <= widest
        if not kept.any():
            raise SealingError(
                f"none of {len(kept)} candidates came near a tie of {recipe.tied} classes: "
                f"a margin of at most {np.nanmedian(widest):.2g} was wanted, but the median is "
                f"{np.nanmedian(calibration.margins):.2g}; try a tie of fewer classes: --tie, or "
                "samples.tie in a plan"
            )
    return np.asarray(kept)


def check_logits(scores: Scores, recipe: Recipe) -> None:
    """Makes sure that shown numbers can be told: of probabilities none can be made again.

    Raises:
        SealingError: The spec shows numbers, and the network gives probabilities already.
    """
    sums = scores.astype(np.float64).sum(axis=1)
    if isinstance(recipe.spec, TopLabels) or (scores < 0).any():
        return
    if (np.abs(sums - 1) < PROBABILITY_TOLERANCE).all():
        raise SealingError(
            f"raw scores (logits) were wanted for {recipe.spec}, but the network gives "
            "probabilities; leave its softmax out, or show labels only"
        )


def describe(
    model: Model, recipe: Recipe, calibration: Calibration, kept: Mask, *, work: float
) -> Origin:
    """How the samples of a fingerprint were made."""
    accepted = int(kept.sum())
    counts = {"candidates": len(kept), "accepted": accepted, "work": round(work / accepted, 1)}
    skipped = ", ".join(each.name for each in calibration.skipped)
    return Origin(
        method=recipe.method.value,
        parameters={**recipe.parameters, **counts, **({"skipped": skipped} if skipped else {})},
        seed=recipe.seed,
        weights_digest=digest_network(model.network),
        packages={name: version(name) for name in PACKAGES},
        created=now(),
        variants=calibration.variants,
        harmless_answers=len(calibration.variants) * accepted,
    )


def digest_network(network: nn.Module) -> str:
    """Digest of all weights and statistics of a network, without extra state that is no tensor."""
    tensors = {
        name: each for name, each in network.state_dict().items() if isinstance(each, Tensor)
    }
    return weights_digest({name: as_array(each) for name, each in tensors.items()})


def as_array(tensor: Tensor) -> Array:
    """A tensor as an array; of a type that numpy lacks, its bits."""
    plain = tensor.detach().cpu().contiguous()
    return (plain.view(torch.int16) if plain.dtype is torch.bfloat16 else plain).numpy()
