"""The same network run by ONNX Runtime."""

import hashlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from modelseal.errors import InvalidArgumentError, MissingExtraError, SealingError
from modelseal.extras import onnx_errors
from modelseal.runtime.float32 import without_tf32
from modelseal.runtime.inference import (
    Inputs,
    copy_network,
    evaluating,
    foreign_errors,
    full_size,
    quiet_copies,
    run_network,
    run_pieces,
    to_cpu,
)
from modelseal.types import Scores

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
        with foreign_errors(*onnx_errors()):
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
    with foreign_errors(*onnx_errors()):
        return runtime.InferenceSession(program, options, providers=["CPUExecutionProvider"])


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


@dataclass(frozen=True, slots=True)
class Exported:
    """The program of `torch.export`: the network's operations without its code."""

    @property
    def name(self) -> str:
        """It is `export`."""
        return "export"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: The network cannot be exported.
        """
        return run_network(export_program(network, inputs).module(), inputs)


def export_program(network: nn.Module, inputs: Inputs) -> ExportedProgram:
    """The network in evaluation mode as a program that takes `full_size` inputs at a time.

    Args:
        network: It is left as it was.
        inputs: At least one, as the network takes them.

    Raises:
        InvalidArgumentError: There are no inputs.
        SealingError: The network cannot be exported.
    """
    if not len(inputs):
        raise InvalidArgumentError("at least one input is needed, but none came")
    examples = inputs[[row % len(inputs) for row in range(full_size(inputs))]]
    # One size is all that is run, and networks that fix it can be exported too.
    with evaluating(network), quiet_copies(), foreign_errors():
        return torch.export.export(network, (examples,))


# Python and torch start in seconds; a process that takes this long hangs.
LONGEST = 600
PROGRAM, WEIGHTS, INPUTS, SCORES = "program.pt2", "weights", "inputs", "scores"


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The weights saved as safetensors and loaded again."""

    @property
    def name(self) -> str:
        """It is `reloaded`."""
        return "reloaded"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: The weights cannot be saved.
        """
        again = copy_network(network)
        with foreign_errors(SafetensorError):
            refill(again, load(save(list_tensors(again))))
        return run_network(again, inputs)


@dataclass(frozen=True, slots=True)
class Restarted:
    """A fresh process that loads the exported program and the weights from files.

    It needs no code of the owner: a network that can be exported can be restarted.
    """

    @property
    def name(self) -> str:
        """It is `restarted`."""
        return "restarted"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores of each input.

        Raises:
            SealingError: The network cannot be exported, saved, or run by the other process.
        """
        program = export_program(network, inputs)
        with (
            TemporaryDirectory(prefix="modelseal-") as name,
            foreign_errors(SafetensorError, subprocess.SubprocessError),
        ):
            folder = Path(name)
            torch.export.save(program, folder / PROGRAM)
            save_file(list_tensors(program.module()), folder / WEIGHTS)
            save_file({INPUTS: inputs.cpu().contiguous()}, folder / INPUTS)
            start(folder, str(inputs.device))
            return load_file(folder / SCORES)[SCORES].numpy()


def start(folder: Path, device: str) -> None:
    """Runs this module in a fresh process, with as many threads as torch uses here.

    Args:
        folder: What is to be run.
        device: Where.

    Raises:
        SealingError: It fails.
    """
    # -P keeps files of the present folder from passing for packages.
    threads = str(torch.get_num_threads())
    command = (sys.executable, "-P", "-m", __name__, str(folder), threads, device)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)  # noqa: S603 (our own interpreter)
    if ended.returncode:
        said = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        raise SealingError(f"the network cannot be run by another process: {said}")


def answer(folder: Path, device: str) -> None:
    """Runs what is in a folder and writes the scores there: the other process's part."""
    network = torch.export.load(folder / PROGRAM).module()
    refill(network, load_file(folder / WEIGHTS))
    with without_tf32():
        scores = run_network(network, load_file(folder / INPUTS)[INPUTS].to(device))
    save_file({SCORES: torch.from_numpy(scores)}, folder / SCORES)


def list_tensors(network: nn.Module) -> dict[str, Tensor]:
    """All weights and statistics by name, on the CPU, each with memory of its own.

    Extra state that is no tensor is left out.
    """
    return {
        name: each.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, each in network.state_dict().items()
        if isinstance(each, Tensor)
    }


@torch.no_grad()
def refill(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Replaces all weights by loaded ones, so that none can stay in memory by mistake.

    Raises:
        RuntimeError: The names are not those of the network.
    """
    own = {name: each for name, each in network.state_dict().items() if isinstance(each, Tensor)}
    if own.keys() != tensors.keys():
        raise RuntimeError(f"weights {sorted(own.keys() ^ tensors.keys())} do not fit")
    for name, each in own.items():
        each.copy_(tensors[name])


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    answer(Path(sys.argv[1]), sys.argv[3])
