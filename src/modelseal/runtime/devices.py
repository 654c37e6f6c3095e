"""Where networks are run, and that torch multiplies float32 as float32 there.

By default torch rounds the operands of convolutions on GPUs to TF32, and on request those of
products on GPUs and CPUs to TF32 or bfloat16: lower precisions with other scores, of which an
owner says if they are harmless.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, cast

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import quiet_warnings

EXACT, _UNSET = "ieee", "none"
# Torch advises to use the new switches.
_ADVICE = ".*TF32"


@dataclass(frozen=True, slots=True)
class _Switch:
    """One of torch's switches: how it is read and set, and its state that is float32."""

    read: Callable[[], object]
    write: Callable[[Any], None]
    exact: object


@contextmanager
def without_tf32() -> Iterator[None]:
    """Multiplies float32 as float32; torch's switches read afterwards as they did before."""
    with quiet_warnings(_ADVICE):
        old = [(switch, state) for switch in list_old_switches() for state in _read(switch)]
        new = [(switch, state) for switch in list_switches() for state in _read(switch)]
    try:
        forbid_tf32()
        yield
    finally:
        with quiet_warnings(_ADVICE):
            for switch, state in old:
                switch.write(state)
            for switch, state in new:
                # One that follows those for all operations goes on following them.
                switch.write(_UNSET)
                if switch.read() != state:
                    switch.write(state)


def forbid_tf32() -> None:
    """Multiplies float32 as float32 for as long as this process runs."""
    with quiet_warnings(_ADVICE):
        for switch in (*list_old_switches(), *list_switches()):
            switch.write(switch.exact)


def _read(switch: _Switch) -> list[object]:
    """The state of a switch; nothing where an old one disagrees with the new ones."""
    with suppress(RuntimeError):
        return [switch.read()]
    return []


def list_switches() -> list[_Switch]:
    """Torch's switches for each operation, which can always be read; none before torch 2.9."""
    if not hasattr(torch.backends.cudnn, "conv"):
        return []
    # Torch declares a module, not what is in it.
    cpu = cast(Any, torch.backends.mkldnn)
    owners = (
        *(torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn),
        *(cpu.matmul, cpu.conv, cpu.rnn),
    )
    return [_attribute(owner, "fp32_precision", EXACT) for owner in owners]


def list_old_switches() -> list[_Switch]:
    """The switches of torch before 2.9, which later versions have as well."""
    return [
        _attribute(torch.backends.cuda.matmul, "allow_tf32", exact=False),
        _attribute(torch.backends.cudnn, "allow_tf32", exact=False),
        _Switch(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    ]


def _attribute(owner: object, name: str, exact: object) -> _Switch:
    return _Switch(partial(getattr, owner, name), partial(setattr, owner, name), exact)


def find_device(name: str) -> torch.device:
    """A device of this machine that computes in float64."""
    try:
        device = torch.device(name)
        # Where scores are looked at exactly, they are float64.
        torch.zeros(1, dtype=torch.float64, device=device)
    except TypeError as error:
        raise InvalidArgumentError(
            f"expected a device that computes in float64, got {name!r}"
        ) from error
    except (RuntimeError, AssertionError) as error:
        raise InvalidArgumentError(
            f"expected a device of this machine, such as cpu or cuda, got {name!r}"
        ) from error
    if device.type == "meta":
        raise InvalidArgumentError(f"expected a device that computes, got {name!r}")
    return device


def device_of(network: nn.Module) -> torch.device:
    """Where the weights of a network are; the CPU if it has none."""
    return next(chain(network.parameters(), network.buffers()), torch.zeros(0)).device


def is_on_gpu(network: nn.Module) -> bool:
    """Whether a network runs on a GPU of CUDA or ROCm, which torch calls `cuda` both."""
    return device_of(network).type == "cuda"


def settle_network(network: nn.Module, device: torch.device | None) -> nn.Module:
    """Moves a network itself to a device, if one is given, and forbids TF32 in this process."""
    forbid_tf32()
    return network if device is None else network.to(device)
