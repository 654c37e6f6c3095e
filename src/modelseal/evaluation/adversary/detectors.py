"""Detectors of samples, and how well their scores tell these from natural inputs.

Inputs are images: height and width are the last two axes.
"""

from dataclasses import dataclass
from enum import Enum
from math import sqrt
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, pad

from modelseal.errors import InvalidArgumentError
from modelseal.intervals import CONFIDENCE, Share, measure
from modelseal.types import Array, Inputs, PerInput

# The logarithm of what an image without any detail has not.
_FAINTEST = 1e-12
# Distances are found for so many queries at once, so that the table of all pairs fits.
_BLOCK = 256
# The fewest values along each side of an image: a Laplacian needs a middle.
SMALLEST = 3


def laplacian_energy(images: Inputs) -> PerInput:
    """The logarithm of the mean squared Laplacian: four neighbours less four times the middle."""
    _check_images(images)
    middle = images[..., 1:-1, 1:-1].astype(np.float64)
    around = sum(
        (
            images[..., :-2, 1:-1].astype(np.float64),
            images[..., 2:, 1:-1],
            images[..., 1:-1, :-2],
            images[..., 1:-1, 2:],
        )
    )
    return _log_mean_square(around - 4 * middle)


def band_energy(images: Inputs) -> PerInput:
    """The logarithm of the energy in the upper half of frequencies of both axes.

    By the two-dimensional Fourier transform of every channel: frequencies of at least a quarter
    of the sampling rate along both axes.
    """
    _check_images(images)
    height, width = images.shape[-2:]
    spectrum = np.fft.fft2(images.astype(np.float64), norm="ortho")
    high = np.ix_(np.abs(np.fft.fftfreq(height)) >= 0.25, np.abs(np.fft.fftfreq(width)) >= 0.25)
    return _log_mean_square(np.abs(spectrum[(..., *high)]))


def noise_level(images: Inputs) -> PerInput:
    """The logarithm of the noise in an image, as told from the finest diagonal detail.

    For every 2 x 2 block with the rows (a, b) and (c, d) the detail is (a - b - c + d) / 2; the
    level is the median of its absolute value / 0.6745 (Donoho and Johnstone, 1994). Edges, which
    are few, do not count.
    """
    _check_images(images)
    height, width = (size // 2 * 2 for size in images.shape[-2:])
    even = images[..., :height, :width].astype(np.float64)
    upper = even[..., ::2, ::2] - even[..., ::2, 1::2]
    lower = even[..., 1::2, ::2] - even[..., 1::2, 1::2]
    detail = np.abs(upper - lower).reshape(len(images), -1) / 2
    # The median of whole levels has few values; the mean of the middle tenth has many.
    middle = np.sort(detail, axis=1)[
        :, int(0.45 * detail.shape[1]) : int(0.55 * detail.shape[1]) + 1
    ]
    return np.asarray(np.log(middle.mean(axis=1) / 0.6745 + _FAINTEST))


def closeness(queries: Inputs, known: Array) -> PerInput:
    """How close each query is to the nearest known input: less the root-mean-square distance."""
    stock = known.reshape(len(known), -1).astype(np.float64)
    rows = queries.reshape(len(queries), -1).astype(np.float64)
    nearest = [
        _nearest_square(rows[start : start + _BLOCK], stock)
        for start in range(0, len(rows), _BLOCK)
    ]
    return np.asarray(-np.sqrt(np.concatenate(nearest) / rows.shape[1]))


def _nearest_square(rows: Array, stock: Array) -> Array:
    products = rows @ stock.T
    squares = np.square(rows).sum(1)[:, None] - 2 * products + np.square(stock).sum(1)
    closest = stock[squares.argmin(axis=1)]
    # The difference of large sums is only good for finding the nearest: a repeat is exactly 0.
    return np.asarray(np.square(rows - closest).sum(axis=1))


def _log_mean_square(values: Array) -> PerInput:
    """The logarithm of the mean square of each row."""
    return np.asarray(np.log(np.square(values).reshape(len(values), -1).mean(axis=1) + _FAINTEST))


def _check_images(images: Inputs) -> None:
    if images.ndim < 3 or min(images.shape[-2:]) < SMALLEST:
        raise InvalidArgumentError(
            f"expected images of at least 3 x 3, got inputs of shape {list(images.shape[1:])}"
        )


# In shares of the span; what a sample adds is smaller as a rule, and edges are cut off beyond.
_RESIDUAL_UNIT, _RESIDUAL_LIMIT = 4 / 255, 3.0
_ASKED_AT_ONCE = 256


class View(Enum):
    """What the network is given of an image."""

    PIXELS = "pixels"
    """The image itself."""
    RESIDUAL = "residual"
    """What a mean over 3 x 3 takes away, in units of four grey levels and cut off at 3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lessons:
    """How a network learns: steps of Adam at a rate that rises and falls once.

    Half of the images of each batch are samples; `width` are the channels of the first layer.
    """

    steps: int = 500
    batch: int = 64
    learning_rate: float = 3e-3
    width: int = 16


def learn(
    samples: Array, naturals: Array, *, view: View, generator: torch.Generator, lessons: Lessons
) -> nn.Module:
    """Trains a network to score samples above natural inputs."""
    for images in (samples, naturals):
        _check_images(images)
        if images.ndim != 4 or not len(images):
            raise InvalidArgumentError(
                f"expected images with channels, got shape {list(images.shape)}"
            )
    # Layers draw weights from the global source when they are made; these are drawn anew.
    with torch.random.fork_rng(devices=()):
        network = _build(samples.shape[1], view, lessons.width, generator)
    kinds = [torch.from_numpy(images).float() for images in (samples, naturals)]
    optimiser = torch.optim.Adam(network.parameters(), lr=lessons.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, lessons.learning_rate, total_steps=lessons.steps
    )
    half = lessons.batch // 2
    wanted = torch.tensor([1.0] * half + [0.0] * half)
    network.train()
    for _ in range(lessons.steps):
        batch = torch.cat([draw(kind, half, generator) for kind in kinds])
        loss = binary_cross_entropy_with_logits(network(batch)[:, 0], wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def draw(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Some images, mirrored and, if they are square, turned at random."""
    rows = torch.randint(len(images), (count,), generator=generator)
    mirrored, turned = (int(torch.randint(2, (), generator=generator)) for _ in range(2))
    drawn = images[rows].flip(-1) if mirrored else images[rows]
    square = images.shape[-1] == images.shape[-2]
    return drawn.transpose(-1, -2) if turned and square else drawn


def _build(channels: int, view: View, width: int, generator: torch.Generator) -> nn.Module:
    sizes = ((channels, width, 1), (width, width, 1), (width, 2 * width, 2), (2 * width, 64, 2))
    layers: list[nn.Module] = [Viewing(view)]
    for before, after, stride in sizes:
        layers += [
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))
    for module in network:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return network


