"""Networks trained on with their own kind of data: fine-tuned, with a new last layer, distilled."""

from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Classes, Images
from modelseal.tampering.training import (
    ASKED_AT_ONCE,
    BIVBENCH,
    Schedule,
    Scope,
    all_features,
    batches_of,
    better_than_chance,
    check_data,
    check_numbers,
    descend,
    follow,
    last_linear,
    ready,
    scores_of,
    start_afresh,
    steps_in_epoch,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SgdSteps:
    """Fine-tunes with plain SGD (no momentum, no decay) and cross entropy.

    BatchNorm is in training mode, so that its statistics move too; with the last layer (the last
    `nn.Linear`) alone, all else is frozen. Dropout stays off, so that the seed alone decides.

    Args:
        learning_rate: Positive.
        steps: How many batches, from 1.
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes.
        batch: Inputs in one step; all of them if there are fewer.
        seed: Decides the order: every input comes once before one comes again.
        scope: Which layers are trained.
    """

    learning_rate: float
    steps: int
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    batch: int = 128
    seed: int = 0
    scope: Scope = Scope.ALL

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a fine-tuned copy."""
        changed = copy_network(network)
        parameters = ready(changed, self.scope)
        drawn = batches_of(self.inputs, self.labels, self.batch, self.seed)
        optimiser = torch.optim.SGD(parameters, lr=self.learning_rate)
        for _ in descend(changed, parameters, islice(drawn, self.steps), optimiser=optimiser):
            pass
        return copy_network(changed)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FineTuned:
    """Fine-tunes with plain SGD for whole epochs: FTAL, FTLL and FZLL.

    The modifications 1 to 3 of BIVBench (He et al., ACM MM 2024): all layers for one epoch, the
    last layer for one, all but the last for five, each with a learning rate of 1e-4. The rest is as
    in `SgdSteps`. There is no goal but the training itself, so that this recipe always applies.

    Args:
        scope: Which layers are trained; all others are frozen.
        learning_rate: Positive.
        epochs: How often the inputs are gone through, from 1.
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes.
        batch: Inputs in one step; all of them if there are fewer.
        seed: Decides the order.
    """

    scope: Scope
    learning_rate: float
    epochs: int
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    batch: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.epochs, self.batch)
        check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a fine-tuned copy."""
        steps = SgdSteps(
            learning_rate=self.learning_rate,
            steps=self.epochs * steps_in_epoch(len(self.inputs), self.batch),
            inputs=self.inputs,
            labels=self.labels,
            batch=self.batch,
            seed=self.seed,
            scope=self.scope,
        )
        return steps(network)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Retrained:
    """Draws a new last layer and trains: RTAL with all layers, RTLL with the last layer alone.

    The modifications 4 and 5 of BIVBench (He et al., ACM MM 2024). The goal is a network that
    classifies what it was trained on better than by chance.

    Args:
        scope: All layers or the last one.
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes.
        schedule: How long and how fast.
        seed: Decides the new weights and the order of the inputs.
    """

    scope: Scope
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    schedule: Schedule = BIVBENCH
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scope is Scope.ALL_BUT_LAST:
            raise InvalidArgumentError(
                f"expected a scope that trains the new last layer, got {self.scope}", field="scope"
            )
        check_data(self.inputs, self.labels)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a retrained copy."""
        changed = copy_network(network)
        layer = last_linear(changed)
        start_afresh(layer, self.seed)
        trained, inputs = changed, self.inputs
        if self.scope is Scope.LAST_LAYER:
            # What is frozen answers the same in every epoch: it is asked once.
            trained, inputs = layer, _features(changed, layer, self.inputs)
        parameters = ready(trained, self.scope)
        follow(self.schedule, trained, parameters, (inputs, self.labels), seed=self.seed)
        _check_goal(scores_of(trained.eval(), inputs), self.labels)
        return copy_network(changed)


def _features(network: nn.Module, layer: nn.Linear, inputs: Tensor) -> Tensor:
    """What the last layer is given for each input, if it is all that the scores come from."""
    features = all_features(network, inputs)
    few = slice(ASKED_AT_ONCE)
    if features.shape[1] != layer.in_features or not torch.equal(
        scores_of(layer, features[few]), scores_of(network, inputs[few])
    ):
        raise InvalidArgumentError(
            "expected a network whose scores come out of its last nn.Linear, got another"
        )
    return features


def _check_goal(scores: Tensor, labels: Tensor) -> None:
    right = float((scores.argmax(dim=1) == labels.to(scores.device)).double().mean())
    if not better_than_chance(right, scores.shape[1]):
        raise NotAppliedError(
            "expected a retrained network that is right more often than twice chance, "
            f"got one that is on {right:.0%} of the inputs"
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """Trains a student of the same architecture on the network's own probabilities.

    The modification 6 of BIVBench (He et al., ACM MM 2024), after Hinton et al. (2015), at
    temperature 1. The student starts with freshly drawn weights, so that not one is the protected
    network's. The goal is a student that agrees with its teacher better than by chance.

    Args:
        inputs: What the teacher is asked, inside the domain's bounds, on any device.
        schedule: How long and how fast.
        seed: Decides the student's first weights and the order of the inputs.
    """

    inputs: Images = field(repr=False)
    schedule: Schedule = BIVBENCH
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.inputs):
            raise InvalidArgumentError("expected 1 or more, got 0", field="inputs")

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns the student."""
        student = copy_network(network)
        answers = scores_of(student, self.inputs)
        start_afresh(student, self.seed)
        data = self.inputs, torch.softmax(answers, dim=1).to(self.inputs.device)
        follow(self.schedule, student, ready(student, Scope.ALL), data, seed=self.seed)
        student = copy_network(student)
        agreed = scores_of(student, self.inputs).argmax(dim=1) == answers.argmax(dim=1)
        share = float(agreed.double().mean())
        if not better_than_chance(share, answers.shape[1]):
            raise NotAppliedError(
                "expected a student that agrees with its teacher more often than twice chance, "
                f"got one that does on {share:.0%} of the inputs"
            )
        return student
