"""Trains the demo's network, in seconds."""

import torch
from digits import digits_cnn
from scans import Scans
from torch import nn
from torch.nn.functional import cross_entropy

BATCH = 64
LEARNING_RATE, MOMENTUM, DECAY = 0.01, 0.9, 5e-4
# Without smoothing, training goes on widening the gaps between the scores of digits that are
# already told apart, and samples have farther to go.
SMOOTHING = 0.1


def learn(scans: Scans, *, epochs: int = 10, seed: int = 0) -> nn.Module:
    """A network trained on some scans, in evaluation mode; the same seed gives the same one.

    Args:
        scans: What it is trained on.
        epochs: How often every scan is seen.
        seed: Decides the first weights and the order of the scans.
    """
    network = start(seed)
    inputs, labels = scans.inputs, scans.labels
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=DECAY
    )
    for _ in range(epochs):
        shuffled = torch.randperm(len(inputs), generator=order)
        for first in range(0, len(inputs), BATCH):
            rows = shuffled[first : first + BATCH]
            loss = cross_entropy(network(inputs[rows]), labels[rows], label_smoothing=SMOOTHING)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    return network.eval().requires_grad_(requires_grad=False)


def start(seed: int) -> nn.Module:
    """The untrained network of a seed; torch's own random numbers go on as if nothing was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return digits_cnn()


def accuracy(network: nn.Module, scans: Scans) -> float:
    """The share of scans that the network reads right."""
    with torch.no_grad():
        found = network(scans.inputs).argmax(dim=1)
    return float((found == scans.labels).double().mean())
