"""Makes candidates of natural inputs and keeps those that no harmless variant can flip."""

from functools import lru_cache, partial
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from modelseal.calibration.calibrate import Calibration, calibrate
from modelseal.calibration.variants import Replaced, Variant, all_variants, fp32_variants
from modelseal.errors import BadFileError, InvalidArgumentError, SealingError
from modelseal.files import now
from modelseal.fingerprint.file_format import weights_digest
from modelseal.fingerprint.fingerprint import Fingerprint, Origin
from modelseal.generation.image_quality import measure_psnr
from modelseal.models.loader import Model, load_model
from modelseal.models.transforms import reorderings
from modelseal.outputs.specs import TopLabels
from modelseal.parallel.workers import Sequential, Workers
from modelseal.runtime.devices import device_of, settle_network, without_tf32
from modelseal.runtime.inference import counting, foreign_errors, run_network
from modelseal.sealing.checkpoints import Piece, PieceTask, cut, make_pieces
from modelseal.sealing.methods import METHODS, measure_margin
from modelseal.sealing.recipe import Recipe
from modelseal.types import Array, Codes, Mask, PerInput, Progress, Scores, ignore

# A boundary sample whose margin is this many times what it, or half of the others, need has
# failed to come near its tie, unless it is this share of its natural input's margin at the most.
WIDE, SHARE = 10.0, 0.01
# Softmax in float32 adds up to 1 within 1e-6, in half precision within 1e-3.
_PROBABILITY_TOLERANCE = 1e-3
PACKAGES = ("modelseal", "numpy", "torch")


@without_tf32()
def make_candidates(  # noqa: PLR0913 (where and how long)
    model: Model,
    naturals: Codes,
    *,
    recipe: Recipe,
    count: int = 64,
    workers: Workers | None = None,
    checkpoints: Path | None = None,
    seconds: float = inf,
    progress: Progress = ignore,
) -> Fingerprint:
    """Makes candidates, calibrates them, and keeps those that hold what the recipe promises.

    All `Workers` take one thread of torch, so that any number of them gives the same bytes; without
    them the last bits of a score depend on the number of this process's threads.
    """
    METHODS.get(recipe.method)
    is_here = workers is None or isinstance(workers, Sequential)
    if not is_here and model.source is None:
        raise InvalidArgumentError(
            "expected a model of a model.toml for workers outside of this process, got another",
            field="model",
        )
    drawn = draw(model, naturals, count, recipe.seed)
    digest = digest_network(model.network)
    tasks = [
        PieceTask(
            number=number,
            rows=rows,
            naturals=naturals[rows],
            recipe=recipe,
            weights=digest,
            device=str(device_of(model.network)),
            threads=torch.get_num_threads() if workers is None else 1,
            source=model.source,
        )
        for number, rows in enumerate(cut(drawn, recipe.domain))
    ]
    pieces = make_pieces(
        tasks,
        partial(_make_piece, model) if is_here else _make_elsewhere,
        workers=workers,
        checkpoints=checkpoints,
        seconds=seconds,
        progress=progress,
    )
    # All that were drawn, unless the time was over before.
    rows = np.concatenate([tasks[number].rows for number in pieces])
    codes = np.concatenate([piece.samples for piece in pieces.values()])
    whole = Piece(samples=codes, work=sum(piece.work for piece in pieces.values()))
    return _calibrated(model, recipe, naturals[rows], whole, rows, progress)


def draw(model: Model, naturals: Codes, count: int, seed: int) -> Array:
    """The numbers of the natural inputs that are used, in random order."""
    model.domain.check(naturals)
    for name, given in (("candidates", count), ("images", len(naturals))):
        if given < 1:
            raise InvalidArgumentError(f"expected 1 or more, got {given}", field=name)
    return np.random.default_rng(seed).permutation(len(naturals))[:count]


def _make_piece(model: Model, task: PieceTask) -> Piece:
    starts, make = to_tensor(model, task.naturals), METHODS.get(task.recipe.method)
    with foreign_errors(), counting(model.network) as counter:
        samples = make(model.network, starts, recipe=task.recipe)
    codes = task.recipe.domain.encode(samples.cpu().numpy())
    return Piece(samples=codes, work=counter.work)


def _make_elsewhere(task: PieceTask) -> Piece:
    return _make_piece(_open_model(cast(Path, task.source), task.weights, task.device), task)


@lru_cache(maxsize=1)
def _open_model(source: Path, weights: str, device: str) -> Model:
    """Loads the network once in every process, if its weights are still these."""
    model = load_model(source)
    if (digest := digest_network(model.network)) != weights:
        raise BadFileError(source, f"expected weights of digest {weights}, got {digest}")
    settle_network(model.network, torch.device(device))
    return model


def to_tensor(model: Model, codes: Codes) -> Tensor:
    """Stored inputs as the network takes them, on its device."""
    return torch.from_numpy(model.domain.decode(codes)).to(device_of(model.network))


