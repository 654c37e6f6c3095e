"""Ghost norms beside derivatives of each input by itself: how exact, and how much faster."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from cifar import images, resnet
from cost import clock
from modelseal.generation.ghost_norms import squared_ghosts
from modelseal.generation.sensitivity import Output, choose_parameters
from modelseal.models.loading import Model
from modelseal.sealing.generating import to_tensor
from networks import photographs, vgg_face, vit

# Each input's own derivatives take as much memory as the weights: 0.6 GB for the largest.
INPUTS = {"resnet20": 16, "vit": 8, "vgg_face": 2}


def measure_ghosts() -> Mapping[str, float]:
    """The largest relative error, and how many times faster, on each network.

    Both find ||d(v.y)/dW||² over all weights for one v of each input; the other way keeps every
    input's derivative by every weight, as torch.func's vmap of grad does.
    """
    figures: dict[str, float] = {}
    for name, count in INPUTS.items():
        model, inputs = open_network(name, count)
        error, ratio = compare(model.network, inputs)
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


def compare(network: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """The largest relative error, and the slow way's seconds beside the ghosts', in pairs."""
    classes = network(inputs[:1]).shape[1]
    source = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (len(inputs), 1, classes), generator=source) * 2.0 - 1
    parameters = choose_parameters(network, None)

    def ghosts() -> Tensor:
        return squared_ghosts(
            network, inputs, signs, output=Output.PROBABILITIES, parameters=parameters
        )[:, 0]

    def own() -> Tensor:
        return one_by_one(network, inputs, signs[:, 0], parameters)

    exact = own()
    error = float(((ghosts() - exact).abs() / exact).max())
    ratios = sorted(clock(own) / clock(ghosts) for _ in range(5))
    return error, ratios[2]


def one_by_one(
    network: nn.Module, inputs: Tensor, signs: Tensor, parameters: Mapping[str, Tensor]
) -> Tensor:
    """The squared lengths of each input's own derivative, all of them kept in memory."""

    def total(weights: Mapping[str, Tensor], one: Tensor, direction: Tensor) -> Tensor:
        shown: Tensor = functional_call(network, dict(weights), (one[None],)).softmax(1)[0]
        return direction @ shown

    slope: Callable[..., Mapping[str, Tensor]] = vmap(grad(total), in_dims=(None, 0, 0))
    found = slope(dict(parameters), inputs, signs)
    return torch.stack([each.flatten(1).square().sum(1) for each in found.values()]).sum(0)
