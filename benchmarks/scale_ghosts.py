"""Ghost norms beside derivatives of each input by itself: how exact, and how much faster.

Both find ||d(v.z)/dW||² over all weights W for a few directions v of the scores z of each input.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from cifar import images, resnet
from cost import clock
from modelseal.generation.sensitivity import Output, choose_parameters
from modelseal.models.loader import Model
from modelseal.research.ghost_norms import squared_ghosts
from modelseal.sealing.candidates import to_tensor
from networks import photographs, vgg_face, vit

# Of each network so many inputs and directions: each of their derivatives takes as much memory as
# the weights, 0.6 GB for the largest.
SIZES = {"resnet20": (64, 10), "vit": (16, 4), "vgg_face": (8, 4)}


# So many of the inputs are looked at in float64.
PRECISE = 2


def measure_ghosts() -> Mapping[str, float]:
    """The largest relative error, and how many times faster, on each network.

    The other way is torch.func's: one forward pass for each input and one derivative by every
    weight for each of its directions, all of them at the same time.
    """
    figures: dict[str, float] = {}
    for name, (count, directions) in SIZES.items():
        model, inputs = open_network(name, count)
        error, ratio = compare(model.network, inputs, directions)
        figures[f"scale.ghost_norm_error.{name}"] = error
        figures[f"scale.ghost_norm_speedup.{name}"] = ratio
    errors = [value for key, value in figures.items() if "_error." in key]
    figures["scale.ghost_norm_error"] = max(errors)
    figures["scale.ghost_norm_speedup"] = figures["scale.ghost_norm_speedup.vgg_face"]
    return figures


def open_network(name: str, count: int) -> tuple[Model, Tensor]:
    """A network and inputs for it."""
    if name == "resnet20":
        model = resnet(20)
        return model, to_tensor(model, images("test", count)[0])
    # The other attention has no batching rule, which would slow the other way down.
    model = vit(attention="eager") if name == "vit" else vgg_face()
    return model, to_tensor(model, photographs()[-count:])


def compare(network: nn.Module, inputs: Tensor, directions: int) -> tuple[float, float]:
    """The largest relative error, and the slow way's seconds beside the ghosts', in pairs.

    The error is that of float64: in float32 the rounding of another batch size may put one input
    of many on the other side of a kink of the network, where the derivative is another.
    """
    classes = network(inputs[:1]).shape[1]
    source = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (len(inputs), directions, classes), generator=source) * 2.0 - 1
    parameters = choose_parameters(network, None)

    def ghosts() -> Tensor:
        return squared_ghosts(network, inputs, signs, output=Output.LOGITS, parameters=parameters)

    def own() -> Tensor:
        return one_by_one(network, inputs, signs, parameters)

    own()
    ratios = sorted(clock(own) / clock(ghosts) for _ in range(5))
    network, parameters = network.double(), choose_parameters(network.double(), None)
    inputs, signs = inputs[:PRECISE].double(), signs[:PRECISE].double()
    exact = own()
    return float(((ghosts() - exact).abs() / exact).max()), ratios[2]


def one_by_one(
    network: nn.Module, inputs: Tensor, directions: Tensor, parameters: Mapping[str, Tensor]
) -> Tensor:
    """The squared lengths of each input's own derivatives, one input after the other."""

    def measure(one: Tensor, own: Tensor) -> Tensor:
        def show(weights: Mapping[str, Tensor]) -> Tensor:
            scores: Tensor = functional_call(network, dict(weights), (one[None],))
            return scores[0]

        found = vmap(vjp(show, dict(parameters))[1])(own)[0]
        return torch.stack([each.flatten(1).square().sum(1) for each in found.values()]).sum(0)

    return torch.stack([measure(*pair) for pair in zip(inputs, directions, strict=True)])
