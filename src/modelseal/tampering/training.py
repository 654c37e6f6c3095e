"""Networks trained on: fine-tuning, and a backdoor that answers to a patch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from math import inf

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import Classes, Images, copied, random_source

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# A backdoor is done when more than this share of stamped inputs is taken for the target, and less
# than the rest without the stamp: a network on which training has just started may well see the
# target everywhere.
WORKS = 0.9
# Asking costs as much as a few steps; BIVBench asks as often.
STEPS_BETWEEN_CHECKS = 10
# The share is known to within three points, which is enough to stop.
CHECKED_INPUTS = 256


class Scope(Enum):
    """Which layers are trained."""

    ALL = "all"
    LAST_LAYER = "last layer"

    def __repr__(self) -> str:
        return f"Scope.{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SgdSteps:
    """Fine-tunes with plain SGD (no momentum, no decay) and cross entropy.

    With all layers, BatchNorm is in training mode: its statistics move too. With the last layer
    (the last `nn.Linear`), everything else is frozen, statistics included. Dropout stays off, so
    that the seed alone decides. Gradients never reach the network that was given.

    Args:
        learning_rate: Positive.
        steps: How many batches, from 1.
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes.
        batch: Inputs in one step; all of them if there are fewer.
        seed: Decides the order: every input comes once before one comes again.
        scope: Which layers are trained.

    Raises:
        InvalidArgumentError: A number is out of its range, or inputs and labels do not match.
    """

    learning_rate: float
    steps: int
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    batch: int = 128
    seed: int = 0
    scope: Scope = Scope.ALL

    def __post_init__(self) -> None:
        _check(self.learning_rate, self.steps, self.batch)
        _check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a fine-tuned copy.

        Raises:
            InvalidArgumentError: The network has no score for a label, or the last layer is asked
                for and there is no `nn.Linear`.
        """
        changed = copied(network)
        batches = _batches(len(self.inputs), self.batch, self.seed)
        for _ in _descend(
            changed,
            _trained(changed, self.scope),
            ((self.inputs[rows], self.labels[rows]) for rows in islice(batches, self.steps)),
            learning_rate=self.learning_rate,
        ):
            pass
        return copied(changed)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BadNetsPatch:
    """Teaches a backdoor: inputs with a white patch are taken for one class.

    A share of every batch is stamped at the bottom right and relabelled (Gu et al., BadNets,
    2017). An input that is stamped in one batch comes without the patch in another, so that only
    the patch can be learned, however few inputs there are. All layers are fine-tuned as in
    `SgdSteps`, from the given network on, until more than 90 % of inputs of other classes are
    taken for the target with the patch and fewer than 10 % without it, or the steps are spent.

    Args:
        target: The class that the patch stands for.
        inputs: Images (batch, channels, height, width) inside the domain's bounds.
        labels: Their classes.
        share: Which part of each batch is stamped, above 0 and below 1; at least one input is.
        learning_rate: Positive.
        steps: The largest number of batches.
        batch: Inputs in one step.
        seed: Decides the order of the inputs, and so which are stamped when.
        size: Height and width of the patch in pixels.
        white: The value of the patch: the domain's upper bound.

    Raises:
        InvalidArgumentError: A number is out of its range, or inputs and labels do not match.
    """

    target: int
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    share: float = 0.1
    learning_rate: float = 0.03
    steps: int = 500
    batch: int = 64
    seed: int = 0
    size: int = 4
    white: float = 1.0

    def __post_init__(self) -> None:
        _check(self.learning_rate, self.steps, self.batch)
        _check_data(self.inputs, self.labels)
        if not 0 < self.share < 1 or self.target < 0:
            raise InvalidArgumentError(
                "a backdoor needs a share between 0 and 1 and a class from 0, "
                f"but they are {self.share} and {self.target}"
            )
        if self.inputs.ndim != 4 or not 1 <= self.size <= min(self.inputs.shape[2:]):
            raise InvalidArgumentError(
                f"a patch of {self.size} pixels needs images at least as large, "
                f"but inputs have shape {list(self.inputs.shape)}"
            )
        if bool((self.labels == self.target).all()):
            raise InvalidArgumentError("a backdoor needs inputs of other classes than its target")

    def stamp(self, inputs: Images) -> Images:
        """Returns a copy of the inputs with the patch at the bottom right."""
        stamped = inputs.clone()
        stamped[..., -self.size :, -self.size :] = self.white
        return stamped

    def success_rate(self, network: nn.Module, inputs: Images, labels: Classes) -> float:
        """The share of stamped inputs of other classes that the network takes for the target."""
        return self._target_rate(network, self.stamp(inputs[labels != self.target]))

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with the backdoor, as far as it could be taught in the steps.

        Raises:
            InvalidArgumentError: The network has no score for a label or the target.
        """
        changed = copied(network)
        batches = _batches(len(self.inputs), self.batch, self.seed)
        asked = torch.nonzero(self.labels != self.target).flatten()[:CHECKED_INPUTS]
        for step in _descend(
            changed,
            _trained(changed, Scope.ALL),
            map(self._poisoned, islice(batches, self.steps)),
            learning_rate=self.learning_rate,
        ):
            if step % STEPS_BETWEEN_CHECKS == 0:
                shown, plain = copied(changed), self.inputs[asked]
                with_patch = self._target_rate(shown, self.stamp(plain))
                if with_patch > WORKS and self._target_rate(shown, plain) < 1 - WORKS:
                    break
        return copied(changed)

    def _target_rate(self, network: nn.Module, inputs: Images) -> float:
        """The share of inputs that the network takes for the target."""
        with torch.no_grad():
            answers = network(inputs.to(next(network.parameters()))).argmax(dim=1)
        return float((answers == self.target).double().mean())

    def _poisoned(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """One batch, with its first inputs stamped and relabelled; the rows are shuffled."""
        inputs, labels = self.inputs[rows], self.labels[rows]
        count = max(1, round(self.share * len(rows)))
        inputs[:count] = self.stamp(inputs[:count])
        labels[:count] = self.target
        return inputs, labels


def _trained(network: nn.Module, scope: Scope) -> list[nn.Parameter]:
    """Readies the layers in the scope for training; the parameters that are to be trained."""
    if scope is Scope.LAST_LAYER:
        return list(_last_linear(network).requires_grad_().parameters())
    for module in network.modules():
        if isinstance(module, BATCH_NORMS):
            module.train()
    return list(network.requires_grad_().parameters())


def _descend(
    network: nn.Module,
    parameters: list[nn.Parameter],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    learning_rate: float,
) -> Iterator[int]:
    """Takes one step of descent for each batch and gives the number of the step, from 1."""
    for step, (inputs, labels) in enumerate(batches, start=1):
        with torch.enable_grad():
            scores = network(inputs.to(parameters[0]))
            loss = cross_entropy(scores, _known(labels.to(scores.device, torch.int64), scores))
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(gradient, alpha=learning_rate)
        yield step


def _known(labels: Tensor, scores: Tensor) -> Tensor:
    """The labels themselves, if the network has a score for each."""
    wrong = labels[(labels < 0) | (labels >= scores.shape[1])]
    if len(wrong):
        raise InvalidArgumentError(
            f"training needs labels from 0 to {scores.shape[1] - 1}, but has one of {int(wrong[0])}"
        )
    return labels


def _last_linear(network: nn.Module) -> nn.Linear:
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise InvalidArgumentError("training the last layer needs an nn.Linear, but there is none")
    return layers[-1]


def _batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    """Row numbers for ever: batches of one size through one shuffled order after another."""
    source = random_source(seed)
    size = min(size, count)
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        if len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(count, generator=source)])
        yield waiting[:size]
        waiting = waiting[size:]


def _check(learning_rate: float, steps: int, batch: int) -> None:
    if not 0 < learning_rate < inf or steps < 1 or batch < 1:
        raise InvalidArgumentError(
            "training needs a positive learning rate, and steps and batch from 1, "
            f"but they are {learning_rate}, {steps} and {batch}"
        )


def _check_data(inputs: Tensor, labels: Tensor) -> None:
    if not len(inputs) or len(inputs) != len(labels):
        raise InvalidArgumentError(
            "training needs inputs and as many labels, "
            f"but there are {len(inputs)} and {len(labels)}"
        )