class Viewing(nn.Module):
    """Gives the rest of a network what it shall see of images."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    def forward(self, images: Tensor) -> Tensor:
        """What is seen of images."""
        if self.view is View.PIXELS:
            return 4 * (images - 0.5)
        blurred = avg_pool2d(pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
        return ((images - blurred) / _RESIDUAL_UNIT).clamp(-_RESIDUAL_LIMIT, _RESIDUAL_LIMIT)


def suspect(network: nn.Module, images: Inputs) -> PerInput:
    """The score of each image: the higher the more like a sample."""
    inputs = torch.from_numpy(images).float()
    with torch.no_grad():
        scores = [network(part)[:, 0] for part in inputs.split(_ASKED_AT_ONCE)]
    return np.asarray(torch.cat(scores).double().numpy())


FALSE_RATES = (0.01, 0.05)
"""The shares of natural inputs that a detector may take for samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """What is found above a threshold that at most a share of natural inputs exceeds."""

    false_rate: float
    threshold: float
    found: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Separation:
    """How well one detector tells samples from natural inputs.

    `auc`, with its 95 % interval, is how often a sample has a higher score than a natural input,
    of all pairs; ties count half, and 0.5 is chance.
    """

    detector: str
    auc: float
    low: float
    high: float
    samples: int
    naturals: int
    rates: tuple[Rate, ...]


def separate(detector: str, samples: Array, naturals: Array) -> Separation:
    """How well a detector's scores of samples and of natural inputs tell the two apart."""
    for scores in (samples, naturals):
        if len(scores) < 2 or not np.isfinite(scores).all():
            raise InvalidArgumentError(
                f"expected at least two finite scores of each kind, got "
                f"{int(np.isfinite(scores).sum())} of {len(scores)} by {detector}"
            )
    auc, low, high = measure_auc(samples, naturals)
    return Separation(
        detector=detector,
        auc=auc,
        low=low,
        high=high,
        samples=len(samples),
        naturals=len(naturals),
        rates=tuple(find_at(rate, samples, naturals) for rate in FALSE_RATES),
    )


def measure_auc(samples: Array, naturals: Array) -> tuple[float, float, float]:
    """The area under the ROC curve with the 95 % interval of DeLong et al. (1988).

    With ψ(x, y) = 1 if x > y, 1/2 if x = y and else 0, the area is the mean of ψ over all m · n
    pairs. A_i is the mean of ψ over the natural inputs for sample i, B_j that over the samples
    for natural input j; the variance is var(A) / m + var(B) / n, with m - 1 and n - 1 below.

    Where no pair is the wrong way round the variance says nothing: then the lower end is
    1 - 3 / min(m, n), by the rule of three for the scarcer kind, and the same below 0.5.
    """
    above, below = _placements(samples, naturals), 1 - _placements(naturals, samples)
    auc = float(above.mean())
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    if variance == 0 and auc in {0.0, 1.0}:
        reach = min(1.0, 3 / min(len(samples), len(naturals)))
    else:
        reach = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * sqrt(variance)
    return auc, max(0.0, auc - reach), min(1.0, auc + reach)


def _placements(scores: Array, others: Array) -> Array:
    ordered = np.sort(others)
    smaller = np.searchsorted(ordered, scores, side="left")
    smaller_or_same = np.searchsorted(ordered, scores, side="right")
    return (smaller + smaller_or_same) / (2 * len(others))


def find_at(false_rate: float, samples: Array, naturals: Array) -> Rate:
    """What is found by the lowest threshold that keeps a rate of false positives."""
    allowed = int(false_rate * len(naturals))
    threshold = float(np.sort(naturals)[::-1][allowed])
    found = measure(int((samples > threshold).sum()), len(samples))
    return Rate(false_rate=false_rate, threshold=threshold, found=found)
