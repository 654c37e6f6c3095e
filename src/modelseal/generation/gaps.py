"""The score differences that decide what is shown, and how they change with the input.

A ranking names the classes of a tie in the order in which they shall be shown. While `shown`
labels are shown, the answer stays the same exactly as long as every shown class stays ahead of
the next one, and the last shown class ahead of all the others: those differences are the gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError

# The shapes of the tensors that generation works on. The axes: `batch` counts inputs, `classes`
# scores, `tied` the classes of a tie, `gaps` the differences that decide the shown answer (one
# fewer than `tied`), `pixels` the values of one input laid flat.
Inputs: TypeAlias = Float[Tensor, "batch *shape"]
"""Inputs as the network takes them, inside the domain's bounds."""

Scores: TypeAlias = Float[Tensor, "batch classes"]
"""Logits, one for each class."""

Probabilities: TypeAlias = Float[Tensor, "batch classes"]
"""Rows that sum to 1."""

PerInput: TypeAlias = Float[Tensor, " batch"]
"""One number for each input."""

Classes: TypeAlias = Int[Tensor, "batch tied"]
"""The classes of a tie, in the order in which their scores shall stand."""

Gaps: TypeAlias = Float[Tensor, "batch gaps"]
"""The score differences that decide the shown answer: all positive while it stays."""

Numbers: TypeAlias = Float[Tensor, "batch pixels"]
"""Level numbers, whole and from 0, of inputs laid flat; or changes of them."""

Jacobian: TypeAlias = Float[Tensor, "batch gaps pixels"]
"""How each gap changes with each value of its own input."""

Proposals: TypeAlias = Float[Tensor, "batch proposals pixels"]
"""Several changes of level numbers for each input."""

Directions: TypeAlias = Float[Tensor, "batch directions classes"]
"""Several sums of outputs for each input, each given by its coefficients."""

Shared: TypeAlias = Float[Tensor, "directions classes"]
"""Several sums of outputs, the same for every input, each given by its coefficients."""

Labels: TypeAlias = Int[Tensor, " labels"]
"""Classes, one for each input unless somebody miscounted."""

Mask: TypeAlias = Bool[Tensor, " batch"]
"""A yes or no for each input."""

Objective: TypeAlias = Callable[[Inputs], PerInput]
"""A differentiable number to be made large, for each input by itself."""

Projection: TypeAlias = Callable[[Inputs], Inputs]
"""Brings inputs back to where they are allowed to be."""

# Values in one piece of a batch: big enough to keep two cores busy (more gains nothing on a
# CPU), small enough that the activations of a wide network at 224 x 224 stay under 2 GB.
PIECE = 2**19
# A GPU is kept busy by as many such pieces at once as it has times so many bytes.
_BYTES_FOR_A_PIECE = 8 * 2**30


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ranking:
    """Which classes of each input shall tie, in the order they shall stand, and which are shown."""

    classes: Classes
    shown: int = 1

    def __post_init__(self) -> None:
        if self.classes.shape[1] < 2:
            raise InvalidArgumentError(
                f"expected a tie of 2 classes or more, got {self.classes.shape[1]}", field="classes"
            )
        if self.shown < 1:
            raise InvalidArgumentError(f"expected 1 or more, got {self.shown}", field="shown")

    def take(self, rows: Tensor) -> "Ranking":
        """The ranking of some inputs."""
        return Ranking(classes=self.classes[rows], shown=self.shown)

    def put(self, rows: Tensor, other: "Ranking") -> "Ranking":
        """The ranking with some inputs' rows taken from another."""
        classes = self.classes.clone()
        classes[rows] = other.classes
        return Ranking(classes=classes, shown=self.shown)

    def repeat(self, times: int) -> "Ranking":
        """The ranking with every input's row `times` times, one after another."""
        return Ranking(classes=self.classes.repeat_interleave(times, 0), shown=self.shown)

    def reverse(self) -> "Ranking":
        """The same ties with their classes in the opposite order."""
        return Ranking(classes=self.classes.flip(1), shown=self.shown)

    def sort_by(self, scores: Scores) -> "Ranking":
        """The same ties with their classes by falling score."""
        order = scores.gather(1, self.classes).argsort(dim=1, descending=True, stable=True)
        return Ranking(classes=self.classes.gather(1, order), shown=self.shown)


def rank(scores: Scores, *, tied: int, shown: int = 1) -> Ranking:
    """Ranks the `tied` highest classes of each input, best first; all if there are fewer."""
    classes = scores.topk(min(tied, scores.shape[1]), dim=1).indices
    return Ranking(classes=classes, shown=shown)


def split(inputs: Inputs) -> tuple[Tensor, ...]:
    """The numbers of the inputs, in pieces that fit into memory."""
    piece = max(values_at_once(inputs.device) // prod(inputs.shape[1:]), 1)
    numbers = torch.arange(len(inputs), device=inputs.device)
    return torch.split(numbers, piece)


def values_at_once(device: torch.device) -> int:
    """How many values of inputs are run at once: on a GPU in proportion to its memory."""
    if device.type != "cuda":
        return PIECE
    memory = torch.cuda.get_device_properties(device).total_memory
    return PIECE * max(memory // _BYTES_FOR_A_PIECE, 1)


def score(network: nn.Module, inputs: Inputs) -> Scores:
    """The network's scores, computed in pieces and without a graph."""
    with torch.no_grad():
        return torch.cat([network(inputs[rows]) for rows in split(inputs)])


def measure_gaps(scores: Scores, ranking: Ranking) -> Gaps:
    """The differences that decide the shown answer.

    With z the scores in the ranking's order, gap j = z[min(j, shown) - 1] - z[j] for j from 1.
    """
    ranked = scores.gather(1, ranking.classes)
    ahead = torch.arange(ranked.shape[1] - 1, device=scores.device).clamp(max=ranking.shown - 1)
    return ranked[:, ahead] - ranked[:, 1:]


def best_outside(scores: Scores, ranking: Ranking) -> PerInput:
    """The highest score of a class that is not of the tie; minus infinity if all are of it."""
    return scores.scatter(1, ranking.classes, -torch.inf).amax(dim=1)


def measure_lead(scores: Scores, ranking: Ranking) -> PerInput:
    """By how much the shown answer is ahead: the smallest gap, of classes outside the tie too."""
    last = ranking.classes[:, min(ranking.shown, ranking.classes.shape[1]) - 1]
    beyond = scores.gather(1, last[:, None])[:, 0] - best_outside(scores, ranking)
    return torch.minimum(measure_gaps(scores, ranking).amin(dim=1), beyond)


def differentiate_gaps(
    network: nn.Module, inputs: Inputs, ranking: Ranking
) -> tuple[Gaps, Jacobian]:
    """The gaps and their derivatives by every value of the input.

    One forward pass and a backward pass for each gap, batched over inputs; the network's own
    weights take no gradients.
    """
    pieces = [_differentiate(network, inputs[rows], ranking.take(rows)) for rows in split(inputs)]
    gaps, jacobians = zip(*pieces, strict=True)
    return torch.cat(gaps), torch.cat(jacobians)


def _differentiate(network: nn.Module, inputs: Inputs, ranking: Ranking) -> tuple[Gaps, Jacobian]:
    variable = inputs.detach().requires_grad_()
    gaps = measure_gaps(network(variable), ranking)
    totals = gaps.sum(0)
    last = len(totals) - 1
    rows = [
        torch.autograd.grad(total, variable, retain_graph=number < last)[0].flatten(1)
        for number, total in enumerate(totals)
    ]
    return gaps.detach(), torch.stack(rows, dim=1)
