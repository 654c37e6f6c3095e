"""What samples cost, in seconds and in forward passes, ours beside the published loop."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from modelseal.generation.baselines import PUBLISHED, legacy
from modelseal.models.loading import Model
from modelseal.sealing.making import make_samples
from modelseal.sealing.recipe import Recipe

REPEATS = 5


class Counter:
    """Counts images that go forward and backward; copies of a network share it."""

    def __init__(self) -> None:
        self.forward = 0
        self.backward = 0

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def back(self, gradient: Tensor) -> None:
        """Is called with the gradient of the scores in every backward pass."""
        self.backward += len(gradient)


class Counted(nn.Module):
    """A network that counts what it is asked."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.counter = Counter()

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores; a backward pass through them is counted too."""
        self.counter.forward += len(inputs)
        scores: Tensor = self.network(inputs)
        if scores.requires_grad:
            scores.register_hook(self.counter.back)
        return scores


def clock(action: Callable[[], object]) -> float:
    """The seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(action: Callable[[], object]) -> float:
    """The median of a few runs, after one that does not count."""
    action()
    return sorted(clock(action) for _ in range(REPEATS))[REPEATS // 2]


def backward_cost(network: nn.Module, inputs: Tensor) -> float:
    """What a backward pass to the inputs costs, in forward passes."""
    variable = inputs.clone().requires_grad_()
    scores = network(variable)[:, 0].sum()

    def forward() -> None:
        with torch.no_grad():
            network(inputs)

    def backward() -> None:
        torch.autograd.grad(scores, variable, retain_graph=True)

    return median_seconds(backward) / median_seconds(forward)


def measure_boundary(model: Model, starts: Tensor, recipe: Recipe) -> tuple[Tensor, float, Counter]:
    """The samples, the seconds they took, and what was counted."""
    counted = Counted(copy.deepcopy(model.network))
    whole = replace(model, network=counted)
    begin = time.perf_counter()
    samples = make_samples(whole, starts, recipe)
    return samples, time.perf_counter() - begin, counted.counter


def measure_legacy(model: Model, starts: Tensor) -> tuple[Tensor, float, float]:
    """The published loop's samples at its 1,000 iterations, its seconds and forward passes each.

    One of its iterations differentiates twice; it counts as what it takes beside a forward pass
    of one image, measured in the same minute.
    """
    settings = replace(PUBLISHED, threshold=float("inf"))
    begin = time.perf_counter()
    samples = legacy(model.network, starts, domain=model.domain, settings=settings)
    seconds = (time.perf_counter() - begin) / len(starts)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(100):
                model.network(starts[:1])

    return samples, seconds, seconds / (median_seconds(forward) / 100)
