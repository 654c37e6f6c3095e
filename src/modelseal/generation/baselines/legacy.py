"""A rival to compare with: the published code of He et al. (CVPR 2019)."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.generation.baselines import check_at_least, check_positive
from modelseal.generation.baselines.ascent import project_l2
from modelseal.generation.gaps import Inputs, PerInput
from modelseal.generation.image_quality import total_variation
from modelseal.generation.sensitivity import choose_parameters, run_last_layer

# The published code works on grey levels from 0 to this.
_GREYS = 255
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
    """

    iterations: int = 1000
    learning_rate: float = 1.0
    radius: float = 10.0
    variation: float = 0.0
    threshold: float = 5e-4
    classes: int = 40

    def __post_init__(self) -> None:
        check_at_least(1, iterations=self.iterations, classes=self.classes)
        check_positive(learning_rate=self.learning_rate, radius=self.radius)
        check_at_least(0, variation=self.variation)
        if not self.threshold >= 0:
            raise InvalidArgumentError(
                f"expected 0 or more, got {self.threshold}", field="threshold"
            )


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
    setting means what it means in the published code; a normalisation belongs to the network.
    """
    loop = _prepare(network, start, domain=domain, settings=settings)
    return torch.cat([loop.run(one[None]) for one in start.detach()])


def legacy_sensitivity(
    network: nn.Module,
    inputs: Inputs,
    *,
    domain: Domain,
    settings: LegacySettings = PUBLISHED,
) -> PerInput:
    """The mean((df/dW)²) of `legacy` at each input."""
    loop = _prepare(network, inputs, domain=domain, settings=settings)
    return torch.stack([loop.measure(loop.to_greys(one[None])).detach() for one in inputs])


def _prepare(
    network: nn.Module, inputs: Inputs, *, domain: Domain, settings: LegacySettings
) -> "_Loop":
    if not len(inputs):
        raise InvalidArgumentError("expected 1 input or more, got none", field="inputs")
    with torch.no_grad():
        last = run_last_layer(network, inputs[:1])
    name = f"{last.name}.weight".removeprefix(".")
    weight = choose_parameters(network, [name])[name].clone().requires_grad_()
    return _Loop(network=network, name=name, weight=weight, domain=domain, settings=settings)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Loop:
    """The published loop; `weight` is a copy of the last layer's that requires gradients."""

    network: nn.Module
    name: str
    weight: Tensor
    domain: Domain
    settings: LegacySettings

    def run(self, start: Inputs) -> Inputs:
        """The image that the loop ends with."""
        radius = self.settings.radius * sqrt(start.numel())
        centre = self.to_greys(start)
        greys = centre.clone().requires_grad_()
        optimiser = torch.optim.Adam([greys], lr=self.settings.learning_rate)
        greys.grad = torch.zeros_like(greys)
        for _ in range(self.settings.iterations):
            sensitivity = self.measure(greys)
            if sensitivity > self.settings.threshold:
                break
            loss = self._penalty(greys) - sensitivity
            greys.grad += torch.autograd.grad(loss, greys)[0]
            optimiser.step()
            with torch.no_grad():
                greys.copy_(project_l2(greys, centre, radius=radius).clamp(0, _GREYS))
        return self.domain.clamp(self._to_inputs(greys.detach()))

    def to_greys(self, inputs: Inputs) -> Inputs:
        return (inputs - self.domain.bounds[0]) * (_GREYS / self.domain.span)

    def _to_inputs(self, greys: Inputs) -> Inputs:
        return greys * (self.domain.span / _GREYS) + self.domain.bounds[0]

    def measure(self, greys: Inputs) -> Tensor:
        """The mean of (df/dW)² over all weights, differentiable by the grey levels."""
        scores: Tensor = functional_call(
            self.network, {self.name: self.weight}, (self._to_inputs(greys),)
        )
        logarithms = (scores.softmax(1) + OFFSET).log()[:, : self.settings.classes]
        derivative = torch.autograd.grad(logarithms.sum(), self.weight, create_graph=True)[0]
        return derivative.square().mean()

    def _penalty(self, greys: Inputs) -> Tensor:
        # Without weight the inputs need not be images.
        if not self.settings.variation:
            return greys.new_zeros(())
        return self.settings.variation * total_variation(greys).sum()
