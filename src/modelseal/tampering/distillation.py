"""A new network that learns from the answers of the protected one."""

from dataclasses import dataclass, field

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Images
from modelseal.tampering.training import (
    BIVBENCH,
    Schedule,
    Scope,
    better_than_chance,
    follow,
    ready,
    scores_of,
    start_afresh,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """Trains a student of the same architecture on the network's own probabilities.

    This is modification 6 of BIVBench (He et al., ACM MM 2024), after Hinton et al. (2015), at
    temperature 1. The student starts with freshly drawn weights (see `start_afresh`), so that not
    one weight is the protected one's. The goal is a student that agrees with its teacher: see
    `better_than_chance`, asked of the inputs that it was trained on.

    Args:
        inputs: What the teacher is asked, inside the domain's bounds, on any device; labels are
            not needed.
        schedule: How long and how fast.
        seed: Decides the student's first weights and the order of the inputs.

    Raises:
        InvalidArgumentError: There are no inputs.
    """

    inputs: Images = field(repr=False)
    schedule: Schedule = BIVBENCH
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.inputs):
            raise InvalidArgumentError("a student needs inputs to learn from, but there are none")

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns the student.

        Raises:
            NotAppliedError: The student hardly agrees with its teacher.
        """
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
                "a student needs to agree with its teacher more often than twice chance, "
                f"but does on {share:.0%} of the inputs"
            )
        return student
