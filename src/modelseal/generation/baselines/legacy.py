"""A rival to compare with: the published code of He et al. (CVPR 2019)."""

from dataclasses import dataclass
from math import isfinite, sqrt

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines.ascent import project_l2
from modelseal.generation.image_quality import total_variation
from modelseal.generation.last_layer import run_last_layer
from modelseal.generation.sensitivity import choose_parameters
from modelseal.runtime.tensors import Inputs

# The published code works on grey levels from 0 to this.
GREYS = 255
# It adds this to probabilities before it takes their logarithm.
OFFSET = 1e-8


@dataclass(frozen=True, kw_only=True, slots=True)
class LegacySettings:
    """The numbers of the published code.

    Args:
        iterations: How many steps are taken at most, at least 1.
        learning_rate: Adam's, in grey levels, above 0.
        radius: The largest root mean square change, in grey levels, above 0.
        variation: The weight of the total variation of the image in grey levels, from 0.
        threshold: The mean squared derivative by a weight above which an image is done.
        classes: The logarithms of how many probabilities are summed, at least 1: those of the
            first classes, or of all if there are fewer.

    Raises:
        InvalidArgumentError: A value is out of its range.
    """

    iterations: int = 1000
    learning_rate: float = 1.0
    radius: float = 10.0
    variation: float = 0.0
    threshold: float = 5e-4
    classes: int = 40

    def __post_init__(self) -> None:
        for name in ("iterations", "classes"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name} needs 1 or more, but is {getattr(self, name)}")
        for name in ("learning_rate", "radius"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidArgumentError(
                    f"{name} needs a finite number above 0, but is {getattr(self, name)}"
                )
        if not (isfinite(self.variation) and self.variation >= 0):
            raise InvalidArgumentError(
                f"variation needs a finite weight from 0, but is {self.variation}"
            )
        if not self.threshold >= 0:
            raise InvalidArgumentError(f"threshold needs 0 or more, but is {self.threshold}")


PUBLISHED = LegacySettings()


def legacy(
    network: nn.Module,
    start: Inputs,
    *,
    domain: Domain,
    settings: LegacySettings = PUBLISHED,
) -> Inputs:
    """Runs the published code's objective and loop, for comparison only.

    One image at a time: Adam lowers -mean((df/dW)²) + variation · TV, where f is the sum of
    log(softmax + 1e-8) over the first classes and W the last linear layer's weights without its
    bias. Gradients are never zeroed: each step uses the sum of all that came before. After a step
    the image is brought into a ball around the start, then into the bounds. The image of the last
    step is returned, or the first whose mean((df/dW)²) is above the threshold.

    All of it runs on grey levels from 0 to 255 that stand for the domain's bounds, so that every
    setting means what it means in the published code. The bounds are those of the inputs: a
    normalisation belongs to the network.

    Args:
        network: In evaluation mode; its scores come straight from a `torch.nn.Linear`. It is
            not touched: the loop differentiates by a copy of the weights.
        start: Natural inputs, at least one.
        domain: The valid inputs.
        settings: The numbers.

    Returns:
        Inputs inside the bounds, not yet on the levels.

    Raises:
        InvalidArgumentError: There are no inputs, the scores do not come straight from a
            `torch.nn.Linear` with weights of its own, or a total variation is wanted of what is
            no image.
    """
    if not len(start):
        raise InvalidArgumentError("at least one input is needed, but none came")
    with torch.no_grad():
        last = run_last_layer(network, start[:1])
    name = f"{last.name}.weight".removeprefix(".")
    loop = LegacyLoop(
        network=network,
        name=name,
        weight=choose_parameters(network, [name])[name].clone().requires_grad_(),
        domain=domain,
        settings=settings,
    )
    return torch.cat([loop.run(one[None]) for one in start.detach()])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LegacyLoop:
    """What stays the same from one image to the next.

    Args:
        network: Takes inputs, gives scores.
        name: The name of the last linear layer's weights.
        weight: A copy of them that requires gradients.
        domain: The valid inputs.
        settings: The numbers.
    """

    network: nn.Module
    name: str
    weight: Tensor
    domain: Domain
    settings: LegacySettings

    def run(self, start: Inputs) -> Inputs:
        """The image that the published loop ends with."""
        scale, radius = GREYS / self.domain.span, self.settings.radius * sqrt(start.numel())
        centre = (start - self.domain.bounds[0]) * scale
        greys = centre.clone().requires_grad_()
        optimiser = torch.optim.Adam([greys], lr=self.settings.learning_rate)
        greys.grad = torch.zeros_like(greys)
        for _ in range(self.settings.iterations):
            sensitivity = self.measure(greys)
            if sensitivity > self.settings.threshold:
                break
            loss = self.penalise(greys) - sensitivity
            greys.grad += torch.autograd.grad(loss, greys)[0]
            optimiser.step()
            with torch.no_grad():
                greys.copy_(project_l2(greys, centre, radius=radius).clamp(0, GREYS))
        return self.domain.clamp(self.place(greys.detach()))

    def place(self, greys: Inputs) -> Inputs:
        """Grey levels as inputs."""
        return greys * (self.domain.span / GREYS) + self.domain.bounds[0]

    def measure(self, greys: Inputs) -> Tensor:
        """The mean of (df/dW)² over all weights, differentiable by the grey levels."""
        scores: Tensor = functional_call(
            self.network, {self.name: self.weight}, (self.place(greys),)
        )
        logarithms = (scores.softmax(1) + OFFSET).log()[:, : self.settings.classes]
        derivative = torch.autograd.grad(logarithms.sum(), self.weight, create_graph=True)[0]
        return derivative.square().mean()

    def penalise(self, greys: Inputs) -> Tensor:
        """The weighted total variation; inputs without it need not be images."""
        if not self.settings.variation:
            return greys.new_zeros(())
        return self.settings.variation * total_variation(greys).sum()
