"""A device that torch takes for another one than the CPU, and whose arithmetic is the CPU's.

On it everything has to give the very same numbers, and whatever forgets to move a tensor fails
as it would on a GPU. This module needs to be imported before torch's first backward pass, which
counts devices; the device is there once it is added.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyDeviceGuard,
    _DummyPrivateUse1Hook,
)

NAME, CPU = "apart", torch.device("cpu")

aten = torch.ops.aten
MIXING = {aten.copy_.default, aten.index.Tensor}
"""Operations that take tensors of several devices: a GPU looks rows up by numbers of the CPU."""
# Torch would make these by resizing an empty tensor, which a tensor in another cannot follow;
# and these it calls in a way that passes a fallback by.
OWN = (
    *(aten.arange.default, aten.arange.start, aten.arange.start_step, aten.eye.default),
    *(aten.eye.m, aten.linspace.default, aten.randperm.default, aten._to_copy.default),
)


class TensorApart(Tensor):
    """A tensor on the device, whose numbers are in one of the CPU."""

    kept: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, kept: Tensor) -> "TensorApart":
        made = Tensor._make_wrapper_subclass(
            cls,
            kept.size(),
            strides=kept.stride(),
            storage_offset=kept.storage_offset(),
            dtype=kept.dtype,
            device=f"{NAME}:0",
        )
        made.kept = kept
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["kept"], None

    @staticmethod
    def __tensor_unflatten__(parts: Any, meta: Any, size: Any, stride: Any) -> "TensorApart":
        return TensorApart(parts["kept"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"{self.kept} on {NAME}"

    def tolist(self) -> Any:
        return self.kept.tolist()


class Backend(_DummyBackendModule):
    """What torch asks of every device; random numbers are drawn by the CPU."""

    def get_rng_state(self, device: object) -> Tensor:
        return torch.empty(0)

    def set_rng_state(self, state: Tensor, device: object) -> None:
        """Takes it back."""


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Runs an operation on the CPU."""
    leaves = tree_leaves((args, kwargs))
    tensors = [each for each in leaves if isinstance(each, Tensor)]
    check_devices(func, tensors)
    wanted = [each.type == NAME for each in leaves if isinstance(each, torch.device)]
    there = any(wanted or map(is_apart, tensors))
    if there and any(isinstance(each, torch.Generator) for each in leaves):
        raise RuntimeError(f"{func} has random numbers of the CPU, which {NAME} cannot draw")
    plain, named = tree_map(as_on_cpu, (args, kwargs))
    given = func(*plain, **named)
    if any(is_apart(each) and each.shape != each.kept.shape for each in tensors):
        raise RuntimeError(f"{func} resizes a tensor, which this device does not know")
    if func is aten.copy_.default:
        return args[0]
    if not there:
        # What leaves the device shares nothing with it.
        return tree_map_only(Tensor, Tensor.clone, given) if wanted else given
    outcome = tree_map_only(Tensor, TensorApart, given)
    return return_and_correct_aliasing(func, args, kwargs, outcome) if tensors else outcome


def is_apart(tensor: Tensor) -> bool:
    return isinstance(tensor, TensorApart)


def as_on_cpu(argument: Any) -> Any:
    if isinstance(argument, TensorApart):
        return argument.kept
    return CPU if isinstance(argument, torch.device) else argument


def check_devices(func: Any, tensors: list[Tensor]) -> None:
    """Makes sure that an operation has tensors of one device, but for single numbers."""
    strange = [each for each in tensors if not is_apart(each) and each.ndim]
    if strange and len(strange) < len(tensors) and func not in MIXING:
        raise RuntimeError(
            f"all tensors were expected on one device, but {func} has {NAME} and "
            f"{strange[0].device} of {list(strange[0].shape)}"
        )


def always(func: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: run(func, args, kwargs)


def fall_back(func: Any, *args: Any, **kwargs: Any) -> Any:
    return run(func, args, kwargs)


@cache
def add_device() -> str:
    """Adds the device to this process for good, and gives its name."""
    torch.utils.rename_privateuse1_backend(NAME)
    torch.utils.generate_methods_for_privateuse1_backend()
    torch._register_device_module(NAME, Backend())
    torch._C._acc.register_python_privateuseone_hook(_DummyPrivateUse1Hook())
    ANY.fallback(fall_back, "PrivateUse1")
    for operation in OWN:
        ATEN.impl(operation, always(operation), "PrivateUse1")
    return NAME


torch._C._acc.register_python_privateuseone_device_guard(_DummyDeviceGuard())
# What is registered there is undone as soon as nobody holds them.
ANY, ATEN = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
