"""The numbers of the published experiment."""

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from modelseal.calibration.variants import Variant
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.generation.baselines.legacy import (
    PUBLISHED,
    LegacySettings,
    legacy,
    legacy_sensitivity,
)
from modelseal.generation.image_quality import measure_psnr, measure_snr
from modelseal.research.vgg_face import MEAN, Faces, Pair, read_faces, read_names
from modelseal.runtime.devices import device_of
from modelseal.sealing.candidates import make_candidates, to_tensor
from modelseal.sealing.recipe import Recipe
from modelseal.selection.activations import active_neurons, list_layers
from modelseal.selection.cover import Bits, cover
from modelseal.types import Codes, Inputs, Mask, PerInput, Progress, ignore


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The numbers of one run."""

    legacy: LegacySettings = PUBLISHED
    tied: int = 10
    variants: tuple[Variant, ...] | None = None
    images: int | None = None
    samples: int = 10
    bag: int = 100
    trials: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "samples", "bag", "trials"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InvalidArgumentError(f"expected 1 or more, got {number}", field=name)
        if self.samples > self.bag:
            raise InvalidArgumentError(
                f"expected samples of a bag of {self.bag}, got {self.samples}", field="samples"
            )
        if not 0 <= self.seed < 2**63:
            raise InvalidArgumentError(f"expected 0 to 2^63 - 1, got {self.seed}", field="seed")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Made:
    """Samples of one method."""

    images: Inputs
    sources: Int[np.ndarray, " batch"]
    psnr: PerInput
    sensitivity: PerInput
    seconds: float
    reason: str = ""

    def __len__(self) -> int:
        return len(self.images)


def make_natural(pair: Pair, naturals: Codes, settings: Settings) -> Made:
    """The natural images themselves."""
    return _weigh(pair, naturals, pair.decode(naturals), settings, seconds=0.0)


def make_legacy(
    pair: Pair, naturals: Codes, settings: Settings, progress: Progress
) -> dict[str, Made]:
    """The samples of the published loop, as floats and as whole grey levels.

    Only those are candidates that the published code would have kept: with a sensitivity above
    the threshold, if there is one, and more signal than noise, as floats.
    """
    starts, found = to_tensor(pair.clean, naturals), []
    begin = perf_counter()
    for number, start in enumerate(starts):
        progress("legacy", number, len(starts))
        network, domain = pair.clean.network, pair.clean.domain
        found.append(legacy(network, start[None], domain=domain, settings=settings.legacy).cpu())
    progress("legacy", len(starts), len(starts))
    seconds = perf_counter() - begin
    floats = torch.cat(found).numpy()
    made = _weigh(pair, naturals, floats, settings, seconds=seconds)
    kept = np.flatnonzero(_is_kept(made, pair.decode(naturals), settings.legacy))
    reason = "" if len(kept) else "no sample came above the threshold"
    rounded = np.asarray(pair.clean.domain.snap(floats))
    whole = _weigh(pair, naturals, rounded, settings, seconds=seconds)
    return {
        "legacy:float": take(made, kept, reason=reason),
        "legacy": take(whole, kept, reason=reason),
    }


def _is_kept(made: Made, naturals: Inputs, settings: LegacySettings) -> np.ndarray:
    mean = np.array(MEAN, np.float32).reshape(-1, 1, 1)
    signal = torch.from_numpy(naturals - mean)
    ratio = measure_snr(torch.from_numpy(made.images - mean), signal).numpy()
    enough = made.sensitivity > settings.threshold
    return (enough if isfinite(settings.threshold) else np.ones_like(enough)) & (ratio > 0)


def make_ours(pair: Pair, naturals: Codes, settings: Settings, progress: Progress) -> Made:
    """Our samples of the same images; none, with the reason, if none can be made."""
    begin, count = perf_counter(), len(naturals)
    try:
        recipe = Recipe(
            domain=pair.clean.domain,
            tied=settings.tied,
            seed=settings.seed,
            variants=settings.variants,
        )
        found = make_candidates(pair.clean, naturals, recipe=recipe, count=count, progress=progress)
    except SealingError as error:
        nothing = make_natural(pair, naturals, settings)
        return take(nothing, np.arange(0), reason=str(error))
    seconds, rows = perf_counter() - begin, np.asarray(found.sources)
    images = pair.decode(found.samples)
    return _weigh(pair, naturals[rows], images, settings, seconds=seconds, sources=rows)


def _weigh(
    pair: Pair,
    naturals: Codes,
    images: Inputs,
    settings: Settings,
    *,
    seconds: float,
    sources: Int[np.ndarray, " batch"] | None = None,
) -> Made:
    psnr = measure_psnr(
        torch.from_numpy(images),
        torch.from_numpy(pair.decode(naturals)),
        span=pair.clean.domain.span,
    )
    return Made(
        images=images,
        sources=np.arange(len(images)) if sources is None else sources,
        psnr=psnr.double().numpy(),
        sensitivity=_measure_sensitivity(pair, images, settings.legacy),
        seconds=seconds,
    )


def _measure_sensitivity(pair: Pair, images: Inputs, settings: LegacySettings) -> PerInput:
    network, domain = pair.clean.network, pair.clean.domain
    tensor: Tensor = torch.from_numpy(images).to(device_of(network))
    found = legacy_sensitivity(network, tensor, domain=domain, settings=settings)
    return found.double().cpu().numpy()


def take(made: Made, rows: Int[np.ndarray, " batch"], *, reason: str) -> Made:
    """Some of the samples."""
    return Made(
        images=made.images[rows],
        sources=made.sources[rows],
        psnr=made.psnr[rows],
        sensitivity=made.sensitivity[rows],
        seconds=made.seconds,
        reason=reason,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Success:
    """How often a choice of samples noticed the trojan."""

    bag: int
    trials: int
    distinct: int
    manc: tuple[float, ...]
    random: tuple[float, ...]


def size_bag(candidates: int, wanted: int) -> int:
    """How many candidates are in a bag: half of all where there are no more than were wanted.

    Examples:
        >>> size_bag(300, 100), size_bag(100, 100), size_bag(7, 100), size_bag(1, 100)
        (100, 50, 4, 1)
    """
    return wanted if candidates > wanted else (candidates + 1) // 2


def count_success(
    active: Bits, noticed: Mask, *, samples: int, bag: int, trials: int, seed: int
) -> Success | None:
    """Draws bags of candidates and chooses of each."""
    if not len(noticed):
        return None
    source = np.random.default_rng(seed)
    bag = size_bag(len(noticed), bag)
    samples = min(samples, bag)
    manc, random = np.zeros(samples), np.zeros(samples)
    choices: set[frozenset[int]] = set()
    for _ in range(trials):
        rows = source.permutation(len(noticed))[:bag]
        chosen = rows[list(cover(active[rows], samples).order)]
        manc += np.logical_or.accumulate(noticed[chosen])
        # The rows came in random order: the first of them are a random choice.
        random += np.logical_or.accumulate(noticed[rows[:samples]])
        choices.add(frozenset(chosen.tolist()))
    return Success(
        bag=bag,
        trials=trials,
        distinct=len(choices),
        manc=tuple((manc / trials).tolist()),
        random=tuple((random / trials).tolist()),
    )


_TARGET = 0

NAMES, _CLEAN_FACES, _TROJANED_FACES = "names.txt", "VGGFace-Clean", "VGGFace-Trojaned"
"""What is in the folder of data, by its published names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sanity:
    """Whether the two networks are what they are said to be."""

    clean_accuracy: float
    trojaned_accuracy: float
    differing: float
    attack_success: float
    images: int
    triggered: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outcome:
    """What the samples of one method noticed."""

    method: str
    made: Made
    noticed: Mask
    success: Success | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reproduction:
    """All that was found."""

    sanity: Sanity
    naturals: Codes
    files: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    layer: str
    settings: Settings


