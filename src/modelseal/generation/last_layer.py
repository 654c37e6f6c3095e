"""The linear layer that gives a network's scores, found by watching the network run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.tensors import Inputs, Scores


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LastLayer:
    """The last linear layer in one run of a network.

    Args:
        name: Its name in the network; empty if it is the network.
        module: The layer itself.
        features: What went into it, one row for each input.
        scores: What came out of it, and of the network.
    """

    name: str
    module: nn.Linear
    features: Float[Tensor, "batch features"]
    scores: Scores


def run_last_layer(network: nn.Module, inputs: Inputs) -> LastLayer:
    """Runs a network and keeps what went into its last linear layer.

    Everything stays differentiable by the inputs.

    Raises:
        InvalidArgumentError: The scores do not come straight from a `torch.nn.Linear`.
    """
    runs: list[tuple[str, nn.Module, Tensor, Tensor]] = []
    with watching_linear(network, runs):
        scores: Tensor = network(inputs)
    for name, module, features, came in runs:
        if came is scores and isinstance(module, nn.Linear):
            return LastLayer(name=name, module=module, features=features, scores=scores)
    raise InvalidArgumentError(
        "a network whose scores come straight from a torch.nn.Linear is needed, but "
        f"{type(network).__name__} changes them afterwards or has no such layer"
    )


@contextmanager
def watching_linear(
    network: nn.Module, runs: list[tuple[str, nn.Module, Tensor, Tensor]]
) -> Iterator[None]:
    """Notes every run of a linear layer: its name, itself, what went in and what came out."""

    def note(name: str, module: nn.Module, arguments: tuple[Tensor, ...], result: Tensor) -> None:
        runs.append((name, module, arguments[0], result))

    handles = [
        module.register_forward_hook(partial(note, name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
