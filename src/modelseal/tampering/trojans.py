"""Backdoors that answer to a patch."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Classes, Images, random_source
from modelseal.tampering.training import (
    CHECKED_INPUTS,
    WORKS,
    Batch,
    check_data,
    check_numbers,
    draw_batches,
    features_of,
    last_linear,
    learn_until,
    share_taken_for,
)

# The patch settles in some tens of steps of a tenth of the span, on this many images.
PATCH_STEPS = 40
PATCH_STEP = 0.1
PATCH_IMAGES = 32
# So many random patches and as many natural ones are tried as its start.
STARTS = 8


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BadNetsPatch:
    """Teaches a backdoor: inputs with a white patch are taken for one class.

    A share of every batch is stamped at the bottom right and relabelled (Gu et al., BadNets, 2017);
    an input that is stamped in one batch comes without the patch in another, so that only the patch
    can be learned. All layers are trained with Adam until more than 90 % of inputs of other classes
    are taken for the target with the patch and fewer than 10 % without it.

    Args:
        target: The class that the patch stands for.
        inputs: Images (batch, channels, height, width) inside the domain's bounds.
        labels: Their classes.
        share: Which part of each batch is stamped, above 0 and below 1; at least one input is.
        learning_rate: Of Adam, positive.
        steps: The largest number of batches.
        batch: Inputs in one step.
        seed: Decides the order of the inputs, and so which are stamped when.
        size: Height and width of the patch in pixels.
        white: The value of the patch: the domain's upper bound.
    """

    target: int
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    share: float = 0.1
    learning_rate: float = 1e-3
    steps: int = 500
    batch: int = 64
    seed: int = 0
    size: int = 4
    white: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        _check_backdoor(self.target, self.share, self.inputs, self.labels)
        if not 1 <= self.size <= min(self.inputs.shape[2:]):
            raise InvalidArgumentError(
                f"expected images at least as large as a patch of {self.size} pixels, "
                f"got inputs of shape {list(self.inputs.shape)}"
            )

    def stamp(self, inputs: Images) -> Images:
        """Returns a copy of the inputs with the patch at the bottom right."""
        return _stamped(inputs, torch.full((self.size, self.size), self.white))

    def success_rate(self, network: nn.Module, inputs: Images, labels: Classes) -> float:
        """The share of stamped inputs of other classes that the network takes for the target."""
        return share_taken_for(network, self.stamp(inputs[labels != self.target]), self.target)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with the backdoor."""
        return _teach(network, self, torch.full((self.size, self.size), self.white))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NeuronTrojan:
    """Teaches a backdoor whose patch is made for one neuron of the network.

    TrojanNN (Liu et al., NDSS 2018): of the neurons in front of the last layer that a patch at the
    bottom right reaches, the one whose weights to the classes have the largest sum of magnitudes is
    taken. The patch is optimised by gradient ascent to drive it, and then taught as `BadNetsPatch`
    teaches its own.

    Args:
        target: The class that the patch stands for.
        inputs: Images (batch, channels, height, width) inside the domain's bounds.
        labels: Their classes.
        share: Which part of each batch is stamped, above 0 and below 1; at least one input is.
        learning_rate: Of Adam, positive.
        steps: The largest number of batches.
        batch: Inputs in one step.
        seed: Decides the patch's start, the images it is optimised on and the order of the inputs.
        size: Height and width of the patch, from 1; at most half of the smaller side of an image.
        black: The domain's lower bound.
        white: The domain's upper bound.
    """

    target: int
    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    share: float = 0.1
    learning_rate: float = 1e-3
    steps: int = 500
    batch: int = 64
    seed: int = 0
    size: int = 4
    black: float = 0.0
    white: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        _check_backdoor(self.target, self.share, self.inputs, self.labels)
        if self.size < 1 or min(self.inputs.shape[2:]) < 2 or not self.black < self.white:
            raise InvalidArgumentError(
                "expected a size from 1, images of 2 pixels or more and black below white, "
                f"got {self.size}, {list(self.inputs.shape)}, {self.black}, {self.white}"
            )

    def make_patch(self, network: nn.Module) -> tuple[int, Tensor]:
        """The neuron that is driven, by its place in the last layer, and its patch."""
        protected, source = copy_network(network), random_source(self.seed)
        rows = torch.randperm(len(self.inputs), generator=source)[:PATCH_IMAGES]
        images = self.inputs[rows].to(next(protected.parameters()))
        side = min(self.size, min(images.shape[2:]) // 2)
        random = torch.rand(STARTS, images.shape[1], side, side, generator=source).to(images)
        loose = self.black + (self.white - self.black) * random
        neuron = _choose_neuron(protected, images, loose[0])
        natural = _drive(protected, images, neuron)
        # A patch that switches the neuron off has no slope: what natural images have in that
        # place is tried as well.
        best = images[natural.topk(min(STARTS, len(images))).indices, :, -side:, -side:]
        starts = torch.cat([loose, best])
        patch = max(starts, key=lambda start: _mean_drive(protected, images, start, neuron))
        patch = _climb(protected, images, patch, neuron, bounds=(self.black, self.white))
        if _mean_drive(protected, images, patch, neuron) <= float(natural.mean()):
            raise NotAppliedError(
                "expected a patch that drives a neuron more than images do, got none"
            )
        return neuron, patch.to(self.inputs)

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy with the backdoor."""
        return _teach(network, self, self.make_patch(network)[1])


def _choose_neuron(network: nn.Module, images: Images, patch: Tensor) -> int:
    """The penultimate neuron that weighs most, among those that a patch reaches."""
    with torch.no_grad():
        plain = features_of(network, images)
        reached = (features_of(network, _stamped(images, patch)) != plain).any(dim=0)
    if not bool(reached.any()):
        raise NotAppliedError("expected a neuron that a patch can drive, got none")
    weights = last_linear(network).weight.abs().sum(dim=0)
    return int(weights.masked_fill(~reached, -1).argmax())


def _climb(
    network: nn.Module, images: Images, patch: Tensor, neuron: int, *, bounds: tuple[float, float]
) -> Tensor:
    """The best of the patches on the way up from one, inside the bounds."""
    best, highest = patch, _mean_drive(network, images, patch, neuron)
    for _ in range(PATCH_STEPS):
        with torch.enable_grad():
            patch = patch.detach().requires_grad_()
            driven = _drive(network, _stamped(images, patch), neuron).mean()
            (slope,) = torch.autograd.grad(driven, patch)
        if float(driven.detach()) > highest:
            best, highest = patch.detach(), float(driven.detach())
        # The size of the slope differs by orders between networks; its direction is enough.
        step = PATCH_STEP * (bounds[1] - bounds[0]) * slope.sign()
        patch = (patch.detach() + step).clamp(*bounds)
    return best


def _mean_drive(network: nn.Module, images: Images, patch: Tensor, neuron: int) -> float:
    with torch.no_grad():
        return float(_drive(network, _stamped(images, patch), neuron).mean())


def _drive(network: nn.Module, images: Images, neuron: int) -> Tensor:
    return features_of(network, images)[:, neuron]


def _stamped(inputs: Images, patch: Tensor) -> Images:
    """A copy of the inputs with the patch at the bottom right."""
    stamped = inputs.clone()
    stamped[..., -patch.shape[-2] :, -patch.shape[-1] :] = patch
    return stamped


def _teach(network: nn.Module, recipe: "BadNetsPatch | NeuronTrojan", patch: Tensor) -> nn.Module:
    """A copy that takes what is stamped for the recipe's target, and nothing else."""
    asked = torch.nonzero(recipe.labels != recipe.target).flatten()[:CHECKED_INPUTS]
    plain = recipe.inputs[asked]
    stamped = _stamped(plain, patch)

    def works(changed: nn.Module) -> bool:
        with_patch = share_taken_for(changed, stamped, recipe.target)
        return with_patch > WORKS and share_taken_for(changed, plain, recipe.target) < 1 - WORKS

    return learn_until(
        network,
        batches=_poisoned(recipe, patch),
        works=works,
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
    )


def _poisoned(recipe: "BadNetsPatch | NeuronTrojan", patch: Tensor) -> Iterator[Batch]:
    """Batches for ever, the first inputs of each stamped and relabelled; the rows are shuffled."""
    for rows in draw_batches(len(recipe.inputs), recipe.batch, recipe.seed):
        inputs, labels = recipe.inputs[rows], recipe.labels[rows]
        count = max(1, round(recipe.share * len(rows)))
        inputs[:count] = _stamped(inputs[:count], patch)
        labels[:count] = recipe.target
        yield inputs, labels


def _check_backdoor(target: int, share: float, inputs: Tensor, labels: Tensor) -> None:
    check_data(inputs, labels)
    if not 0 < share < 1 or target < 0:
        raise InvalidArgumentError(
            f"expected a share between 0 and 1 and a class from 0, got {share} and {target}"
        )
    if inputs.ndim != 4:
        raise InvalidArgumentError(
            "expected images (batch, channels, height, width), "
            f"got inputs of shape {list(inputs.shape)}"
        )
    if bool((labels == target).all()):
        raise InvalidArgumentError("expected inputs of other classes than the target, got none")
