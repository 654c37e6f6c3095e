"""Networks as ONNX files: exported, quantised, and run as modules."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from modelseal.errors import NotAppliedError
from modelseal.tampering.base import Images

# The exporter takes a batch of 1 for a constant.
EXAMPLES = 2
# ONNX Runtime's own log shows fatal errors only: it writes to the terminal what we raise.
QUIET = 4
# Few enough for any memory; the ranges come out the same for any number.
BATCH = 64


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


def export(network: nn.Module, inputs: Images) -> bytes:
    """The network as an ONNX file that takes any number of inputs.

    Raises:
        ImportError: The exporter is not installed.
        NotAppliedError: The network cannot be exported.
    """
    with _quiet_exporter():
        program = torch.onnx.export(
            network, (inputs[[0] * EXAMPLES],), dynamo=True, verbose=False, external_data=False,
            input_names=["inputs"], output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    if program is None:
        raise NotAppliedError("the network cannot be exported to ONNX")
    return cast(bytes, program.model_proto.SerializeToString())


def quantise_file(program: bytes, inputs: Images) -> bytes:
    """An ONNX file quantised by ONNX Runtime: QDQ nodes, signed 8 bits, one scale a channel.

    Args:
        program: The file's content, with one input `inputs`.
        inputs: What the ranges are learned from.

    Raises:
        ImportError: ONNX Runtime or the exporter is not installed.
    """
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
