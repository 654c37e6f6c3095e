"""Networks that really compute with 8-bit integers, made by the quantisers that people use."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from modelseal.errors import (
    FOREIGN_ERRORS,
    InvalidArgumentError,
    NotAppliedError,
    SealingError,
    import_extra,
    onnx_errors,
)
from modelseal.runtime.inference import (
    copy_network,
    export_onnx,
    foreign_errors,
    open_session,
    quiet_warnings,
)
from modelseal.tampering.base import Images, matrices

# A quantised network that agrees less than this with the one it was made of lost its use.
AGREES = 0.5
# Few enough for any memory; the ranges come out the same for any number.
BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class TorchInt8:
    """Quantises to 8 bits with PyTorch's own static quantiser after training.

    BatchNorm is folded into the convolutions, the ranges of all values are learned from the inputs,
    and the copy runs torch's integer kernels with 8-bit weights, one scale for each output channel
    (`torch.ao.quantization.quantize_fx` with the default settings for this machine's
    `torch.backends.quantized.engine`; Jacob et al., CVPR 2018). Where the whole network cannot be
    traced, those of its parts that can be are quantised. The copy runs on the processor and gives
    float32 scores; it has no gradients.

    Args:
        inputs: What the ranges are learned from, inside the domain's bounds; at least one.
    """

    inputs: Images = field(repr=False)

    def __post_init__(self) -> None:
        _check_inputs(self.inputs)

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a quantised copy."""
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
    copy runs the quantised file in ONNX Runtime on the processor (`quantize_static` with QDQ nodes,
    signed 8 bits, one scale for each output channel; Jacob et al., CVPR 2018). The copy gives
    float32 scores; it has no parameters and no gradients. Making it needs the extra `export`.

    Args:
        inputs: What the ranges are learned from, inside the domain's bounds; at least one.
    """

    inputs: Images = field(repr=False)

    def __post_init__(self) -> None:
        _check_inputs(self.inputs)

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a quantised copy."""
        inputs, given = self.inputs.cpu().float(), copy_network(network).cpu().float()
        # Exporting takes longest: what is missing is told before.
        import_extra(
            "onnxruntime.quantization", purpose="Quantising with ONNX Runtime", extra="export"
        )
        with _translated("ONNX Runtime's"):
            program = _quantise_file(export_onnx(given, inputs), inputs)
            return _agreeing(OnnxModule(program), given, inputs)


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
    try:
        with foreign_errors(*onnx_errors()):
            yield
    except SealingError as problem:
        raise NotAppliedError(
            f"{whose} quantiser does not take this network: {problem}"
        ) from problem


def _quiet_torch() -> AbstractContextManager[None]:
    """Silences torch's announcement that its quantisers will move to another package."""
    return quiet_warnings(
        "torch.ao.quantization is deprecated",
        "Please use quant_min and quant_max to specify the range",
        "torch.quantize_per_tensor, torch.quantize_per_channel and other",
    )


def _check_inputs(inputs: Tensor) -> None:
    if not len(inputs):
        raise InvalidArgumentError("expected 1 or more, got 0", field="inputs")


class OnnxModule(nn.Module):
    """Runs an ONNX file; it can be copied and pickled: the session is opened anew."""

    def __init__(self, program: bytes) -> None:
        super().__init__()
        self.program = program
        self.session = open_session(program)
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of inputs, on the device of the inputs."""
        values = inputs.detach().cpu().float().numpy()
        (scores,) = self.session.run(["scores"], {"inputs": values})
        return torch.from_numpy(scores).to(inputs.device)

    def __reduce__(self) -> tuple[type["OnnxModule"], tuple[bytes]]:
        return OnnxModule, (self.program,)


def _quantise_file(program: bytes, inputs: Images) -> bytes:
    """An ONNX file quantised by ONNX Runtime: QDQ nodes, signed 8 bits, one scale a channel."""
    quantiser = import_module("onnxruntime.quantization")
    shapes = import_module("onnxruntime.quantization.shape_inference")
    with tempfile.TemporaryDirectory() as folder:
        exported, prepared, quantised = (Path(folder) / f"{step}.onnx" for step in range(3))
        exported.write_bytes(program)
        shapes.quant_pre_process(str(exported), str(prepared), skip_symbolic_shape=True)
        quantiser.quantize_static(
            str(prepared), str(quantised), _Reader(inputs),
            quant_format=quantiser.QuantFormat.QDQ, per_channel=True,
            activation_type=quantiser.QuantType.QInt8, weight_type=quantiser.QuantType.QInt8,
        )  # fmt: skip
        return quantised.read_bytes()


class _Reader:
    """Gives ONNX Runtime's quantiser batches of inputs to learn the ranges from."""

    def __init__(self, inputs: Tensor) -> None:
        self.waiting = iter(inputs.split(BATCH))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch by the name of the input; None at the end."""
        batch = next(self.waiting, None)
        return None if batch is None else {"inputs": batch.numpy()}
