"""The same network compiled by torch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

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
from modelseal.runtime.float32 import without_tf32
from modelseal.runtime.inference import (
    BATCH,
    Inputs,
    copy_network,
    foreign_errors,
    full_size,
    run_network,
    to_cpu,
)
from modelseal.types import Scores

# More networks than one process will ever calibrate.
LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Compiled:
    """The network compiled by torch; needs a C++ compiler and up to half a minute."""

    @property
    def name(self) -> str:
        """It is `compile`."""
        return "compile"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        settings = import_module("torch._dynamo.config")
        # After eight networks or shapes the compiler would give up and run the next uncompiled.
        limits = settings.patch(recompile_limit=LIMIT, accumulated_recompile_limit=LIMIT)
        with quiet_compiler(), limits, foreign_errors():
            return run_network(cast(nn.Module, torch.compile(network, dynamic=False)), inputs)


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Silences a warning of the compiler about its own parts, and its advice to use TF32."""
    with warnings.catch_warnings():
        # Torch's own modules still use this when the compiler loads them for the first time.
        warnings.filterwarnings(
            "ignore", category=DeprecationWarning, message=r"`torch.jit.script_method`"
        )
        warnings.filterwarnings(
            "ignore", category=UserWarning, message="TensorFloat32 tensor cores"
        )
        yield


@dataclass(frozen=True, slots=True)
class OnDevice:
    """Another device, such as a GPU; TF32 is off there, which is a precision of its own.

    Args:
        device: As torch names it.
    """

    device: str = "cuda"

    @property
    def name(self) -> str:
        """Such as `on-cuda`."""
        return f"on-{self.device.replace(':', '-')}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: There is no such device.
        """
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise SealingError("this machine has no GPU that torch can use")
        moved = copy_network(network)
        with foreign_errors(), without_tf32():
            return run_network(moved.to(self.device), inputs.to(self.device))


CPU = torch.device("cpu")
# For each batch size by how much the inputs are turned: nothing, half and all but one of a batch,
# so that every input stands at several places. Not at all is the reference itself for its size.
OFFSETS = {1: (0,), 2: (0, 1), 7: (0, 3, 6), BATCH: (16, 31), 256: (0, 128, 255)}

# Values of a batch that fit into memory with what a network makes of them: 55 images at 224 x 224.
LARGEST = 2**23
# Below it torch takes its own kernels, whatever is allowed.
FEWEST_FOR_NNPACK = 16


@runtime_checkable
class Variant(Protocol):
    """A harmless way to run a network."""

    @property
    def name(self) -> str:
        """What it is called in a fingerprint and in reports."""
        ...

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input; the network is left as it was.

        Raises:
            ModelsealError: It cannot be run in this way here.
        """
        ...


def reference(network: nn.Module, inputs: Inputs) -> Scores:
    """The scores that all variants are compared with.

    The network runs as it is, in evaluation mode, without compilation, with the present number of
    threads and always 32 inputs at a time, or fewer large ones.

    Raises:
        InvalidArgumentError: There are no inputs, or the network gives no scores.
        SealingError: The network cannot be run on these inputs.
    """
    return run_network(network, inputs)


