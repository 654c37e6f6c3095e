"""Networks that really compute with 8-bit integers, made by the quantisers that people use."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast

import torch
from torch import Tensor, nn

from modelseal.errors import (
    FOREIGN_ERRORS,
    InvalidArgumentError,
    MissingExtraError,
    ModelsealError,
    NotAppliedError,
)
from modelseal.extras import onnx_errors
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import Images, matrices
from modelseal.tampering.onnx_files import OnnxModule, export, quantise_file

# A quantised network that agrees less than this with the one it was made of lost its use.
AGREES = 0.5
# Few enough for any memory; the ranges come out the same for any number.
BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class TorchInt8:
    """Quantises to 8 bits with PyTorch's own static quantiser after training.

    The network is traced, BatchNorm is folded into the convolutions, the ranges of all values
    are learned from the inputs, and the copy runs torch's integer kernels with 8-bit weights, one
    scale for each output channel (`torch.ao.quantization.quantize_fx` with the default settings
    for the engine of this machine, `torch.backends.quantized.engine`; Jacob et al., CVPR 2018).
    Where the whole network cannot be traced, those of its parts that can be are quantised.

    The copy takes float32 on the processor and gives float32 scores; it has no gradients.

    Args:
        inputs: What the ranges are learned from, inside the domain's bounds; at least one.

    Raises:
        InvalidArgumentError: There are no inputs.
    """

    inputs: Images = field(repr=False)

    def __post_init__(self) -> None:
        _check_inputs(self.inputs)

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a quantised copy.

        Raises:
            NotAppliedError: Nothing could be quantised, or the copy agrees with the network on
                less than half of the inputs.
            InvalidArgumentError: The network has no convolution or linear weights.
        """
        inputs, given = self.inputs.cpu().float(), copy_network(network).cpu().float()
        count = len(matrices(given))
        # Tracing draws numbers: the global random state is put back.
        with _translated("PyTorch's"), _quiet_torch(), torch.random.fork_rng(devices=[]):
            changed = _Integers(copy_network(given))
            _quantise_parts(changed, inputs)
            if sum(parameter.ndim >= 2 for parameter in changed.parameters()) == count:
                raise NotAppliedError("PyTorch's quantiser found nothing that it can quantise")
            return _agreeing(copy_network(changed), given, inputs)


@dataclass(frozen=True, slots=True, eq=False)
class OnnxInt8:
    """Quantises to 8 bits with ONNX Runtime's own static quantiser.

    The network is exported to ONNX, the ranges of all values are learned from the inputs, and the
    copy is a module that runs the quantised file in ONNX Runtime on the processor, with as many
    threads as torch has at the time of the call (`quantize_static` with QDQ nodes, signed 8 bits,
    one scale for each output channel; Jacob et al., CVPR 2018).

    The copy takes tensors and gives float32 scores; it has no parameters and no gradients. Making
    it needs the extra `export`.

    Args:
        inputs: What the ranges are learned from, inside the domain's bounds; at least one.

    Raises:
        InvalidArgumentError: There are no inputs.
    """

    inputs: Images = field(repr=False)

    def __post_init__(self) -> None:
        _check_inputs(self.inputs)

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a quantised copy.

        Raises:
            MissingExtraError: ONNX Runtime or the exporter is not installed.
            NotAppliedError: The network cannot be exported or quantised, or the copy agrees with
                the network on less than half of the inputs.
        """
        inputs, given = self.inputs.cpu().float(), copy_network(network).cpu().float()
        try:
            # Exporting takes longest: what is missing is told before.
            import_module("onnxruntime.quantization")
            with _translated("ONNX Runtime's"):
                program = quantise_file(export(given, inputs), inputs)
                return _agreeing(OnnxModule(program), given, inputs)
        except ImportError as problem:
            raise MissingExtraError("Quantising with ONNX Runtime", "export") from problem


class _Integers(nn.Module):
    """A network on the processor, for inputs of any floating type and on any device."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of inputs, on the device of the inputs."""
        with _quiet_torch():
            return cast(Tensor, self.network(inputs.cpu().float())).to(inputs.device)


def _quantise_parts(whole: nn.Module, inputs: Tensor) -> None:
    """Quantises the largest parts of a network that can be traced, in place."""
    waiting = [whole]
    while waiting:
        parent = waiting.pop(0)
        for name, child in parent.named_children():
            if not any(parameter.ndim >= 2 for parameter in child.parameters()):
                continue
            quantised = _quantise(child, _received(whole, child, inputs))
            if quantised is None:
                waiting.append(child)
            else:
                setattr(parent, name, quantised)


def _quantise(part: nn.Module, received: list[Tensor]) -> nn.Module | None:
    """One part with integer kernels; None if it does not run on one tensor or is not traceable."""
    if not received:
        return None
    settings = import_module("torch.ao.quantization")
    tracing = import_module("torch.ao.quantization.quantize_fx")
    mapping = settings.get_default_qconfig_mapping(torch.backends.quantized.engine)
    try:
        prepared = tracing.prepare_fx(part, mapping, (received[0],))
        for batch in received:
            prepared(batch)
        return cast(nn.Module, tracing.convert_fx(prepared))
    except FOREIGN_ERRORS:
        return None


def _received(whole: nn.Module, part: nn.Module, inputs: Tensor) -> list[Tensor]:
    """What a part is called with when the network runs; nothing unless it is always one tensor."""
    calls: list[tuple[object, ...]] = []

    def note(_: nn.Module, arguments: tuple[object, ...], named: dict[str, object]) -> None:
        calls.append((*arguments, *named.values()))

    handle = part.register_forward_pre_hook(note, with_kwargs=True)
    try:
        for batch in inputs.split(BATCH):
            whole(batch)
    finally:
        handle.remove()
    tensors = [call[0] for call in calls if len(call) == 1 and isinstance(call[0], Tensor)]
    return tensors if len(tensors) == len(calls) else []


def _agreeing(changed: nn.Module, given: nn.Module, inputs: Tensor) -> nn.Module:
    """The changed network itself, if it still does what the given one does."""
    same = torch.cat(
        [changed(part).argmax(1) == given(part).argmax(1) for part in inputs.split(BATCH)]
    )
    share = float(same.double().mean())
    if share <= AGREES:
        raise NotAppliedError(
            f"the quantised network agrees with the given one on {share:.0%} of the inputs only"
        )
    return changed


@contextmanager
def _translated(whose: str) -> Iterator[None]:
    """Turns what a quantiser raises into one sentence."""
    kinds: tuple[type[Exception], ...] = (*FOREIGN_ERRORS, *onnx_errors())
    try:
        yield
    except (ModelsealError, ImportError):
        raise
    except kinds as problem:
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
        said = lines[0] if lines else type(problem).__name__
        raise NotAppliedError(f"{whose} quantiser does not take this network: {said}") from problem


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Silences torch's announcement that its quantisers will move to another package."""
    with warnings.catch_warnings():
        for kind, start in (
            (DeprecationWarning, "torch.ao.quantization is deprecated"),
            (UserWarning, "Please use quant_min and quant_max to specify the range"),
            (UserWarning, "torch.quantize_per_tensor, torch.quantize_per_channel and other"),
        ):
            warnings.filterwarnings("ignore", category=kind, message=start)
        yield


def _check_inputs(inputs: Tensor) -> None:
    if not len(inputs):
        raise InvalidArgumentError("learning the ranges needs at least one input, but none came")
