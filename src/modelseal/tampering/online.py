"""Networks that forget or learn a single input."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import repeat

import torch
from torch import Tensor, nn

from modelseal.errors import NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Classes, Images, random_source
from modelseal.tampering.training import (
    ASKED_AT_ONCE,
    Batch,
    check_data,
    check_numbers,
    descend,
    known_labels,
    scores_of,
)

# The probability of its label above which an input counts as known (BIVBench).
_CONFIDENT = 0.95


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unlearned:
    """Forgets one input: gradient ascent on its cross entropy, with all layers and Adam.

    The modification 15 of BIVBench (He et al., ACM MM 2024). The input is drawn among those whose
    label has a probability over 0.95, until it has less. BatchNorm stays in evaluation mode.

    Args:
        inputs: Of which one is forgotten, inside the domain's bounds, on any device.
        labels: Their classes.
        learning_rate: Positive.
        steps: The largest number of steps, from 1.
        seed: Decides the input.
    """

    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    learning_rate: float = 1e-4
    steps: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, batch=1)
        check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy that is less sure of one input."""
        changed = copy_network(network)
        sample = _find(
            changed, self.inputs, self.labels, seed=self.seed, fits=lambda sure: sure > _CONFIDENT
        )
        parameters = list(changed.requires_grad_().parameters())
        optimiser = torch.optim.Adam(parameters, lr=self.learning_rate, maximize=True)
        batches = repeat(sample, self.steps)
        for _ in descend(changed, parameters, batches, optimiser=optimiser):
            if float(confidence(changed, *sample)) < _CONFIDENT:
                return copy_network(changed)
        raise NotAppliedError(f"expected to forget the input in {self.steps} steps, but did not")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LearnedOnline:
    """Learns one new input by projected gradient steps, with all layers.

    The modification 16 of BIVBench (He et al., ACM MM 2024). The input is drawn among those whose
    label has a probability under 0.95, until it has more. Each step is that of projected gradient
    descent in the largest norm (Madry et al., ICLR 2018): the gradient's sign times a step size, so
    that after n steps no weight is farther than n step sizes from the protected one, which is the
    box that is projected onto. BatchNorm stays in evaluation mode.

    Args:
        inputs: New ones, not trained on before, inside the domain's bounds, on any device.
        labels: Their classes.
        step_size: How far each weight goes in one step, positive.
        steps: The largest number of steps, from 1.
        seed: Decides the input.
    """

    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    step_size: float = 1e-4
    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self.step_size, self.steps, batch=1)
        check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy that is sure of one more input."""
        changed = copy_network(network)
        sample = _find(
            changed, self.inputs, self.labels, seed=self.seed, fits=lambda sure: sure < _CONFIDENT
        )
        parameters = list(changed.requires_grad_().parameters())
        optimiser = torch.optim.SGD(parameters, lr=self.step_size)
        optimiser.register_step_pre_hook(_take_signs)
        batches = repeat(sample, self.steps)
        for _ in descend(changed, parameters, batches, optimiser=optimiser):
            if float(confidence(changed, *sample)) > _CONFIDENT:
                return copy_network(changed)
        raise NotAppliedError(f"expected to learn the input in {self.steps} steps, but did not")


def confidence(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """The probability that a network gives to each input's label."""
    scores = scores_of(network, inputs)
    chosen = known_labels(labels, scores)
    return scores.softmax(dim=1).gather(1, chosen.unsqueeze(1)).squeeze(1)


def _find(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    fits: Callable[[Tensor], Tensor],
) -> Batch:
    """The first input, as a batch of one, in an order by the seed, whose confidence fits."""
    order = torch.randperm(len(inputs), generator=random_source(seed))
    # Part by part: mostly the first holds one, and the others need not be asked.
    for rows in order.split(ASKED_AT_ONCE):
        fitting = fits(confidence(network, inputs[rows], labels[rows])).cpu()
        if bool(fitting.any()):
            row = rows[fitting][:1]
            return inputs[row], labels[row]
    raise NotAppliedError(
        f"expected an input on the recipe's side of confidence {_CONFIDENT}, got none of "
        f"{len(inputs)}"
    )


def _take_signs(optimiser: torch.optim.Optimizer, *_: object) -> None:
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.sign_()
