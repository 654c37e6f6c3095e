"""Scores that need no training: high frequencies, and the distance to what is known.

Inputs are images: height and width are the last two axes.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, pad

from modelseal.errors import InvalidArgumentError
from modelseal.types import Array, Inputs, PerInput

# The logarithm of what an image without any detail has not.
FAINTEST = 1e-12
# Distances are found for so many queries at once, so that the table of all pairs fits.
BLOCK = 256
# The fewest values along each side of an image: a Laplacian needs a middle.
SMALLEST = 3


def laplacian_energy(images: Inputs) -> PerInput:
    """The logarithm of the mean squared Laplacian: four neighbours less four times the middle.

    Raises:
        InvalidArgumentError: The inputs are no images of at least 3 x 3.
    """
    check_images(images)
    middle = images[..., 1:-1, 1:-1].astype(np.float64)
    around = sum(
        (
            images[..., :-2, 1:-1].astype(np.float64),
            images[..., 2:, 1:-1],
            images[..., 1:-1, :-2],
            images[..., 1:-1, 2:],
        )
    )
    return log_mean_square(around - 4 * middle)


def band_energy(images: Inputs) -> PerInput:
    """The logarithm of the energy in the upper half of frequencies of both axes.

    By the two-dimensional Fourier transform of every channel: frequencies of at least a quarter
    of the sampling rate along both axes.

    Raises:
        InvalidArgumentError: The inputs are no images of at least 3 x 3.
    """
    check_images(images)
    height, width = images.shape[-2:]
    spectrum = np.fft.fft2(images.astype(np.float64), norm="ortho")
    high = np.ix_(np.abs(np.fft.fftfreq(height)) >= 0.25, np.abs(np.fft.fftfreq(width)) >= 0.25)
    return log_mean_square(np.abs(spectrum[(..., *high)]))


def noise_level(images: Inputs) -> PerInput:
    """The logarithm of the noise in an image, as told from the finest diagonal detail.

    For every 2 x 2 block with the rows (a, b) and (c, d) the detail is (a - b - c + d) / 2; the
    level is the median of its absolute value / 0.6745 (Donoho and Johnstone, 1994). Edges, which
    are few, do not count.

    Raises:
        InvalidArgumentError: The inputs are no images of at least 3 x 3.
    """
    check_images(images)
    height, width = (size // 2 * 2 for size in images.shape[-2:])
    even = images[..., :height, :width].astype(np.float64)
    upper = even[..., ::2, ::2] - even[..., ::2, 1::2]
    lower = even[..., 1::2, ::2] - even[..., 1::2, 1::2]
    detail = np.abs(upper - lower).reshape(len(images), -1) / 2
    # The median of whole levels has few values; the mean of the middle tenth has many.
    middle = np.sort(detail, axis=1)[
        :, int(0.45 * detail.shape[1]) : int(0.55 * detail.shape[1]) + 1
    ]
    return np.asarray(np.log(middle.mean(axis=1) / 0.6745 + FAINTEST))


def closeness(queries: Inputs, known: Array) -> PerInput:
    """How close each query is to the nearest known input: less the root-mean-square distance.

    A provider that keeps what it was asked, or has the images that samples may be made of, takes
    what is suspiciously close for a test.
    """
    stock = known.reshape(len(known), -1).astype(np.float64)
    rows = queries.reshape(len(queries), -1).astype(np.float64)
    nearest = [
        nearest_square(rows[start : start + BLOCK], stock) for start in range(0, len(rows), BLOCK)
    ]
    return np.asarray(-np.sqrt(np.concatenate(nearest) / rows.shape[1]))


def nearest_square(rows: Array, stock: Array) -> Array:
    """The squared distance of each row to the nearest of a stock."""
    products = rows @ stock.T
    squares = np.square(rows).sum(1)[:, None] - 2 * products + np.square(stock).sum(1)
    closest = stock[squares.argmin(axis=1)]
    # The difference of large sums is only good for finding the nearest: a repeat is exactly 0.
    return np.asarray(np.square(rows - closest).sum(axis=1))


def log_mean_square(values: Array) -> PerInput:
    """The logarithm of the mean square of each row."""
    return np.asarray(np.log(np.square(values).reshape(len(values), -1).mean(axis=1) + FAINTEST))


def check_images(images: Inputs) -> None:
    """Makes sure that inputs have a height and a width.

    Raises:
        InvalidArgumentError: They have not, or less than 3.
    """
    if images.ndim < 3 or min(images.shape[-2:]) < SMALLEST:
        raise InvalidArgumentError(
            f"images of at least 3 x 3 were wanted, but inputs have shape {list(images.shape[1:])}"
        )


# In shares of the span; what a sample adds is smaller as a rule, and edges are cut off beyond.
RESIDUAL_UNIT, RESIDUAL_LIMIT = 4 / 255, 3.0
ASKED_AT_ONCE = 256


class View(Enum):
    """What the network is given of an image."""

    PIXELS = "pixels"
    """The image itself."""
    RESIDUAL = "residual"
    """What a mean over 3 x 3 takes away, in units of four grey levels and cut off at 3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lessons:
    """How a network learns.

    Args:
        steps: How many steps of Adam.
        batch: How many images each step has, half of them samples.
        learning_rate: The largest rate; it rises and falls once.
        width: The channels of the first layer.
    """

    steps: int = 500
    batch: int = 64
    learning_rate: float = 3e-3
    width: int = 16


def learn(
    samples: Array, naturals: Array, *, view: View, generator: torch.Generator, lessons: Lessons
) -> nn.Module:
    """Trains a network to score samples above natural inputs.

    Every step sees as many samples as natural inputs, mirrored and turned at random, so that few
    samples go a long way.

    Args:
        samples: Images between 0 and 1, channels first.
        naturals: The same of natural inputs.
        view: What the network is given.
        generator: The source of weights and batches.
        lessons: How it learns.

    Raises:
        InvalidArgumentError: The inputs are no images with channels, or there are none.
    """
    for images in (samples, naturals):
        check_images(images)
        if images.ndim != 4 or not len(images):
            raise InvalidArgumentError(
                f"images with channels were wanted, but came with shape {list(images.shape)}"
            )
    # Layers draw weights from the global source when they are made; these are drawn anew.
    with torch.random.fork_rng(devices=()):
        network = build(samples.shape[1], view, lessons.width, generator)
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


def build(channels: int, view: View, width: int, generator: torch.Generator) -> nn.Module:
    """A network of four convolutions whose weights come from the generator alone."""
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
    """Gives the rest of a network what it shall see of images.

    Args:
        view: What that is.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    def forward(self, images: Tensor) -> Tensor:
        """What is seen of images."""
        if self.view is View.PIXELS:
            return 4 * (images - 0.5)
        blurred = avg_pool2d(pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
        return ((images - blurred) / RESIDUAL_UNIT).clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)


def suspect(network: nn.Module, images: Inputs) -> PerInput:
    """The score of each image: the higher the more like a sample."""
    inputs = torch.from_numpy(images).float()
    with torch.no_grad():
        scores = [network(part)[:, 0] for part in inputs.split(ASKED_AT_ONCE)]
    return np.asarray(torch.cat(scores).double().numpy())