def list_variants(model: Model) -> tuple[Variant, ...]:
    """All harmless float32 ways of running this model, its normalisation's orders among them."""
    return (*fp32_variants(device_of(model.network)), *_list_orders(model))


def list_every_variant(model: Model) -> tuple[Variant, ...]:
    """All that sealing tries and much more, for the evaluation of false alarms."""
    return (*all_variants(model.domain, device_of(model.network)), *_list_orders(model))


def _list_orders(model: Model) -> tuple[Variant, ...]:
    """The model with its normalisation computed in other orders."""
    return tuple(Replaced(name, network) for name, network in reorderings(model.network).items())


def _calibrated(
    model: Model,
    recipe: Recipe,
    naturals: Codes,
    piece: Piece,
    rows: Array,
    progress: Progress,
) -> Fingerprint:
    starts, samples = to_tensor(model, naturals), to_tensor(model, piece.samples)
    variants = list_variants(model) if recipe.variants is None else recipe.variants
    calibration = calibrate(
        model.network,
        samples,
        spec=recipe.spec,
        variants=recipe.with_allowed(variants),
        progress=progress,
    )
    _check_allowed(calibration, recipe)
    clean = measure_margin(model.network, starts, recipe.spec).numpy()
    kept = accept(calibration, recipe, naturals=clean)
    scores = run_network(model.network, samples[kept])
    _check_logits(scores, recipe)
    psnr = measure_psnr(samples[kept], starts[kept], span=model.domain.span)
    return Fingerprint(
        domain=model.domain,
        spec=recipe.spec,
        classes=scores.shape[1],
        names=model.names,
        samples=piece.samples[kept],
        expected=recipe.spec.reveal(scores),
        margins=calibration.margins[kept],
        moves=calibration.moves[kept],
        factor=recipe.factor,
        psnr=psnr.double().cpu().numpy(),
        sources=rows[kept],
        origin=_describe(model, recipe, calibration, kept, work=piece.work),
    )


def _check_allowed(calibration: Calibration, recipe: Recipe) -> None:
    """Makes sure that what an owner allows is among what was measured."""
    allowed = {each.value for each in recipe.allowed}
    for each in calibration.skipped:
        if each.name in allowed:
            raise SealingError(f"{each.name} was allowed, but cannot be tried: {each.reason}")


def accept(calibration: Calibration, recipe: Recipe, *, naturals: PerInput) -> Mask:
    """Which candidates have the margin that they need, and not far more."""
    needed = np.maximum(recipe.factor * calibration.moves, recipe.margin or 0.0)
    if not np.isfinite(needed).any():
        raise SealingError(f"expected finite scores, but none of {len(needed)} candidates has any")
    kept = calibration.accepted(recipe.factor) & (calibration.margins >= needed)
    if not kept.any():
        raise SealingError(
            f"none of {len(kept)} candidates can be used: expected a margin of "
            f"{np.nanmedian(needed):.2g}, got a median of {np.nanmedian(calibration.margins):.2g}; "
            "try more candidates or other natural inputs"
        )
    # Digits and tolerances bound the margin themselves: there a wide one says nothing of the tie.
    if recipe.method == "boundary" and isinstance(recipe.spec, TopLabels):
        widest = WIDE * np.maximum(needed, np.median(needed[kept]))
        widest = np.fmax(widest, SHARE * naturals)
        kept &= calibration.margins <= widest
        if not kept.any():
            raise SealingError(
                f"none of {len(kept)} candidates came near a tie of {recipe.tied} classes: "
                f"expected a margin of at most {np.nanmedian(widest):.2g}, got a median of "
                f"{np.nanmedian(calibration.margins):.2g}; try a tie of fewer classes: --tie, or "
                "samples.tie in a plan"
            )
    return np.asarray(kept)


def _check_logits(scores: Scores, recipe: Recipe) -> None:
    """Makes sure that shown numbers can be told: of probabilities none can be made again."""
    sums = scores.astype(np.float64).sum(axis=1)
    if isinstance(recipe.spec, TopLabels) or (scores < 0).any():
        return
    if (np.abs(sums - 1) < _PROBABILITY_TOLERANCE).all():
        raise SealingError(
            f"expected raw scores (logits) for {recipe.spec}, got probabilities; "
            "leave the network's softmax out, or show labels only"
        )


def _describe(
    model: Model, recipe: Recipe, calibration: Calibration, kept: Mask, *, work: float
) -> Origin:
    accepted = int(kept.sum())
    counts = {"candidates": len(kept), "accepted": accepted, "work": round(work / accepted, 1)}
    skipped = ", ".join(each.name for each in calibration.skipped)
    return Origin(
        method=recipe.method,
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
    return weights_digest({name: _as_array(each) for name, each in tensors.items()})


def _as_array(tensor: Tensor) -> Array:
    """A tensor as an array; of a type that numpy lacks, its bits."""
    plain = tensor.detach().cpu().contiguous()
    return (plain.view(torch.int16) if plain.dtype is torch.bfloat16 else plain).numpy()
