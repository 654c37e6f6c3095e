"""Which neurons of a network fire for an input.

A neuron is one entry of a layer's output after its nonlinearity, every channel at every position.
It fires if its input to the nonlinearity is positive: for ReLU and all that resemble it this says
that its output is positive, and it says something for a sigmoid, too, whose output always is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
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

_Fires: TypeAlias = Bool[Tensor, "..."]
"""Whether each neuron of a layer fires for each input of a batch."""

Bits: TypeAlias = UInt8[np.ndarray, "batch bytes"]
"""A row of packed bits for each input."""

_NONLINEARITIES = {
    "_prelu_kernel": "prelu",
    "clamp_min": "clamp",
    "rrelu_with_noise": "rrelu",
    **{
        name: name
        for name in (
            *("celu", "clamp", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh"),
            *("leaky_relu", "mish", "prelu", "relu", "rrelu", "selu", "sigmoid", "silu"),
            *("softplus", "tanh"),
        )
    },
}
"""The operations below modules and functions that count, and the names they go by."""

# Two numbers of inputs in which every batch axis, and no other, grows by one half. One input alone
# would be a special case for many exported programs.
_PROBES = (2, 3)


def active_neurons(
    network: nn.Module, inputs: Inputs, *, layers: Sequence[str] | None = None, batch: int = 64
) -> Bits:
    """Which neurons of the layers, out of `list_layers`, fire for each of some inputs.

    A row of bits for each input comes back, packed by `numpy.packbits`: layer after layer in the
    order of the names, each layer's neurons in the order of its entries.
    """
    axes = _batch_axes(network, inputs)
    wanted = list(axes) if layers is None else list(layers)
    unknown = [name for name in wanted if name not in axes]
    if unknown or not wanted:
        raise InvalidArgumentError(
            f"expected one or more of {', '.join(axes)}, got {', '.join(wanted) or 'none'}",
            field="layers",
        )
    if batch < 1:
        raise InvalidArgumentError(f"expected 1 or more, got {batch}", field="batch")
    chosen = {name: axes[name] for name in wanted}
    # Copies, because a network may normalise its inputs in place.
    parts = [inputs[start : start + batch].clone() for start in range(0, len(inputs), batch)]
    return np.concatenate([_pack(_firing(network, part), chosen, len(part)) for part in parts])


def list_layers(network: nn.Module, inputs: Inputs) -> tuple[str, ...]:
    """The names of the layers whose neurons can be asked for, in the order of running.

    A name is that of the nonlinearity and its number among those of its kind, such as `relu_0`;
    modules, functions, in-place functions and exported programs give the same names.
    """
    return tuple(_batch_axes(network, inputs))


def _batch_axes(network: nn.Module, inputs: Inputs) -> dict[str, int]:
    """Which axis of each layer's output counts the inputs.

    It is the one that grows with the number of inputs; what does not grow, such as a function of
    a weight alone, is no layer. Windows that are stacked on the batch axis input by input, as
    some transformers do, are told apart by it as well.
    """
    if not len(inputs):
        raise InvalidArgumentError("expected 1 input or more, got none", field="inputs")
    few, many = (_firing(network, inputs[[0] * number]) for number in _PROBES)
    axes = {
        name: growing[0]
        for name in few
        if name in many and (growing := _growing_axes(few[name], many[name]))
    }
    if not axes:
        raise InvalidArgumentError(
            "expected a network with a nonlinearity that can be seen (ReLU, GELU, SiLU, tanh, "
            "sigmoid or the like), got one without"
        )
    return axes


def _growing_axes(few: Tensor, many: Tensor) -> list[int]:
    """The axes that are as much longer as there are more inputs."""
    pairs = enumerate(zip(few.shape, many.shape, strict=True))
    return [axis for axis, (a, b) in pairs if a * _PROBES[1] == b * _PROBES[0] and a]


def _pack(fires: Mapping[str, _Fires], axes: Mapping[str, int], count: int) -> Bits:
    rows = [
        fires[name].movedim(axis, 0).reshape(count, -1).cpu().numpy() for name, axis in axes.items()
    ]
    return cast(Bits, np.packbits(np.concatenate(rows, axis=1), axis=1))


def _firing(network: nn.Module, inputs: Inputs) -> dict[str, _Fires]:
    fires: dict[str, _Fires] = {}
    with evaluating(network), _plain_attention(), torch.no_grad(), _recording(fires):
        network(inputs)
    return fires


def _recording(fires: dict[str, _Fires]) -> AbstractContextManager[object]:
    """Notes under its layer's name what goes into every nonlinearity while it is active.

    A dispatch mode stands below modules, functions and exported programs, where all of them have
    become the same few operations.
    """
    numbers: Counter[str] = Counter()

    def dispatch(mode: Any, func: Any, types: Any, *given: Any) -> Any:  # noqa: ANN401
        arguments, keywords = (*given, (), {})[:2]
        name = _NONLINEARITIES.get(func.overloadpacket.__name__.removesuffix("_"))
        if name and (name != "clamp" or _is_zero((*arguments, keywords.get("min"))[1])):
            # Before the operation runs, which may be in place.
            fires[f"{name}_{numbers[name]}"] = arguments[0] > 0
            numbers[name] += 1
        return func(*arguments, **keywords)

    # Made without a class statement because torch's class has no types to inherit from.
    kind = type("Recorder", (TorchDispatchMode,), {"__torch_dispatch__": dispatch})
    return cast(AbstractContextManager[object], kind())


def _is_zero(bound: object) -> bool:
    """Whether a clamp's lower bound, which may also be missing or a tensor, is the number 0."""
    return isinstance(bound, int | float) and bound == 0


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Switches off the fused encoder layer, whose nonlinearity cannot be seen from outside."""
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
