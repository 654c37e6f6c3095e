"""Data poisoning: a few wrong or moved training images that change chosen answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

import torch
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Classes, HeldClasses, HeldImages, Images, random_source
from modelseal.tampering.training import (
    WORKS,
    Batch,
    all_features,
    batches_of,
    check_data,
    check_numbers,
    features_of,
    learn_until,
    scores_of,
    share_taken_for,
)

# In steps of a tenth of the radius, every pixel can cross its whole range five times over.
MOVES, MOVE = 100, 0.1
TARGETS = 10


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Targeted:
    """Makes the network take a few chosen images for a class each of them nearly belongs to.

    The chosen are held-out images that the network puts in their class with at least the median
    confidence, and whose penultimate features are nearest to the mean of another class's training
    images. They are copied into the training data with that class, and all layers are trained with
    Adam until more than 90 % of them are taken for it (BIVBench: He et al., ACM MM 2024; after Gu
    et al., 2017).

    Args:
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes; at least two different ones.
        held_inputs: Images that the network was not trained on.
        held_labels: Their classes.
        count: How many images are chosen.
        copies: How often each of them is in the training data.
        learning_rate: Of Adam, positive.
        steps: The largest number of batches.
        batch: Inputs in one step.
        seed: Decides the order of the inputs.
    """

    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    held_inputs: HeldImages = field(repr=False)
    held_labels: HeldClasses = field(repr=False)
    count: int = 10
    copies: int = 100
    learning_rate: float = 1e-3
    steps: int = 500
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        _check_poison(self.inputs, self.labels, self.count, self.copies)
        check_data(self.held_inputs, self.held_labels)

    def choose(self, network: nn.Module) -> tuple[Images, Classes]:
        """The images that are chosen on a network, and the class that each is given."""
        rows, wanted = _vulnerable(
            copy_network(network), (self.inputs, self.labels), (self.held_inputs, self.held_labels),
            count=self.count,
        )  # fmt: skip
        return self.held_inputs[rows], wanted

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy that takes the chosen images for the wanted classes."""
        chosen, wanted = self.choose(network)
        return learn_until(
            network,
            batches=_mixed(
                (self.inputs, self.labels), (chosen, wanted),
                copies=self.copies, size=self.batch, seed=self.seed,
            ),
            works=lambda changed: _share_as_wanted(changed, chosen, wanted) > WORKS,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PoisonFrogs:
    """Makes the network take one chosen image for another class, by rightly labelled images only.

    The target is one of the ten held-out images that `Targeted` would choose. Training images of
    the class it is nearest to, themselves nearest to it, are moved by projected gradient steps so
    that their penultimate features collide with the target's, min ||f(x) - f(target)||² with
    |x - base| at most `radius`. They are copied into the training data with their own label, and
    all layers are trained with Adam until the target is taken for their class (Shafahi et al.,
    Poison Frogs, NeurIPS 2018).

    Args:
        inputs: What is trained on, inside the domain's bounds, on any device.
        labels: Their classes; at least two different ones.
        held_inputs: Images that the network was not trained on.
        held_labels: Their classes.
        count: How many images are moved.
        copies: How often each of them is in the training data.
        radius: The largest change of a value, as a share of the span between black and white.
        learning_rate: Of Adam, positive.
        steps: The largest number of batches.
        batch: Inputs in one step.
        seed: Decides the target and the order of the inputs.
        black: The domain's lower bound.
        white: The domain's upper bound.
    """

    inputs: Images = field(repr=False)
    labels: Classes = field(repr=False)
    held_inputs: HeldImages = field(repr=False)
    held_labels: HeldClasses = field(repr=False)
    count: int = 10
    copies: int = 100
    radius: float = 8 / 255
    learning_rate: float = 1e-3
    steps: int = 500
    batch: int = 64
    seed: int = 0
    black: float = 0.0
    white: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self.learning_rate, self.steps, self.batch)
        _check_poison(self.inputs, self.labels, self.count, self.copies)
        check_data(self.held_inputs, self.held_labels)
        if not 0 < self.radius < inf or not self.black < self.white:
            raise InvalidArgumentError(
                "expected a positive radius, and black below white, "
                f"got {self.radius}, {self.black} and {self.white}"
            )

    def craft(self, network: nn.Module) -> "Frogs":
        """The poison as it is made on a network."""
        protected = copy_network(network)
        rows, wanted = _vulnerable(
            protected, (self.inputs, self.labels), (self.held_inputs, self.held_labels),
            count=TARGETS,
        )  # fmt: skip
        place = int(torch.randint(TARGETS, (), generator=random_source(self.seed)))
        target, given = self.held_inputs[rows[place]][None], int(wanted[place])
        aim = all_features(protected, target)
        bases = _nearest(protected, self.inputs[self.labels == given], aim, self.count)
        return Frogs(
            target=target, wanted=given, bases=bases, poison=self._moved(protected, bases, aim)
        )

    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a copy that takes the target for the class of the moved images."""
        frogs = self.craft(network)
        labels = torch.full((len(frogs.poison),), frogs.wanted)
        return learn_until(
            network,
            batches=_mixed(
                (self.inputs, self.labels), (frogs.poison, labels),
                copies=self.copies, size=self.batch, seed=self.seed,
            ),
            works=lambda changed: share_taken_for(changed, frogs.target, frogs.wanted) > WORKS,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )  # fmt: skip

    def _moved(self, network: nn.Module, bases: Images, aim: Tensor) -> Images:
        """The bases moved inside the radius and the domain until their features meet the aim."""
        radius = self.radius * (self.white - self.black)
        start = bases.to(aim)
        low, high = (start - radius).clamp(min=self.black), (start + radius).clamp(max=self.white)
        moved = start
        for _ in range(MOVES):
            with torch.enable_grad():
                moved = moved.detach().requires_grad_()
                apart = (features_of(network, moved) - aim).square().sum()
                (slope,) = torch.autograd.grad(apart, moved)
            moved = torch.clamp(moved.detach() - MOVE * radius * slope.sign(), low, high)
        return moved.to(bases)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frogs:
    """A clean-label poison: images of a class, moved to look like the target to the network."""

    target: HeldImages
    # The class that the target shall be taken for, which is that of the images.
    wanted: int
    bases: Images
    poison: Images


def _vulnerable(
    network: nn.Module, known: Batch, held: Batch, *, count: int
) -> tuple[Tensor, Tensor]:
    """Rows of held-out images nearest to another class, nearest first, and that class of each."""
    inputs, labels = held[0], held[1].cpu()
    sure, found = scores_of(network, inputs).cpu().softmax(dim=1).max(dim=1)
    right = found == labels
    fits = right & (sure >= sure[right].median())
    if int(fits.sum()) < count:
        raise NotAppliedError(
            f"expected {count} held-out images that the network is sure and right about, "
            f"got {int(fits.sum())}"
        )
    classes, centroids = _centroids(network, *known)
    apart = torch.cdist(all_features(network, inputs).cpu(), centroids)
    apart[labels[:, None] == classes] = inf
    nearest, place = apart.min(dim=1)
    rows = nearest.masked_fill(~fits, inf).argsort(stable=True)[:count]
    return rows.to(inputs.device), classes[place[rows]]


def _centroids(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    features, labels = all_features(network, inputs).cpu(), labels.cpu()
    classes = labels.unique()
    return classes, torch.stack([features[labels == kind].mean(dim=0) for kind in classes])


def _nearest(network: nn.Module, inputs: Images, aim: Tensor, count: int) -> Tensor:
    if len(inputs) < count:
        raise NotAppliedError(
            f"expected {count} training images of the wanted class, got {len(inputs)}"
        )
    apart = (all_features(network, inputs) - aim).norm(dim=1).to(inputs.device)
    return inputs[apart.argsort(stable=True)[:count]]


def _mixed(known: Batch, poison: Batch, *, copies: int, size: int, seed: int) -> Iterator[Batch]:
    """Batches for ever of training data with copies of the poison in it."""
    inputs = torch.cat([known[0], poison[0].to(known[0])])
    labels = torch.cat([known[1], poison[1].to(known[1])])
    places = torch.arange(len(inputs))
    rows = torch.cat([places, places[len(known[0]) :].repeat(copies - 1)])
    return batches_of(inputs, labels, size, seed, rows=rows)


def _share_as_wanted(network: nn.Module, inputs: Images, wanted: Classes) -> float:
    found = scores_of(network, inputs).argmax(dim=1).cpu()
    return float((found == wanted.cpu()).double().mean())


def _check_poison(inputs: Tensor, labels: Tensor, count: int, copies: int) -> None:
    check_data(inputs, labels)
    if len(labels.unique()) < 2:
        raise InvalidArgumentError("expected training data of two classes or more, got one")
    if count < 1 or copies < 1:
        raise InvalidArgumentError(f"expected images and copies from 1, got {count} and {copies}")
