"""Networks that really compute with 8-bit integers, made by the quantisers that people use."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

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

# A quantised network that agrees less than this with the one it was made of lost its use.
AGREES = 0.5
# Few enough for any memory; the ranges come out the same for any number.
BATCH = 64
# The exporter takes a batch of 1 for a constant.
EXAMPLES = 2
# ONNX Runtime's own log shows fatal errors only: it writes to the terminal what we raise.
QUIET = 4


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
        """Returns a quantised copy."""
        inputs, given = self.inputs.cpu().float(), copy_network(network).cpu().float()
        try:
            # Exporting takes longest: what is missing is told before.
            import_module("onnxruntime.quantization")
            with _translated("ONNX Runtime's"):
                program = _quantise_file(_export(given, inputs), inputs)
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
        raise InvalidArgumentError("expected 1 or more, got 0", field="inputs")


class OnnxModule(nn.Module):
    """Runs an ONNX file in ONNX Runtime, as a module without parameters.

    It can be copied and pickled: the file goes along, the session is opened anew.

    Args:
        program: The content of a file that takes `inputs` and gives `scores`.
    """

    def __init__(self, program: bytes) -> None:
        super().__init__()
        self.program = program
        self.session = _open_session(program)
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of inputs, on the device of the inputs."""
        values = inputs.detach().cpu().float().numpy()
        (scores,) = self.session.run(["scores"], {"inputs": values})
        return torch.from_numpy(scores).to(inputs.device)

    def __reduce__(self) -> tuple[type["OnnxModule"], tuple[bytes]]:
        return OnnxModule, (self.program,)


def _export(network: nn.Module, inputs: Images) -> bytes:
    """The network as an ONNX file that takes any number of inputs."""
    with _quiet_exporter():
        program = torch.onnx.export(
            network, (inputs[[0] * EXAMPLES],), dynamo=True, verbose=False, external_data=False,
            input_names=["inputs"], output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    if program is None:
        raise NotAppliedError("the network cannot be exported to ONNX")
    return cast(bytes, program.model_proto.SerializeToString())


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


def _open_session(program: bytes) -> Any:  # noqa: ANN401 (ONNX Runtime has no types)
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = QUIET
    return runtime.InferenceSession(program, options, providers=["CPUExecutionProvider"])


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silences what the exporter says to nobody in particular."""
    # It tells of torchvision's operations, which it would know if torchvision were there.
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    try:
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", category=FutureWarning, message=r"`isinstance\(treespec, LeafSpec\)`"
            )
            yield
    finally:
        log.setLevel(level)
