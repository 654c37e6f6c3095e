"""Harmless ways to run the same network: what must never raise an alarm."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import ClassVar, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import torch
from torch import nn

from modelseal.calibration.exports import (
    Exported,
    Exports,
    OnnxRuntime,
    Optimisation,
    Reloaded,
    Restarted,
)
from modelseal.calibration.transport import Form, Sent
from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.registry import Registry
from modelseal.runtime.devices import without_tf32
from modelseal.runtime.inference import (
    BATCH,
    Inputs,
    copy_network,
    foreign_errors,
    full_size,
    quiet_warnings,
    run_network,
    to_cpu,
)
from modelseal.types import Scores

CPU = torch.device("cpu")
# Values of a batch that fit into memory with what a network makes of them: 55 images at 224 x 224.
LARGEST = 2**23
# For each batch size by how much the inputs are turned: nothing, half and all but one of a batch,
# so that every input stands at several places. Not at all is the reference itself for its size.
_OFFSETS = {1: (0,), 2: (0, 1), 7: (0, 3, 6), BATCH: (16, 31), 256: (0, 128, 255)}
# The batch sizes of which an evaluation tries every position.
_EVERY_POSITION = (2, 7, BATCH)
# Below it torch takes its own kernels, whatever is allowed.
_FEWEST_FOR_NNPACK = 16
# More networks than one process will ever calibrate.
_COMPILED = 1_000_000


@runtime_checkable
class Variant(Protocol):
    """A harmless way to run a network."""

    @property
    def name(self) -> str:
        """What it is called in a fingerprint and in reports."""
        ...

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input; the network is left as it was."""
        ...


Run: TypeAlias = Callable[[nn.Module, Inputs], Scores]
"""Takes a network and inputs (batch, *shape) and returns scores (batch, classes)."""

Way = TypeVar("Way", bound=Run | type)

VARIANTS: Registry[Variant] = Registry("a variant")
"""All ways of running a network that sealing calibrates with."""


def register_variant(name: str) -> Callable[[Way], Way]:
    """Adds a harmless way to run a network, which sealing and evaluations try from then on.

    What is registered never raises an alarm, and so cannot be noticed either.

    Args:
        name: What it is called in fingerprints and reports, such as `batch-7-at-3`.

    Returns:
        A decorator of a function of a network and inputs (batch, *shape) that returns scores
        (batch, classes) as a float array; or of a class whose instances are called like that,
        and which needs no arguments. It gives back what it decorates.

    Raises:
        InvalidArgumentError: The name is empty or taken.

    Examples:
        ```python
        @register_variant("mirrored")
        def mirrored(network, inputs):
            return run_network(network, inputs.flip(0))[::-1].copy()
        ```
    """

    def add(way: Way) -> Way:
        run = cast(Run, way() if isinstance(way, type) else way)
        has_name = getattr(run, "name", None) == name
        VARIANTS.register(name)(cast(Variant, run) if has_name else _Named(name, run))
        return way

    return add


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    run: Run

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        return self.run(network, inputs)


def reference(network: nn.Module, inputs: Inputs) -> Scores:
    """The scores that all variants are compared with: the network as it is, in pieces of 32."""
    return run_network(network, inputs)


@dataclass(frozen=True, slots=True)
class BatchSize:
    """Another number of inputs at a time, turned by some places before they are cut."""

    size: int
    offset: int = 0

    def __post_init__(self) -> None:
        if self.size < 1 or self.offset < 0:
            raise InvalidArgumentError(
                f"expected a size from 1 and an offset from 0, got {self.size} and {self.offset}"
            )

    @property
    def name(self) -> str:
        """Such as `batch-7-at-3`."""
        return f"batch-{self.size}-at-{self.offset}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if so many inputs fit into memory."""
        values = inputs[:1].numel()
        if self.size * values > LARGEST and self.size > full_size(inputs):
            raise SealingError(f"{self.size} inputs of {values:,} values take too much memory")
        return run_network(network, inputs, size=self.size, offset=self.offset)


