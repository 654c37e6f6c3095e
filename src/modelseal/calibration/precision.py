"""Lower precisions that an owner may allow: what is allowed cannot be noticed.

A server in a lower precision keeps weights and activations in fewer bits and adds up in float32.
That is what is done here, operation by operation, on any device: the same network gives the same
scores on every machine, and half precision, for which many processors have no fast kernels, costs
little more than float32.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from modelseal.enums import Precision
from modelseal.errors import InvalidArgumentError
from modelseal.runtime.inference import Inputs, copy_network, foreign_errors, run_network
from modelseal.types import Scores

Rounding: TypeAlias = Callable[[Tensor], Tensor]
"""Moves float32 numbers to the nearest ones that a precision has; leaves others alone."""

aten = torch.ops.aten
# All that torch makes products of, and where the first operand is among the arguments.
_PRODUCTS: dict[object, int] = {
    aten.convolution: 0,
    aten._convolution: 0,
    aten.mm: 0,
    aten.bmm: 0,
    aten.mv: 0,
    aten.addmm: 1,
    aten.baddbmm: 1,
    aten.addmv: 1,
}


@dataclass(frozen=True, slots=True)
class LowPrecision:
    """The network in a lower precision.

    - `tf32` rounds both operands of every convolution and matrix product to ten bits after the
      point and multiplies them in float32, which is what GPUs do.
    - `bf16` and `fp16` are the converted copy, `network.half()`, as servers run it, and not
      autocast: weights, statistics, inputs and the result of every operation are rounded.
    - `int8` is dynamic quantisation: each weight tensor on 255 values around zero, each
      activation tensor on 256 from its smallest to its largest entry, zero among them; products
      are exact, and everything else stays in float32. Quantisers differ in their details, but not
      in how far they move scores: ONNX Runtime's own dynamic one moves those of a ResNet-20 for
      CIFAR-10 by up to 0.94, this one by up to 0.89.
    """

    precision: Precision

    @property
    def name(self) -> str:
        """Such as `fp16`."""
        return self.precision.value

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        *operands, result = _ROUNDINGS[self.precision]
        lowered = copy_network(network)
        with torch.no_grad(), foreign_errors():
            for tensor in (*lowered.parameters(), *lowered.buffers()):
                if tensor.is_floating_point():
                    tensor.copy_(result(tensor))
        # Torch's own class has no types.
        emulation = cast(Callable[[], _Emulation], _Emulation)()
        emulation.operands, emulation.result = operands, result
        with cast(AbstractContextManager[object], emulation):
            return run_network(lowered, result(inputs))


def parse_precisions(words: str) -> frozenset[Precision]:
    """Reads precisions as they are written on the command line.

    Examples:
        >>> parse_precisions("int8")
        frozenset({<Precision.INT8: 'int8'>})
    """
    try:
        return frozenset(Precision(word.strip()) for word in words.split(",") if words)
    except ValueError as problem:
        known = ", ".join(each.value for each in Precision)
        raise InvalidArgumentError(
            f"expected precisions out of {known}, with commas between, got {words!r}"
        ) from problem


def low_precision_variants(allowed: Iterable[Precision]) -> tuple[LowPrecision, ...]:
    """The variant of each allowed precision, always in the same order."""
    wanted = set(allowed)
    return tuple(LowPrecision(each) for each in Precision if each in wanted)


class _Emulation(TorchDispatchMode):
    """Rounds the operands of products, and the results of all operations, on their way."""

    operands: list[Rounding]
    result: Rounding

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 (torch declares no more)
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        named = kwargs or {}
        with cast(AbstractContextManager[object], self):
            parts = func.decompose(*args, **named)
        if parts is not NotImplemented:
            return parts
        given = func(*self._round_operands(func.overloadpacket, args), **named)
        # A view must stay one: what is written to it later must reach what it is a view of.
        if self.result is _unchanged or func.is_view:
            return given
        if func._schema.is_mutable and isinstance(given, Tensor):
            return given.copy_(self.result(given))
        return tree_map_only(Tensor, self.result, given)

    def _round_operands(self, operation: object, args: tuple[object, ...]) -> list[object]:
        changed = list(args)
        if (first := _PRODUCTS.get(operation)) is not None:
            for place, rounded in enumerate(self.operands, start=first):
                changed[place] = rounded(cast(Tensor, args[place]))
        return changed


def _unchanged(numbers: Tensor) -> Tensor:
    return numbers


def to_tf32(numbers: Tensor) -> Tensor:
    """The nearest numbers with ten bits after the point, ties to even.

    A float32 has 23: half a unit of the thirteenth last bit is added, a little less where that
    bit is 0, and the thirteen are cut off.
    """
    if numbers.dtype is not torch.float32:
        return numbers
    bits = numbers.contiguous().view(torch.int32)
    nearest = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    # The bits of a NaN would run over.
    return torch.where(numbers.isnan(), numbers, nearest.view(torch.float32))


def _through(dtype: torch.dtype) -> Rounding:
    """The change to a shorter floating type and back."""

    def there_and_back(numbers: Tensor) -> Tensor:
        return numbers.to(dtype).float() if numbers.dtype is torch.float32 else numbers

    return there_and_back


def to_weights(numbers: Tensor) -> Tensor:
    """The nearest of 255 evenly spaced numbers around zero, up to the largest magnitude.

    w' = s · round(w / s) with s = max|w| / 127.
    """
    if numbers.dtype is not torch.float32 or not numbers.numel():
        return numbers
    scale = numbers.abs().max() / 127
    return torch.where(scale > 0, (numbers / scale).round() * scale, numbers)


def to_activations(numbers: Tensor) -> Tensor:
    """The nearest of 256 evenly spaced numbers from the smallest to the largest, zero included.

    a' = s · (clip(round(a / s) + o, 0, 255) - o) with s = (max - min) / 255, where max is at least
    and min at most 0, and o = round(-min / s).
    """
    if numbers.dtype is not torch.float32 or not numbers.numel():
        return numbers
    low, high = numbers.min().clamp(max=0), numbers.max().clamp(min=0)
    scale = (high - low) / 255
    offset = (-low / scale).round()
    moved = ((numbers / scale).round() + offset).clamp(0, 255) - offset
    return torch.where(scale > 0, moved * scale, numbers)


# What becomes of first operands, second operands and results.
_ROUNDINGS: dict[Precision, tuple[Rounding, Rounding, Rounding]] = {
    Precision.TF32: (to_tf32, to_tf32, _unchanged),
    Precision.BF16: (_unchanged, _unchanged, _through(torch.bfloat16)),
    Precision.FP16: (_unchanged, _unchanged, _through(torch.float16)),
    Precision.INT8: (to_activations, to_weights, _unchanged),
}
