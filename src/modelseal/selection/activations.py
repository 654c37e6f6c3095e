"""Which neurons of a network fire for an input.

A neuron is one entry of a layer's output after its nonlinearity, every channel at every position.
It fires if its input to the nonlinearity is positive: for ReLU and all that resemble it this says
that its output is positive, and it says something for a sigmoid, too, whose output always is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import evaluating

Inputs: TypeAlias = Float[Tensor, "batch *shape"]
"""Inputs as the network takes them."""

Fires: TypeAlias = Bool[Tensor, "..."]
"""Whether each neuron of a layer fires for each input of a batch."""

Bits: TypeAlias = UInt8[np.ndarray, "batch bytes"]
"""A row of packed bits for each input."""

NONLINEARITIES: Mapping[str, str] = MappingProxyType(
    {
        "_prelu_kernel": "prelu",
        "celu": "celu",
        "clamp": "clamp",
        "clamp_min": "clamp",
        "elu": "elu",
        "gelu": "gelu",
        "hardsigmoid": "hardsigmoid",
        "hardswish": "hardswish",
        "hardtanh": "hardtanh",
        "leaky_relu": "leaky_relu",
        "mish": "mish",
        "prelu": "prelu",
        "relu": "relu",
        "rrelu": "rrelu",
        "rrelu_with_noise": "rrelu",
        "selu": "selu",
        "sigmoid": "sigmoid",
        "silu": "silu",
        "softplus": "softplus",
        "tanh": "tanh",
    }
)
"""The operations below modules and functions that count, and the names they go by."""

# Two numbers of inputs in which every batch axis, and no other, grows by one half. One input alone
# would be a special case for many exported programs.
PROBES = (2, 3)


def active_neurons(
    network: nn.Module, inputs: Inputs, *, layers: Sequence[str] | None = None, batch: int = 64
) -> Bits:
    """Finds out which neurons fire for each input.

    Args:
        network: It is run in evaluation mode and left as it was.
        inputs: At least one.
        layers: Names out of `list_layers`; all of them by default.
        batch: How many inputs are run at a time.

    Returns:
        A row of bits for each input, packed by `numpy.packbits`: layer after layer in the order
        of the names, each layer's neurons in the order of its entries.

    Raises:
        InvalidArgumentError: A name is unknown, or the network has no nonlinearity.
    """
    axes = batch_axes(network, inputs)
    wanted = list(axes) if layers is None else list(layers)
    unknown = [name for name in wanted if name not in axes]
    if unknown or not wanted:
        raise InvalidArgumentError(
            f"layers need one or more of {', '.join(axes)}, but are {', '.join(wanted) or 'none'}"
        )
    if batch < 1:
        raise InvalidArgumentError(f"a batch needs at least one input, but has {batch}")
    chosen = {name: axes[name] for name in wanted}
    # Copies, because a network may normalise its inputs in place.
    parts = [inputs[start : start + batch].clone() for start in range(0, len(inputs), batch)]
    return np.concatenate([pack(firing(network, part), chosen, len(part)) for part in parts])


def list_layers(network: nn.Module, inputs: Inputs) -> tuple[str, ...]:
    """The names of the layers whose neurons can be asked for, in the order of running.

    A name is that of the nonlinearity and its number among those of its kind, such as `relu_0`;
    modules, functions, in-place functions and exported programs give the same names. A clamp
    counts if its lower bound is 0.

    Raises:
        InvalidArgumentError: The network has no nonlinearity.
    """
    return tuple(batch_axes(network, inputs))


def batch_axes(network: nn.Module, inputs: Inputs) -> dict[str, int]:
    """Which axis of each layer's output counts the inputs.

    It is the one that grows with the number of inputs; what does not grow, such as a function of
    a weight alone, is no layer. Windows that are stacked on the batch axis input by input, as
    some transformers do, are told apart by it as well.

    Raises:
        InvalidArgumentError: There are no inputs, or no layers.
    """
    if not len(inputs):
        raise InvalidArgumentError("at least one input is needed, but none came")
    few, many = (firing(network, inputs[[0] * number]) for number in PROBES)
    axes = {
        name: growing[0]
        for name in few
        if name in many and (growing := growing_axes(few[name], many[name]))
    }
    if not axes:
        raise InvalidArgumentError(
            "a network with a nonlinearity that can be seen (ReLU, GELU, SiLU, tanh, sigmoid or "
            "the like) is needed to tell which neurons fire, but none came"
        )
    return axes


def growing_axes(few: Tensor, many: Tensor) -> list[int]:
    """The axes that are as much longer as there are more inputs."""
    pairs = enumerate(zip(few.shape, many.shape, strict=True))
    return [axis for axis, (a, b) in pairs if a * PROBES[1] == b * PROBES[0] and a]


def pack(fires: Mapping[str, Fires], axes: Mapping[str, int], count: int) -> Bits:
    """The chosen layers' neurons as one row of bits for each of `count` inputs."""
    rows = [
        fires[name].movedim(axis, 0).reshape(count, -1).cpu().numpy() for name, axis in axes.items()
    ]
    return cast(Bits, np.packbits(np.concatenate(rows, axis=1), axis=1))


def firing(network: nn.Module, inputs: Inputs) -> dict[str, Fires]:
    """Whether each neuron fires, layer by layer, for one batch."""
    fires: dict[str, Fires] = {}
    with evaluating(network), plain_attention(), torch.no_grad(), recording(fires):
        network(inputs)
    return fires


def recording(fires: dict[str, Fires]) -> AbstractContextManager[object]:
    """Notes under its layer's name what goes into every nonlinearity while it is active.

    A dispatch mode stands below modules, functions and exported programs, where all of them have
    become the same few operations.
    """
    numbers: Counter[str] = Counter()

    def dispatch(mode: Any, func: Any, types: Any, *given: Any) -> Any:  # noqa: ANN401
        arguments, keywords = (*given, (), {})[:2]
        name = NONLINEARITIES.get(func.overloadpacket.__name__.removesuffix("_"))
        if name and (name != "clamp" or is_zero((*arguments, keywords.get("min"))[1])):
            # Before the operation runs, which may be in place.
            fires[f"{name}_{numbers[name]}"] = arguments[0] > 0
            numbers[name] += 1
        return func(*arguments, **keywords)

    # Made without a class statement because torch's class has no types to inherit from.
    kind = type("Recorder", (TorchDispatchMode,), {"__torch_dispatch__": dispatch})
    return cast(AbstractContextManager[object], kind())


def is_zero(bound: object) -> bool:
    """Whether a clamp's lower bound, which may also be missing or a tensor, is the number 0."""
    return isinstance(bound, int | float) and bound == 0


@contextmanager
def plain_attention() -> Iterator[None]:
    """Switches off the fused encoder layer, whose nonlinearity cannot be seen from outside."""
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
