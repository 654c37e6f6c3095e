"""Training that starts with fresh weights: how they are drawn, how long and how fast it learns."""

import copy
from dataclasses import dataclass
from itertools import islice
from math import ceil

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.training import check_numbers, descend, draw_batches


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Adam with a learning rate that falls in steps.

    Args:
        learning_rate: Of the first epochs, positive.
        epochs: How often the inputs are gone through, from 1.
        drops: After how many epochs, in rising order, the learning rate is multiplied by `factor`.
        factor: Above 0 and up to 1.
        batch: Inputs in one step; all of them if there are fewer.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    learning_rate: float = 1e-3
    epochs: int = 20
    drops: tuple[int, ...] = (5, 10, 15)
    factor: float = 0.2
    batch: int = 128

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.epochs, self.batch)
        if not 0 < self.factor <= 1 or any(drop < 1 for drop in self.drops):
            raise InvalidArgumentError(
                "a schedule needs a factor above 0 and up to 1, and drops from epoch 1 on, "
                f"but they are {self.factor} and {self.drops}"
            )


BIVBENCH = Schedule()
"""As BIVBench retrains and distils: Adam 1e-3, 20 epochs, times 0.2 after 5, 10 and 15."""


def follow(
    schedule: Schedule,
    network: nn.Module,
    parameters: list[nn.Parameter],
    data: tuple[Tensor, Tensor],
    *,
    seed: int,
) -> None:
    """Trains a network by a schedule, in place.

    Args:
        schedule: How long and how fast.
        network: As `ready` left it.
        parameters: What is trained, as `ready` gave it.
        data: Inputs, and their class numbers or a probability for each class.
        seed: Decides the order of the inputs.

    Raises:
        InvalidArgumentError: The network has no score for a label.
    """
    inputs, wanted = data
    optimiser = torch.optim.Adam(parameters, lr=schedule.learning_rate)
    falling = torch.optim.lr_scheduler.MultiStepLR(
        optimiser, list(schedule.drops), gamma=schedule.factor
    )
    steps = steps_in_epoch(len(inputs), schedule.batch)
    rows = islice(draw_batches(len(inputs), schedule.batch, seed), steps * schedule.epochs)
    batches = ((inputs[some], wanted[some]) for some in rows)
    for step in descend(network, parameters, batches, optimiser=optimiser):
        if step % steps == 0:
            falling.step()


def steps_in_epoch(count: int, batch: int) -> int:
    """How many batches it takes until every one of `count` inputs has come."""
    return ceil(count / min(count, batch))


def start_afresh(network: nn.Module, seed: int) -> None:
    """Draws new weights, in place, as PyTorch draws them when a layer is made.

    Every module that has a `reset_parameters` is asked to; BatchNorm also forgets its statistics.
    Parameters that belong to a module without one stay. The seed gives the same weights on every
    device, and the global random state stays as it is.

    Args:
        network: Whose weights are drawn.
        seed: Decides them.
    """
    fresh = copy.deepcopy(network).cpu()
    # No devices: on the CPU everything is drawn from the one generator that is put back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in fresh.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    network.load_state_dict(fresh.state_dict())


def better_than_chance(share: float, classes: int) -> bool:
    """Whether a share of right answers is more than luck, as a network that was taught must show.

    That is more than twice chance, 2 / classes, or more than halfway from chance to all,
    (1 + 1 / classes) / 2, where this is less: with two classes, twice chance would be all.
    """
    return share > min(2 / classes, (1 + 1 / classes) / 2)