@dataclass(frozen=True, slots=True)
class Threads:
    """Another number of threads of the CPU, at least 1."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidArgumentError(f"expected 1 or more, got {self.count}", field="count")

    @property
    def name(self) -> str:
        """Such as `threads-2`."""
        return f"threads-{self.count}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores; the number of threads is put back afterwards."""
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(self.count)
            return run_network(*to_cpu(network, inputs))
        finally:
            torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class ChannelsLast:
    """Images and filters with their channels last in memory, `size` inputs at a time."""

    name: ClassVar[str] = "channels-last"
    size: int | None = None

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if the inputs are images."""
        if inputs.ndim != 4:
            raise InvalidArgumentError(
                f"expected inputs of 3 axes for channels last, got {inputs.ndim - 1}"
            )
        turned = copy_network(network)
        for weight in turned.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        images = inputs.contiguous(memory_format=torch.channels_last)
        return run_network(turned, images, size=self.size)


@dataclass(frozen=True, slots=True)
class OneDnnOff:
    """Torch's own kernels for the CPU instead of oneDNN's and NNPACK's."""

    name: ClassVar[str] = "onednn-off"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores."""
        with _without_one_dnn(), torch.backends.nnpack.flags(enabled=False):
            return run_network(*to_cpu(network, inputs))


@dataclass(frozen=True, slots=True)
class Nnpack:
    """NNPACK's kernels, which torch takes on a CPU for 16 inputs or more where oneDNN is off.

    They multiply filters by Winograd's method and miss the exact scores by ten times as much as
    all others do: on a ResNet-20 for CIFAR-10 a difference of two scores by up to 1.7e-4, where
    the others stay below 2.1e-5. It is what torch does on machines without oneDNN, and GPUs and
    other runtimes use the same method: harmless, and the one that decides how large a margin
    needs to be.
    """

    name: ClassVar[str] = "nnpack"
    size: int | None = None

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, at least 16 inputs at a time."""
        if not torch._nnpack_available():
            raise SealingError("this torch has no NNPACK")
        size = max(self.size or full_size(inputs), _FEWEST_FOR_NNPACK)
        with _without_one_dnn(), torch.backends.nnpack.flags(enabled=True):
            there = to_cpu(network, inputs)
            return run_network(*there, size=size)


@contextmanager
def _without_one_dnn() -> Iterator[None]:
    backend = torch.backends.mkldnn
    # The other flag is passed as it is: its default warns about a device that is not there.
    with backend.flags(enabled=False, allow_tf32=backend.allow_tf32):
        yield


@dataclass(frozen=True, slots=True)
class Float64:
    """All numbers in double precision: nearly what the network would give without rounding."""

    name: ClassVar[str] = "float64"
    size: int | None = None

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, as float64."""
        return run_network(copy_network(network).double(), inputs.double(), size=self.size)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The network compiled by torch; needs a C++ compiler and up to half a minute."""

    name: ClassVar[str] = "compile"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores."""
        settings = import_module("torch._dynamo.config")
        # After eight networks or shapes the compiler would give up and run the next uncompiled.
        limits = settings.patch(recompile_limit=_COMPILED, accumulated_recompile_limit=_COMPILED)
        # It warns about its own parts when it is loaded, and advises to use TF32.
        quiet = quiet_warnings(r"`torch.jit.script_method`", "TensorFloat32 tensor cores")
        with quiet, limits, foreign_errors():
            return run_network(cast(nn.Module, torch.compile(network, dynamic=False)), inputs)


@dataclass(frozen=True, slots=True)
class OnDevice:
    """Another device, such as a GPU; TF32 is off there, which is a precision of its own."""

    device: str = "cuda"

    @property
    def name(self) -> str:
        """Such as `on-cuda`."""
        return f"on-{self.device.replace(':', '-')}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if there is such a device."""
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise SealingError("this machine has no GPU that torch can use")
        moved = copy_network(network)
        with foreign_errors(), without_tf32():
            return run_network(moved.to(self.device), inputs.to(self.device))


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another module that is meant to be the same network, such as one loaded again."""

    name: str
    network: nn.Module

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of the other module."""
        return run_network(self.network, inputs)


def fp32_variants(device: torch.device = CPU) -> tuple[Variant, ...]:
    """All registered ways that differ from running on `device`; some may not run here."""
    # A network is exported once for all levels of optimisation.
    exports = Exports()
    named = [VARIANTS.get(name) for name in VARIANTS.names()]
    return tuple(
        replace(each, exports=exports) if isinstance(each, OnnxRuntime) else each
        for each in named
        if not isinstance(each, OnDevice) or _is_another(each.device, device)
    )


def _is_another(name: str, device: torch.device) -> bool:
    return name != device.type and (name != "cuda" or torch.cuda.is_available())


def every_position() -> tuple[BatchSize, ...]:
    """Batches of 2, 7 and 32 inputs, turned so that every input stands at every position.

    The reference is no variant of itself: it has every input at its first position of 32 already.
    """
    every = [BatchSize(size, offset) for size in _EVERY_POSITION for offset in range(size)]
    return tuple(each for each in every if each != BatchSize(BATCH))


def all_variants(domain: Domain, device: torch.device = CPU) -> tuple[Variant, ...]:
    """All that sealing tries, and many more ways than it takes time for, for an evaluation."""
    found: tuple[Variant, ...] = (
        *fp32_variants(device),
        *every_position(),
        Restarted(),
        OnDevice("cuda"),
        *(Sent(form, domain) for form in Form),
    )
    return tuple({variant.name: variant for variant in found}.values())


_BUILT_IN: tuple[Variant, ...] = (
    *(BatchSize(size, offset) for size, offsets in _OFFSETS.items() for offset in offsets),
    *(Threads(1), Threads(2), ChannelsLast(), OneDnnOff(), Nnpack(), Float64()),
    *(Compiled(), Exported(), Reloaded()),
    *(OnnxRuntime(optimisation) for optimisation in Optimisation),
    *(OnDevice("cpu"), OnDevice("cuda")),
)
for _each in _BUILT_IN:
    register_variant(_each.name)(_each)
