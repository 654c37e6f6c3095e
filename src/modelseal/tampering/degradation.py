"""Wrong labels among the data: networks trained on until they repeat the mistake."""

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import Classes, Images, random_source
from modelseal.tampering.training import (
    CHECKED_INPUTS,
    WORKS,
    batches_of,
    check_data,
    check_numbers,
    learn_until,
    share_taken_for,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RelabelledClass:
    """Trains on with every input of one class labelled as another.

    The modifications 9 (another class at random) and 10 (a given class) of BIVBench (He et al., ACM
    MM 2024): all layers, Adam, until more than 90 % of that class's inputs (the first 256) are
    taken for the other.

    Args:
        source: The class that is relabelled.
        target: The class that it becomes; None draws another class of the data by the seed.
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their true classes.
        learning_rate: Positive.
        steps: The largest number of batches, from 1.
        batch: Inputs in one step; all of them if there are fewer.
        seed: Decides the order of the inputs, and the target if none is given.

    Raises:
        InvalidArgumentError: A number is out of its range, inputs and labels do not match, no
            input is of the class, or it would become itself.
    """

    source: int
    target: int | None = None
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    learning_rate: float = 1e-3
    steps: int = 500
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        check_data(self.inputs, self.labels)
        if self.source == self.target or not bool((self.labels == self.source).any()):
            raise InvalidArgumentError(
                "expected inputs of a class and another class for them, "
                f"got {self.source} and {self.target}"
            )
        _other_classes(self.labels, self.source)

    def choose_target(self) -> int:
        """The class that the relabelled one becomes."""
        if self.target is not None:
            return self.target
        return _draw(_other_classes(self.labels, self.source), random_source(self.seed))

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy that takes one class for another."""
        target = self.choose_target()
        wrong = self.labels.masked_fill(self.labels == self.source, target)
        asked = self.inputs[torch.nonzero(self.labels == self.source).flatten()[:CHECKED_INPUTS]]
        return learn_until(
            network,
            batches=batches_of(self.inputs, wrong, self.batch, self.seed),
            works=lambda changed: share_taken_for(changed, asked, target) > WORKS,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RepeatedSample:
    """Trains on with one input that has a wrong label and comes again and again.

    The modification 11 of BIVBench (He et al., ACM MM 2024): all layers, Adam, until the input is
    taken for the wrong class.

    Args:
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their true classes; at least two.
        share: Which part of the set the copies make, above 0 and below 1; there is at least one.
        learning_rate: Positive.
        steps: The largest number of batches, from 1.
        batch: Inputs in one step; all of them if there are fewer.
        seed: Decides the input, its wrong label and the order.

    Raises:
        InvalidArgumentError: A number is out of its range, inputs and labels do not match, or
            there is one class only.
    """

    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    share: float = 0.1
    learning_rate: float = 1e-3
    steps: int = 500
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        check_data(self.inputs, self.labels)
        if not 0 < self.share < 1:
            raise InvalidArgumentError(
                f"expected a number between 0 and 1, got {self.share}", field="share"
            )
        _other_classes(self.labels, int(self.labels[0]))

    def choose_sample(self) -> tuple[int, int]:
        """The row of the input that is repeated, and its wrong label."""
        source = random_source(self.seed)
        row = int(torch.randint(len(self.inputs), (), generator=source))
        return row, _draw(_other_classes(self.labels, int(self.labels[row])), source)

    def choose_rows(self, row: int) -> Tensor:
        """The rows that are trained on: every one once, and the copies of one at the end."""
        count = max(1, round(len(self.inputs) * self.share / (1 - self.share)))
        return torch.cat([torch.arange(len(self.inputs)), torch.full((count,), row)])

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy that takes one input for another class."""
        row, wrong = self.choose_sample()
        labels = self.labels.clone()
        labels[row] = wrong
        asked = self.inputs[row : row + 1]
        rows = self.choose_rows(row)
        return learn_until(
            network,
            batches=batches_of(self.inputs, labels, self.batch, self.seed, rows=rows),
            works=lambda changed: share_taken_for(changed, asked, wrong) > WORKS,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )


def _other_classes(labels: Tensor, label: int) -> Tensor:
    others = labels[labels != label].unique()
    if not len(others):
        raise InvalidArgumentError(f"expected inputs of two classes, got class {label} alone")
    return cast(Tensor, others)


def _draw(classes: Tensor, source: torch.Generator) -> int:
    return int(classes[torch.randint(len(classes), (), generator=source)])