def read_data(folder: Path, pair: Pair) -> tuple[Faces, Faces]:
    """Reads the clean images and those with the trigger."""
    network = pair.clean.network
    classes = len(network.get_parameter("network.fc8.bias"))
    names = read_names(folder / NAMES, classes=classes)
    clean, triggered = (
        read_faces(folder / each, names, pair.clean.domain)
        for each in (_CLEAN_FACES, _TROJANED_FACES)
    )
    return clean, triggered


def check_sanity(pair: Pair, clean: Faces, triggered: Faces) -> Sanity:
    """Measures whether the two networks are what they are said to be."""
    inputs = pair.decode(clean.images)
    plain = pair.answer(pair.clean.network, inputs)
    changed = pair.answer(pair.trojaned, inputs)
    stamped = pair.answer(pair.trojaned, pair.decode(triggered.images))
    return Sanity(
        clean_accuracy=float((plain == clean.labels).mean()),
        trojaned_accuracy=float((changed == clean.labels).mean()),
        differing=float((plain != changed).mean()),
        attack_success=float((stamped == _TARGET).mean()),
        images=len(clean),
        triggered=len(triggered),
    )


def run_experiment(
    pair: Pair, clean: Faces, triggered: Faces, *, settings: Settings, progress: Progress = ignore
) -> Reproduction:
    """Runs the published experiment."""
    rows = draw(len(clean), settings)
    sanity = check_sanity(pair, clean, triggered)
    naturals = clean.images[rows]
    made = {
        "natural": make_natural(pair, naturals, settings),
        **make_legacy(pair, naturals, settings, progress),
        "boundary": make_ours(pair, naturals, settings, progress),
    }
    layer = list_layers(pair.clean.network, _torch_inputs(pair, made["natural"]))[-1]
    outcomes = []
    for number, (method, each) in enumerate(made.items()):
        progress("select", number, len(made))
        outcomes.append(conclude(pair, method, each, layer=layer, settings=settings))
    progress("select", len(made), len(made))
    return Reproduction(
        sanity=sanity,
        naturals=naturals,
        files=tuple(clean.files[row] for row in rows),
        outcomes=tuple(outcomes),
        layer=layer,
        settings=replace(settings, images=len(rows)),
    )


def draw(count: int, settings: Settings) -> np.ndarray:
    """The numbers of the images that samples are made of, in order."""
    wanted = count if settings.images is None else settings.images
    if wanted > count:
        raise InvalidArgumentError(f"expected at most {count} images, got {wanted}", field="images")
    return np.sort(np.random.default_rng(settings.seed).permutation(count)[:wanted])


def conclude(pair: Pair, method: str, made: Made, *, layer: str, settings: Settings) -> Outcome:
    """What the samples of one method notice."""
    if not len(made):
        return Outcome(method=method, made=made, noticed=np.zeros(0, dtype=bool), success=None)
    answers = (pair.answer(each, made.images) for each in (pair.clean.network, pair.trojaned))
    noticed = np.not_equal(*answers)
    active = active_neurons(pair.clean.network, _torch_inputs(pair, made), layers=[layer], batch=8)
    success = count_success(
        active,
        noticed,
        samples=settings.samples,
        bag=settings.bag,
        trials=settings.trials,
        seed=settings.seed,
    )
    return Outcome(method=method, made=made, noticed=noticed, success=success)


def _torch_inputs(pair: Pair, made: Made) -> torch.Tensor:
    return torch.from_numpy(made.images).to(device_of(pair.clean.network))
