"""The same network run by ONNX Runtime."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from importlib import import_module
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from modelseal.calibration.running import (
    Inputs,
    evaluating,
    foreign_errors,
    full_size,
    quiet_copies,
    run_pieces,
    to_cpu,
)
from modelseal.errors import MissingExtraError, SealingError
from modelseal.shapes import Scores

# The exporter takes a batch of 1 for a constant.
EXAMPLES = 2

QUIET = 4
"""ONNX Runtime's own log shows fatal errors only: it writes to the terminal what we raise."""


class Optimisation(Enum):
    """How far ONNX Runtime may rewrite a network before it runs it."""

    ALL = "all"
    LAYOUT = "layout"
    EXTENDED = "extended"
    BASIC = "basic"
    NONE = "none"


LEVELS = {
    Optimisation.ALL: "ORT_ENABLE_ALL",
    Optimisation.LAYOUT: "ORT_ENABLE_LAYOUT",
    Optimisation.EXTENDED: "ORT_ENABLE_EXTENDED",
    Optimisation.BASIC: "ORT_ENABLE_BASIC",
    Optimisation.NONE: "ORT_DISABLE_ALL",
}
"""What ONNX Runtime calls them."""


class Exports:
    """Exported networks, kept while the network lives and its weights stay the same."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[nn.Module, tuple[bytes, bytes]] = WeakKeyDictionary()

    def of(self, network: nn.Module, inputs: Inputs) -> bytes:
        """The network as an ONNX file, exported again only if its weights have changed.

        Raises:
            MissingExtraError: The exporter is not installed.
            SealingError: The network cannot be exported.
        """
        digest, (known, program) = digest_of(network), self._kept.get(network, (b"", b""))
        if known != digest:
            program = export(network, inputs)
            self._kept[network] = (digest, program)
        return program


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """The network exported to ONNX and run on the processor.

    Args:
        optimisation: How far the runtime may rewrite it.
        exports: Share one among several levels to export only once.
    """

    optimisation: Optimisation = Optimisation.ALL
    exports: Exports = field(default_factory=Exports, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Such as `onnxruntime-all`."""
        return f"onnxruntime-{self.optimisation.value}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            MissingExtraError: ONNX Runtime or the exporter is not installed.
            SealingError: The network cannot be exported or run.
        """
        runtime = load_runtime()
        session = open_session(runtime, self.exports.of(network, inputs), self.optimisation)
        with foreign_errors(*faults()):
            return run_pieces(partial(ask, session), inputs, size=full_size(inputs))


def load_runtime() -> Any:  # noqa: ANN401 (ONNX Runtime has no types)
    """ONNX Runtime itself.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module("onnxruntime")
    except ImportError as problem:
        raise MissingExtraError("Running a network in ONNX Runtime", "export") from problem


def open_session(runtime: Any, program: bytes, optimisation: Optimisation) -> Any:  # noqa: ANN401
    """Loads an ONNX file into the runtime, with as many threads as torch uses.

    Raises:
        SealingError: The runtime does not take it.
    """
    options = runtime.SessionOptions()
    # Older ones lack a level.
    with foreign_errors():
        level = getattr(runtime.GraphOptimizationLevel, LEVELS[optimisation])
    options.graph_optimization_level = level
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = QUIET
    with foreign_errors(*faults()):
        return runtime.InferenceSession(program, options, providers=["CPUExecutionProvider"])


def faults() -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises: its errors have nothing in common but their module."""
    state = vars(import_module("onnxruntime.capi.onnxruntime_pybind11_state"))
    kinds = [kind for kind in state.values() if isinstance(kind, type)]
    return (*(kind for kind in kinds if issubclass(kind, Exception)), ValueError)


def ask(session: Any, inputs: Tensor) -> Tensor:  # noqa: ANN401
    """The scores that a loaded file gives."""
    (scores,) = session.run(["scores"], {"inputs": inputs.cpu().numpy()})
    return torch.from_numpy(scores)


def export(network: nn.Module, inputs: Inputs) -> bytes:
    """The network as an ONNX file that takes any number of inputs.

    Raises:
        MissingExtraError: The exporter is not installed.
        SealingError: The network cannot be exported.
    """
    dynamic = ({0: torch.export.Dim("batch")},)
    network, first = to_cpu(network, inputs[[0] * EXAMPLES])
    try:
        with evaluating(network), quiet_exporter(), foreign_errors():
            program = torch.onnx.export(
                network, (first,), dynamo=True, verbose=False, external_data=False,
                input_names=["inputs"], output_names=["scores"], dynamic_shapes=dynamic,
            )  # fmt: skip
    except ImportError as problem:
        raise MissingExtraError("Exporting a network to ONNX", "export") from problem
    if program is None:
        raise SealingError("the network cannot be exported to ONNX")
    return cast(bytes, program.model_proto.SerializeToString())


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silences what the exporter says to nobody in particular."""
    # It tells of torchvision's operations, which it would know if torchvision were there.
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    try:
        log.setLevel(logging.ERROR)
        with quiet_copies():
            yield
    finally:
        log.setLevel(level)


def digest_of(network: nn.Module) -> bytes:
    """What tells these weights from any others; extra state that is no tensor is left out."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        if isinstance(tensor, Tensor):
            values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(name.encode() + values.numpy().tobytes())
    return digest.digest()
