"""How much memory there is, and how many processes that make candidates fit into it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from modelseal.generation.gaps import values_at_once
from modelseal.models.loader import Model
from modelseal.runtime.devices import device_of
from modelseal.runtime.inference import run_network
from modelseal.sealing.checkpoints import piece_size
from modelseal.sealing.recipe import Recipe

_MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
# A process with torch in it, before it has loaded a network: 250 to 350 MB on Linux.
BARE = 400 * 2**20
# Newton's step has the Jacobian, two products of its size and a share of it at the same time.
_JACOBIANS = 4
# A backward pass has the gradient of each activation beside it.
ACTIVATIONS = 2
FLOAT = 4


def fit_processes(wanted: int, *, need: int, available: int | None) -> int:
    """How many processes run at once: as many as are wanted and fit, at least one.

    Fewer take longer and make the same candidates. Both amounts are bytes, `need` of each process;
    what is available may be unknown.
    """
    return wanted if available is None else max(1, min(wanted, available // need))


def available_memory(
    device: torch.device, *, meminfo: Path = _MEMINFO, group: Path = GROUP
) -> int | None:
    """The bytes that are free for a program, as Linux tells; None where nobody tells.

    It is what the machine has, or what is left of this container's limit, or of the GPU's memory,
    if that is less.
    """
    amounts = (_read_machine(meminfo), _read_container(group), _read_gpu(device))
    return min((amount for amount in amounts if amount is not None), default=None)


def _read_machine(meminfo: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in meminfo.read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return int(amount.removesuffix("kB")) * 1024
    return None


def _read_container(group: Path) -> int | None:
    # Where there is no limit, the file says max, which is no number.
    with suppress(OSError, ValueError):
        most, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        return max(most - used, 0)
    return None


def _read_gpu(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    # What torch keeps for later use is free.
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]


def need_memory(model: Model, recipe: Recipe) -> int:
    """About how many bytes a process needs that makes candidates.

    That is torch, one copy of the weights, the Jacobians of a piece, and the activations of the
    inputs that are run together with their gradients, as one run with one input tells.
    """
    size, values = piece_size(model.domain), prod(model.domain.shape)
    together = max(min(size, values_at_once(device_of(model.network)) // values), 1)
    jacobian = size * (max(recipe.tied, recipe.shown + 1) - 1) * values * FLOAT
    return (
        BARE
        + weigh(model.network)
        + _JACOBIANS * jacobian
        + ACTIVATIONS * together * _measure_activations(model)
    )


def weigh(network: nn.Module) -> int:
    """The bytes of all weights and statistics; tied ones count once."""
    return sum(each.nbytes for each in (*network.parameters(), *network.buffers()))


def _measure_activations(model: Model) -> int:
    """The bytes that the layers give for one input."""
    middle = torch.full((1, *model.domain.shape), sum(model.domain.bounds) / 2)
    with _noting_sizes(model.network) as sizes:
        run_network(model.network, middle.to(device_of(model.network)), size=1)
    return sum(sizes)


@contextmanager
def _noting_sizes(network: nn.Module) -> Iterator[list[int]]:
    """Notes the bytes of every tensor that a layer without layers in it gives."""
    sizes: list[int] = []

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.nbytes)

    leaves = [each for each in network.modules() if not list(each.children())]
    hooks = [each.register_forward_hook(note) for each in leaves]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()
