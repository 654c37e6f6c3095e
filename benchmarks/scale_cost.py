"""What an accepted sample costs on each network, and what share of the machine's peak that is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cifar import images, resnet
from cost import (
    backward_cost,
    clock,
    measure_boundary,
    median_seconds,
    published_seconds,
)
from modelseal.calibration.calibrate import Calibration, calibrate
from modelseal.calibration.variants import (
    BatchSize,
    ChannelsLast,
    Float64,
    Nnpack,
    Threads,
    Variant,
)
from modelseal.generation.baselines.legacy import PUBLISHED, legacy
from modelseal.generation.image_quality import measure_psnr
from modelseal.models.loader import Model
from modelseal.sealing.candidates import accept, to_tensor
from modelseal.sealing.methods import measure_margin
from modelseal.sealing.recipe import Recipe
from networks import photographs, vgg_face, vit

# The published loop is measured for so many of its 1,000 steps: they all cost the same.
STEPS, PUBLISHED_STEPS = 20, 1000
# The ways of running that a large network can be tried in within a minute.
QUICK: tuple[Variant, ...] = (BatchSize(2, 1), Threads(1), ChannelsLast(), Float64(), Nnpack())
GEMM = 3072


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subject:
    """A network and what its samples are made of.

    Args:
        model: The network.
        starts: Natural inputs.
        recipe: How samples are made.
    """

    model: Model
    starts: Tensor
    recipe: Recipe


def open_subject(name: str) -> Subject:
    """A network of the benchmark by its name."""
    return SUBJECTS[name]()


def cifar_subject() -> Subject:
    """ResNet-20 with ties of all ten classes."""
    model = resnet(20)
    starts = to_tensor(model, images("test", 12)[0])
    return Subject(model=model, starts=starts, recipe=Recipe(domain=model.domain))


def large_subject(build: Callable[[], Model], count: int) -> Subject:
    """A network at 224 x 224 with ties of four classes."""
    model = build()
    # The statistics of its layers were taken over other photographs.
    starts = to_tensor(model, photographs()[-count:])
    return Subject(model=model, starts=starts, recipe=Recipe(domain=model.domain, tied=4))


SUBJECTS: Mapping[str, Callable[[], Subject]] = {
    "resnet20": cifar_subject,
    "vit": cache(lambda: large_subject(vit, 16)),
    "vgg_face": cache(lambda: large_subject(vgg_face, 8)),
}
"""The networks by name; the large ones are built once."""


def measure_cost(name: str) -> Mapping[str, float]:
    """Seconds and forward passes for an accepted sample, ours and the published loop's."""
    subject = open_subject(name)
    model, starts = subject.model, subject.starts
    flops = FlopCounterMode(display=False)
    made, seconds, counter = measure_boundary(model, starts, subject.recipe)
    found, kept = judge(subject, made)
    backward = backward_cost(model.network, starts[:1])
    with flops, torch.no_grad():
        model.network(starts[:1])
    number = int(kept.sum())
    work = (counter.forward + backward * counter.backward) / number
    published, lean = loop_seconds(subject)
    # A backward pass to the inputs takes as many operations as a forward pass.
    operations = flops.get_total_flops() * (counter.forward + counter.backward)
    psnr = measure_psnr(made[kept], starts[kept], span=model.domain.span)
    return {
        f"scale.{name}.images": float(len(starts)),
        f"scale.{name}.accepted_share": number / len(starts),
        f"scale.{name}.seconds": seconds / number,
        f"scale.{name}.legacy_seconds": published,
        f"scale.{name}.seconds_ratio_cpu": published / (seconds / number),
        f"scale.{name}.lean_legacy_seconds": lean,
        f"scale.{name}.lean_seconds_ratio_cpu": lean / (seconds / number),
        f"scale.{name}.backward_cost": backward,
        f"scale.{name}.forward_equivalents": work,
        f"scale.{name}.legacy_forward_equivalents": published / forward_seconds(subject),
        f"scale.{name}.gflops": operations / seconds / 1e9,
        f"scale.{name}.psnr_median_db": float(psnr.median()),
        f"scale.{name}.margin_median": float(np.median(found.margins[kept.numpy()])),
    }


def judge(
    subject: Subject, made: Tensor, *, others: tuple[Variant, ...] = ()
) -> tuple[Calibration, Tensor]:
    """How samples fare in the quick variants and others, and which of them are accepted."""
    recipe, variants = subject.recipe, (*QUICK, *others)
    found = calibrate(subject.model.network, made, spec=recipe.spec, variants=variants)
    naturals = measure_margin(subject.model.network, subject.starts, recipe.spec).numpy()
    return found, torch.from_numpy(accept(found, recipe, naturals=naturals))


def loop_seconds(subject: Subject) -> tuple[float, float]:
    """The seconds of the published loop for one image, as it stands and as ours runs it.

    Both are told by their first steps.
    """
    network, image = subject.model.network, subject.starts[:1]
    settings = replace(PUBLISHED, threshold=float("inf"))

    def run(steps: int) -> None:
        domain, few = subject.model.domain, replace(settings, iterations=steps)
        legacy(network, image, domain=domain, settings=few)

    run(2)
    own = clock(lambda: run(STEPS)) / STEPS
    layers = [name for name, each in network.named_modules() if isinstance(each, nn.Linear)]
    whole = published_seconds(network, image, layer=f"{layers[-1]}.weight", steps=STEPS)
    return whole * PUBLISHED_STEPS, own * PUBLISHED_STEPS


def forward_seconds(subject: Subject) -> float:
    """The seconds of a forward pass of one image."""

    def forward() -> None:
        with torch.no_grad():
            subject.model.network(subject.starts[:1])

    return median_seconds(forward)


def measure_share() -> Mapping[str, float]:
    """The machine's measured peak, and the share of it that making samples reaches.

    Measured in one run with the making itself, since the speed of machines drifts.
    """
    left, right = torch.rand(2, GEMM, GEMM).unbind()
    seconds = median_seconds(lambda: left @ right)
    peak = 2 * GEMM**3 / seconds / 1e9
    subject = open_subject("vgg_face")
    few = subject.starts[:1]
    flops = FlopCounterMode(display=False)
    with flops, torch.no_grad():
        subject.model.network(few)
    _, taken, counter = measure_boundary(subject.model, few, subject.recipe)
    again = 2 * GEMM**3 / median_seconds(lambda: left @ right) / 1e9
    rate = flops.get_total_flops() * (counter.forward + counter.backward) / taken / 1e9
    best = (peak + again) / 2
    return {
        "scale.peak_gflops": best,
        "scale.peak_share": rate / best,
        "scale.vgg_face.forward_share": flops.get_total_flops()
        / forward_seconds(subject)
        / 1e9
        / best,
    }
