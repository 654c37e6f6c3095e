"""Makes the samples of the published experiment, and ours of the same images."""

from dataclasses import dataclass
from math import isfinite
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from modelseal.errors import SealingError
from modelseal.evaluation.reproduction.pair import Pair
from modelseal.evaluation.reproduction.settings import Settings
from modelseal.generation.last_layer import run_last_layer
from modelseal.generation.legacy import LegacyLoop, LegacySettings, legacy
from modelseal.generation.naturalness import measure_psnr, measure_snr
from modelseal.models.devices import device_of
from modelseal.models.vgg_face import MEAN
from modelseal.sealing import generate
from modelseal.sealing.generating import to_tensor
from modelseal.sealing.recipe import Progress
from modelseal.shapes import Codes, Inputs, PerInput


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Made:
    """Samples of one method.

    Args:
        images: As the networks take them: grey levels, whole ones but for `legacy:float`.
        sources: The number of the natural image that each was made of.
        psnr: Of each sample against that, in dB.
        sensitivity: The objective of the published loop at each sample.
        seconds: What making all of them took.
        reason: Why there are none, if so.
    """

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
    return weigh(pair, naturals, pair.decode(naturals), settings, seconds=0.0)


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
    made = weigh(pair, naturals, floats, settings, seconds=seconds)
    kept = np.flatnonzero(is_kept(made, pair.decode(naturals), settings.legacy))
    reason = "" if len(kept) else "no sample came above the threshold"
    rounded = np.asarray(pair.clean.domain.snap(floats))
    whole = weigh(pair, naturals, rounded, settings, seconds=seconds)
    return {
        "legacy:float": take(made, kept, reason=reason),
        "legacy": take(whole, kept, reason=reason),
    }


def is_kept(made: Made, naturals: Inputs, settings: LegacySettings) -> np.ndarray:
    """Which samples the published code keeps."""
    mean = np.array(MEAN, np.float32).reshape(-1, 1, 1)
    signal = torch.from_numpy(naturals - mean)
    ratio = measure_snr(torch.from_numpy(made.images - mean), signal).numpy()
    enough = made.sensitivity > settings.threshold
    return (enough if isfinite(settings.threshold) else np.ones_like(enough)) & (ratio > 0)


def make_ours(pair: Pair, naturals: Codes, settings: Settings, progress: Progress) -> Made:
    """Our samples of the same images; none, with the reason, if none can be made."""
    begin, count = perf_counter(), len(naturals)
    try:
        found = generate(
            pair.clean, naturals, recipe=settings.recipe, candidates=count, progress=progress
        )
    except SealingError as error:
        nothing = make_natural(pair, naturals, settings)
        return take(nothing, np.arange(0), reason=str(error))
    seconds, rows = perf_counter() - begin, np.asarray(found.sources)
    images = pair.decode(found.samples)
    return weigh(pair, naturals[rows], images, settings, seconds=seconds, sources=rows)


def weigh(
    pair: Pair,
    naturals: Codes,
    images: Inputs,
    settings: Settings,
    *,
    seconds: float,
    sources: Int[np.ndarray, " batch"] | None = None,
) -> Made:
    """Samples with what is measured of them; `sources` is their own order by default."""
    psnr = measure_psnr(
        torch.from_numpy(images),
        torch.from_numpy(pair.decode(naturals)),
        span=pair.clean.domain.span,
    )
    return Made(
        images=images,
        sources=np.arange(len(images)) if sources is None else sources,
        psnr=psnr.double().numpy(),
        sensitivity=measure_sensitivity(pair, images, settings.legacy),
        seconds=seconds,
    )


def measure_sensitivity(pair: Pair, images: Inputs, settings: LegacySettings) -> PerInput:
    """The objective of the published loop, without the total variation, at each image."""
    network, domain = pair.clean.network, pair.clean.domain
    tensor: Tensor = torch.from_numpy(images).to(device_of(network))
    with torch.no_grad():
        last = run_last_layer(network, tensor[:1])
    loop = LegacyLoop(
        network=network,
        name=f"{last.name}.weight",
        weight=last.module.weight.detach().clone().requires_grad_(),
        domain=domain,
        settings=settings,
    )
    # Grey levels are what these networks take.
    return np.array([float(loop.measure(one[None]).detach()) for one in tensor])


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
