"""A small network that learns to tell samples from natural inputs."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, pad

from modelseal.errors import InvalidArgumentError
from modelseal.evaluation.spotting.statistics import check_images
from modelseal.shapes import Array, Inputs, PerInput

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