@dataclass(frozen=True, slots=True)
class BatchSize:
    """Another number of inputs at a time, each input at another place among the others.

    Args:
        size: How many inputs are run at a time.
        offset: By how many places the inputs are turned before they are cut into batches.
    """

    size: int
    offset: int = 0

    def __post_init__(self) -> None:
        if self.size < 1 or self.offset < 0:
            raise InvalidArgumentError(
                f"a batch needs a size from 1 and an offset from 0, not {self.size}, {self.offset}"
            )

    @property
    def name(self) -> str:
        """Such as `batch-7-at-3`."""
        return f"batch-{self.size}-at-{self.offset}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: So many inputs of this size take too much memory.
        """
        values = inputs[:1].numel()
        if self.size * values > LARGEST and self.size > full_size(inputs):
            raise SealingError(f"{self.size} inputs of {values:,} values take too much memory")
        return run_network(network, inputs, size=self.size, offset=self.offset)


@dataclass(frozen=True, slots=True)
class Threads:
    """Another number of threads of the CPU.

    Args:
        count: How many, at least 1.
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidArgumentError(f"at least one thread is needed, not {self.count}")

    @property
    def name(self) -> str:
        """Such as `threads-2`."""
        return f"threads-{self.count}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input; the number of threads is put back afterwards."""
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(self.count)
            return run_network(*to_cpu(network, inputs))
        finally:
            torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class ChannelsLast:
    """Images and filters with their channels last in memory.

    Args:
        size: How many inputs are run at a time; by default as many as in the reference.
    """

    size: int | None = None

    @property
    def name(self) -> str:
        """It is `channels-last`."""
        return "channels-last"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            InvalidArgumentError: The inputs are no images.
        """
        if inputs.ndim != 4:
            raise InvalidArgumentError(
                f"channels last needs inputs of 3 axes, but they have {inputs.ndim - 1}"
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

    @property
    def name(self) -> str:
        """It is `onednn-off`."""
        return "onednn-off"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        with without_one_dnn(), torch.backends.nnpack.flags(enabled=False):
            return run_network(*to_cpu(network, inputs))


@dataclass(frozen=True, slots=True)
class Nnpack:
    """NNPACK's kernels, which torch takes on a CPU for 16 inputs or more where oneDNN is off.

    They multiply filters by Winograd's method and miss the exact scores by ten times as much as
    all others do: on a ResNet-20 for CIFAR-10 a difference of two scores by up to 1.7e-4, where
    the others stay below 2.1e-5. It is what torch does on machines without oneDNN, and GPUs and
    other runtimes use the same method: harmless, and the one that decides how large a margin
    needs to be.

    Args:
        size: How many inputs are run at a time, at least 16; by default as many as in the
            reference.
    """

    size: int | None = None

    @property
    def name(self) -> str:
        """It is `nnpack`."""
        return "nnpack"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        if not torch._nnpack_available():
            raise SealingError("this torch has no NNPACK")
        size = self.size or full_size(inputs)
        with without_one_dnn(), torch.backends.nnpack.flags(enabled=True):
            there = to_cpu(network, inputs)
            return run_network(*there, size=max(size, FEWEST_FOR_NNPACK))


@dataclass(frozen=True, slots=True)
class Float64:
    """All numbers in double precision: nearly what the network would give without rounding.

    Args:
        size: How many inputs are run at a time; by default as many as in the reference.
    """

    size: int | None = None

    @property
    def name(self) -> str:
        """It is `float64`."""
        return "float64"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        return run_network(copy_network(network).double(), inputs.double(), size=self.size)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another module that is meant to be the same network, such as one loaded again.

    Args:
        name: What it is called.
        network: What is run instead.
    """

    name: str
    network: nn.Module

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input."""
        return run_network(self.network, inputs)


def fp32_variants(device: torch.device = CPU) -> tuple[Variant, ...]:
    """All ways of running that count as harmless by default, of which some may not run here.

    Batches that are too large for memory, such as 256 images of 224 x 224, are skipped.

    Args:
        device: Where the network is; the CPU, or the GPU if there is one, is another way.
    """
    exports = Exports()
    kinds = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    return (
        *(BatchSize(size, offset) for size, offsets in OFFSETS.items() for offset in offsets),
        *(Threads(count) for count in (1, 2)),
        ChannelsLast(),
        OneDnnOff(),
        Nnpack(),
        Float64(),
        Compiled(),
        Exported(),
        Reloaded(),
        *(OnnxRuntime(optimisation, exports) for optimisation in Optimisation),
        *(OnDevice(kind) for kind in kinds if kind != device.type),
    )


@contextmanager
def without_one_dnn() -> Iterator[None]:
    """Switches oneDNN off, and back afterwards."""
    backend = torch.backends.mkldnn
    # The other flag is passed as it is: its default warns about a device that is not there.
    with backend.flags(enabled=False, allow_tf32=backend.allow_tf32):
        yield


SIZES = (2, 7, BATCH)
"""The batch sizes of which every position is tried."""


def every_position() -> tuple[BatchSize, ...]:
    """Batches of 2, 7 and 32 inputs, turned so that every input stands at every position.

    The reference is no variant of itself: it has every input at its first position of 32 already.
    """
    return tuple(
        BatchSize(size, offset)
        for size in SIZES
        for offset in range(size)
        if (size, offset) != (BATCH, 0)
    )


def all_variants(domain: Domain, device: torch.device = CPU) -> tuple[Variant, ...]:
    """All ways of running a network and of sending its inputs that are harmless in float32.

    These are many times as many as sealing tries; some of them may not run here.

    Args:
        domain: What a valid input is.
        device: Where the network is.
    """
    found: tuple[Variant, ...] = (
        *fp32_variants(device),
        *every_position(),
        Restarted(),
        OnDevice("cuda"),
        *(Sent(form, domain) for form in Form),
    )
    return tuple({variant.name: variant for variant in found}.values())
