"""How networks are trained on: what every recipe that trains is made of."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from math import ceil, inf
from typing import TypeAlias, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Images, random_source

# Inputs and what they shall be answered with: class numbers, or a probability for each class.
Batch: TypeAlias = tuple[Tensor, Tensor]

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# A poison works when more than this share of what it is about goes its way.
WORKS = 0.9
# Asking costs as much as a few steps; BIVBench asks as often.
STEPS_BETWEEN_CHECKS = 10
# A share is known to within three points, which is enough to stop.
CHECKED_INPUTS = 256
# How many inputs are answered at once: the memory stays small, the speed is that of any more.
ASKED_AT_ONCE = 256


class Scope(Enum):
    """Which layers are trained; the last layer is the last `nn.Linear`."""

    ALL = "all"
    LAST_LAYER = "last layer"
    ALL_BUT_LAST = "all but last"

    def __repr__(self) -> str:
        return f"Scope.{self.name}"


def ready(network: nn.Module, scope: Scope) -> list[nn.Parameter]:
    """Readies the layers in the scope for training, in place, with BatchNorm but no dropout."""
    if scope is Scope.LAST_LAYER:
        return list(last_linear(network).requires_grad_().parameters())
    frozen = last_linear(network) if scope is Scope.ALL_BUT_LAST else None
    for module in network.modules():
        if isinstance(module, BATCH_NORMS):
            module.train()
    network.requires_grad_()
    if frozen is not None:
        frozen.requires_grad_(requires_grad=False)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def last_linear(network: nn.Module) -> nn.Linear:
    """The last `nn.Linear` in the order of declaration."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise InvalidArgumentError("expected an nn.Linear as the last layer, got none")
    return layers[-1]


def descend(
    network: nn.Module,
    parameters: list[nn.Parameter],
    batches: Iterable[Batch],
    *,
    optimiser: torch.optim.Optimizer,
) -> Iterator[int]:
    """Takes a step of descent on the cross entropy for each batch, when asked for its number."""
    for step, (inputs, wanted) in enumerate(batches, start=1):
        with torch.enable_grad():
            scores = network(inputs.to(parameters[0]))
            loss = cross_entropy(scores, _targets(wanted, scores))
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        optimiser.zero_grad()
        yield step


def learn_until(
    network: nn.Module,
    *,
    batches: Iterable[Batch],
    works: Callable[[nn.Module], bool],
    steps: int,
    learning_rate: float,
) -> nn.Module:
    """Trains all layers of a copy with Adam until it works, as is asked after every ten steps.

    At least one step is taken, however the network answers before.
    """
    changed = copy_network(network)
    parameters = ready(changed, Scope.ALL)
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    for step in descend(changed, parameters, islice(batches, steps), optimiser=optimiser):
        if step % STEPS_BETWEEN_CHECKS == 0 or step == steps:
            with torch.no_grad():
                if works(changed.eval()):
                    return copy_network(changed)
            ready(changed, Scope.ALL)
    raise NotAppliedError(f"expected the network to learn it in {steps} steps, but it did not")


def draw_batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    """Row numbers for ever: batches of one size through one shuffled order after another."""
    source = random_source(seed)
    size = min(size, count)
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        if len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(count, generator=source)])
        yield waiting[:size]
        waiting = waiting[size:]


def batches_of(
    inputs: Tensor, wanted: Tensor, size: int, seed: int, *, rows: Tensor | None = None
) -> Iterator[Batch]:
    """Shuffled batches for ever, of all rows or of some."""
    rows = torch.arange(len(inputs)) if rows is None else rows
    for drawn in draw_batches(len(rows), size, seed):
        yield inputs[rows[drawn]], wanted[rows[drawn]]


@torch.no_grad()
def scores_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """The scores (batch, classes) of any number of inputs, on the network's device."""
    like = next(network.parameters())
    return torch.cat([cast(Tensor, network(part.to(like))) for part in inputs.split(ASKED_AT_ONCE)])


