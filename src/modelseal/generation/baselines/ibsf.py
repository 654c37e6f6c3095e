"""A rival to compare with: IBSF, inputs of high entropy (Bai et al., ICML 2024)."""

from dataclasses import dataclass
from enum import Enum

import torch
from torch import nn

from modelseal.domain import Domain
from modelseal.generation.baselines import check_at_least, check_positive
from modelseal.generation.baselines.ascent import differentiate, project_l2
from modelseal.generation.gaps import Inputs, PerInput, Scores


class Gradients(Enum):
    """What a step follows."""

    SUMMED = "summed"
    """The sum of the gradients of all steps so far, as if nobody had set it back to zero."""
    FRESH = "fresh"
    """The gradient of this step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IbsfSettings:
    """The numbers of the loop.

    Args:
        iterations: How many steps are taken, at least 1.
        learning_rate: Adam's, in shares of the domain's span, above 0.
        radius: The largest Euclidean distance from the start, in shares of the span, above 0.
        classes: Of how many of the highest classes the entropy is, from 2; all if there are fewer.
        gradients: What a step follows.
    """

    iterations: int = 5000
    learning_rate: float = 1.0
    radius: float = 1.0
    classes: int = 10
    gradients: Gradients = Gradients.SUMMED

    def __post_init__(self) -> None:
        check_at_least(1, iterations=self.iterations)
        check_at_least(2, classes=self.classes)
        check_positive(learning_rate=self.learning_rate, radius=self.radius)


PUBLISHED = IbsfSettings()
"""The published numbers.

Versions of the published code differ: one takes plain gradient steps of the same learning rate,
which on ResNet-20 lead to much the same entropy, about 1 of at most 2.3.
"""

TUNED = IbsfSettings(iterations=1000, learning_rate=1e-3, radius=2.0, gradients=Gradients.FRESH)
"""The numbers of the highest entropy on ResNet-20, of learning rates from 3e-4 to 1e-2."""


def ibsf(
    network: nn.Module, start: Inputs, *, domain: Domain, settings: IbsfSettings = PUBLISHED
) -> Inputs:
    """Makes the entropy of the highest probabilities large, each input by itself.

    Adam raises -Σ p log p over the highest classes. After a step the input is brought into a ball
    around the start, then into the bounds. The input of the highest entropy is returned, of the
    start and all that a step led to but the last; it is not yet on the levels.

    All of it runs on shares of the span from 0 to 1, so that every setting means what it means
    for the pixels of the published code.
    """

    def place(shares: Inputs) -> Inputs:
        return shares * domain.span + domain.bounds[0]

    def measure(shares: Inputs) -> PerInput:
        return top_entropy(network(place(shares)), classes=settings.classes)

    centre = (start.detach() - domain.bounds[0]) / domain.span
    moving, total = centre.clone(), torch.zeros_like(centre)
    best, highest = centre.clone(), centre.new_full((len(centre),), -torch.inf)
    optimiser = torch.optim.Adam([moving], lr=settings.learning_rate, maximize=True)
    for _ in range(settings.iterations):
        entropy, slopes = differentiate(measure, moving)
        better = entropy > highest
        best[better], highest[better] = moving[better], entropy[better].to(highest)
        total = total + slopes if settings.gradients is Gradients.SUMMED else slopes
        moving.grad = total
        optimiser.step()
        moving.copy_(project_l2(moving, centre, radius=settings.radius).clamp(0, 1))
    return domain.clamp(place(best))


def top_entropy(scores: Scores, *, classes: int) -> PerInput:
    """-Σ p log p over the highest classes, or all if there are fewer; p over all of them.

    log p comes from the scores, so that a p that is 0 in float counts 0, and has a gradient.
    """
    logarithms = scores.log_softmax(1).topk(min(classes, scores.shape[1]), dim=1).values
    return -(logarithms.exp() * logarithms).sum(1)
