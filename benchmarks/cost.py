"""What samples cost, in seconds and in forward passes, ours beside the published loop."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from modelseal.generation.baselines.legacy import OFFSET, PUBLISHED, legacy
from modelseal.models.loader import Model
from modelseal.runtime.inference import Counter, counting
from modelseal.sealing.methods import make_boundary
from modelseal.sealing.recipe import Recipe

REPEATS = 5


def clock(action: Callable[[], object]) -> float:
    """The seconds that an action takes, to the end of what it began on a GPU."""
    start = now()
    action()
    return now() - start


def now() -> float:
    """The clock's seconds, once a GPU has nothing left to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


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
    begin = now()
    with counting(model.network) as counter:
        samples = make_boundary(model.network, starts, recipe=recipe)
    return samples, now() - begin, counter


def published_seconds(network: nn.Module, image: Tensor, *, layer: str, steps: int) -> float:
    """The seconds of one iteration of the published loop as it stands, for one image.

    It asks for gradients of every weight, of which it uses none but those of one layer; ours, with
    the same samples, asks for that of the image alone.

    Args:
        network: Takes inputs, gives scores. It is copied.
        image: A batch of one.
        layer: The name of the weights that its objective is about.
        steps: How many iterations are measured, after two that are not.
    """
    whole = copy.deepcopy(network).requires_grad_()
    weights, variable = whole.get_parameter(layer), image.clone().requires_grad_()
    optimiser = torch.optim.Adam([variable], lr=1.0)

    def iterate(times: int) -> None:
        for _ in range(times):
            logs = (whole(variable).softmax(1)[:, :40] + OFFSET).log().sum()
            (slope,) = torch.autograd.grad(logs, weights, create_graph=True)
            torch.autograd.backward(-slope.square().mean())
            optimiser.step()

    iterate(2)
    return clock(lambda: iterate(steps)) / steps


def measure_legacy(model: Model, starts: Tensor) -> tuple[Tensor, float, float]:
    """The published loop's samples at its 1,000 iterations, its seconds and forward passes each.

    One of its iterations differentiates twice; it counts as what it takes beside a forward pass
    of one image, measured in the same minute.
    """
    settings = replace(PUBLISHED, threshold=float("inf"))
    begin = now()
    samples = legacy(model.network, starts, domain=model.domain, settings=settings)
    seconds = (now() - begin) / len(starts)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(100):
                model.network(starts[:1])

    return samples, seconds, seconds / (median_seconds(forward) / 100)