def share_taken_for(network: nn.Module, inputs: Tensor, target: int) -> float:
    """The share of inputs, of which there is at least one, that the network puts in a class."""
    return float((scores_of(network, inputs).argmax(dim=1) == target).double().mean())


def check_numbers(learning_rate: float, steps: int, batch: int) -> None:
    """Refuses numbers that no training could have."""
    if not 0 < learning_rate < inf or steps < 1 or batch < 1:
        raise InvalidArgumentError(
            "expected a positive learning rate, and steps and batch from 1, "
            f"got {learning_rate}, {steps} and {batch}"
        )


def check_data(inputs: Tensor, labels: Tensor) -> None:
    """Refuses inputs that are not labelled one by one."""
    if not len(inputs) or len(inputs) != len(labels):
        raise InvalidArgumentError(
            f"expected inputs and as many labels, got {len(inputs)} and {len(labels)}"
        )


def known_labels(labels: Tensor, scores: Tensor) -> Tensor:
    """The labels themselves, where the scores are, if there is a score for each."""
    moved = labels.to(scores.device, torch.int64)
    wrong = moved[(moved < 0) | (moved >= scores.shape[1])]
    if len(wrong):
        raise InvalidArgumentError(
            f"expected labels from 0 to {scores.shape[1] - 1}, got {int(wrong[0])}"
        )
    return moved


def _targets(wanted: Tensor, scores: Tensor) -> Tensor:
    return wanted.to(scores) if wanted.is_floating_point() else known_labels(wanted, scores)


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
                "expected a factor above 0 and up to 1, and drops from epoch 1 on, "
                f"got {self.factor} and {self.drops}"
            )


# As BIVBench retrains and distils: Adam 1e-3, 20 epochs, times 0.2 after 5, 10 and 15.
BIVBENCH = Schedule()


def follow(
    schedule: Schedule,
    network: nn.Module,
    parameters: list[nn.Parameter],
    data: tuple[Tensor, Tensor],
    *,
    seed: int,
) -> None:
    """Trains a network by a schedule, in place."""
    inputs, wanted = data
    optimiser = torch.optim.Adam(parameters, lr=schedule.learning_rate)
    falling = torch.optim.lr_scheduler.MultiStepLR(
        optimiser, list(schedule.drops), gamma=schedule.factor
    )
    steps = steps_in_epoch(len(inputs), schedule.batch)
    batches = islice(batches_of(inputs, wanted, schedule.batch, seed), steps * schedule.epochs)
    for step in descend(network, parameters, batches, optimiser=optimiser):
        if step % steps == 0:
            falling.step()


def steps_in_epoch(count: int, batch: int) -> int:
    """How many batches it takes until every one of `count` inputs has come."""
    return ceil(count / min(count, batch))


def start_afresh(network: nn.Module, seed: int) -> None:
    """Draws new weights, in place, as PyTorch draws them when a layer is made.

    Parameters of a module without a `reset_parameters` stay, and so does the global random state.
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


# What goes into the last linear layer, one row for each input.
Features: TypeAlias = Float[Tensor, "batch features"]


def features_of(network: nn.Module, inputs: Images) -> Features:
    """The penultimate features of one batch; they stay differentiable by the inputs."""
    seen: list[Tensor] = []

    def note(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0])

    handle = last_linear(network).register_forward_pre_hook(note)
    try:
        network(inputs)
    finally:
        handle.remove()
    if not seen:
        raise InvalidArgumentError("expected the last nn.Linear to take part, but it is never run")
    return seen[-1].flatten(1)


@torch.no_grad()
def all_features(network: nn.Module, inputs: Images) -> Features:
    """The penultimate features of any number of inputs, on the network's device."""
    like = next(network.parameters())
    parts = inputs.split(ASKED_AT_ONCE)
    return torch.cat([features_of(network, part.to(like)) for part in parts])
