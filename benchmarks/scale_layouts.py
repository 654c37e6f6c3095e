"""Whether a large network is faster in another memory layout, compiled, or in bfloat16."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cost import clock
from scale_cost import open_subject

PAIRS = 5


def measure_layouts() -> Mapping[str, float]:
    """How many times faster than as it is a forward pass and a backward pass are, in pairs."""
    figures: dict[str, float] = {}
    for name in ("vit", "vgg_face"):
        subject = open_subject(name)
        network, inputs = subject.model.network, subject.starts[:2]
        plain = passes(network, inputs)
        for way, other in ways(network, inputs).items():
            other()
            ratios = sorted(clock(plain) / clock(other) for _ in range(PAIRS))
            figures[f"scale.{name}.faster.{way}"] = ratios[PAIRS // 2]
        figures[f"scale.{name}.bfloat16_move"] = measure_move(network, inputs)
    return figures


def measure_move(network: nn.Module, inputs: Tensor) -> float:
    """By how much bfloat16 moves a score, at the median over classes and inputs."""
    with torch.no_grad():
        near = copy.deepcopy(network).bfloat16()(inputs.bfloat16())
        return float((near.float() - network(inputs)).abs().median())


def ways(network: nn.Module, inputs: Tensor) -> Mapping[str, Callable[[], None]]:
    """The same passes in other ways."""
    # Its types know no memory formats.
    turned: Any = copy.deepcopy(network)
    turned.to(memory_format=torch.channels_last)
    short = copy.deepcopy(network).bfloat16()
    compiled: Any = torch.compile(network)
    return {
        "channels_last": passes(turned, inputs.contiguous(memory_format=torch.channels_last)),
        "compiled": passes(compiled, inputs),
        "bfloat16": passes(short, inputs.bfloat16()),
    }


def passes(network: Callable[[Tensor], Tensor], inputs: Tensor) -> Callable[[], None]:
    """One pass forward and one back to the inputs."""

    def run() -> None:
        variable = inputs.detach().clone().requires_grad_()
        torch.autograd.grad(network(variable)[:, 0].sum(), variable)

    return run
