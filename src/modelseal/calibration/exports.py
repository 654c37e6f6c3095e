"""The same network exported and run from files: by torch, by ONNX Runtime, by another process."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from modelseal.errors import InvalidArgumentError, SealingError, onnx_errors
from modelseal.runtime.devices import without_tf32
from modelseal.runtime.inference import (
    Inputs,
    copy_network,
    evaluating,
    export_onnx,
    foreign_errors,
    full_size,
    open_session,
    quiet_copies,
    run_network,
    run_pieces,
)
from modelseal.types import Scores

# Python and torch start in seconds; a process that takes this many hangs.
_LONGEST = 600
_PROGRAM, _WEIGHTS, _INPUTS, _SCORES = "program.pt2", "weights", "inputs", "scores"


class Optimisation(Enum):
    """How far ONNX Runtime may rewrite a network before it runs it."""

    ALL = "all"
    LAYOUT = "layout"
    EXTENDED = "extended"
    BASIC = "basic"
    NONE = "none"


class Exports:
    """Networks as ONNX files, kept while the network lives and its weights stay the same."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[nn.Module, tuple[bytes, bytes]] = WeakKeyDictionary()

    def of(self, network: nn.Module, inputs: Inputs) -> bytes:
        """The ONNX file, exported again only if a weight has changed."""
        digest, (known, program) = _digest(network), self._kept.get(network, (b"", b""))
        if known != digest:
            program = export_onnx(network, inputs)
            self._kept[network] = (digest, program)
        return program


def _digest(network: nn.Module) -> bytes:
    digest = hashlib.sha256()
    for name, tensor in _own_tensors(network).items():
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.digest()


def _own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """All weights and statistics by name, without extra state that is no tensor."""
    return {name: each for name, each in network.state_dict().items() if isinstance(each, Tensor)}


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """The network exported to ONNX and run on the processor; levels may share their exports."""

    optimisation: Optimisation = Optimisation.ALL
    exports: Exports = field(default_factory=Exports, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Such as `onnxruntime-all`."""
        return f"onnxruntime-{self.optimisation.value}"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if ONNX Runtime is installed and takes the network."""
        chosen = self.optimisation
        level = "DISABLE_ALL" if chosen is Optimisation.NONE else f"ENABLE_{chosen.name}"
        session = open_session(self.exports.of(network, inputs), level=level)
        with foreign_errors(*onnx_errors()):
            return run_pieces(partial(_ask, session), inputs, size=full_size(inputs))


def _ask(session: Any, inputs: Tensor) -> Tensor:  # noqa: ANN401
    (scores,) = session.run(["scores"], {"inputs": inputs.cpu().numpy()})
    return torch.from_numpy(scores)


@dataclass(frozen=True, slots=True)
class Exported:
    """The program of `torch.export`: the network's operations without its code."""

    name: ClassVar[str] = "export"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if the network can be exported."""
        return run_network(export_program(network, inputs).module(), inputs)


def export_program(network: nn.Module, inputs: Inputs) -> ExportedProgram:
    """The network in evaluation mode as a program that takes `full_size` inputs at a time."""
    if not len(inputs):
        raise InvalidArgumentError("expected 1 input or more, got none", field="inputs")
    examples = inputs[[row % len(inputs) for row in range(full_size(inputs))]]
    # One size is all that is run, and networks that fix it can be exported too.
    with evaluating(network), quiet_copies(), foreign_errors():
        return torch.export.export(network, (examples,))


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The weights saved as safetensors and loaded again."""

    name: ClassVar[str] = "reloaded"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if the weights can be saved."""
        again = copy_network(network)
        with foreign_errors(SafetensorError):
            _refill(again, load(save(_tensors_to_save(again))))
        return run_network(again, inputs)


@dataclass(frozen=True, slots=True)
class Restarted:
    """A fresh process that loads the exported program and the weights from files.

    It needs no code of the owner: a network that can be exported can be restarted.
    """

    name: ClassVar[str] = "restarted"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Scores:
        """The scores, if the network can be exported and run by the other process."""
        program = export_program(network, inputs)
        with (
            TemporaryDirectory(prefix="modelseal-") as name,
            foreign_errors(SafetensorError, subprocess.SubprocessError),
        ):
            folder = Path(name)
            torch.export.save(program, folder / _PROGRAM)
            save_file(_tensors_to_save(program.module()), folder / _WEIGHTS)
            save_file({_INPUTS: inputs.cpu().contiguous()}, folder / _INPUTS)
            _run_elsewhere(folder, str(inputs.device))
            return load_file(folder / _SCORES)[_SCORES].numpy()


def _run_elsewhere(folder: Path, device: str) -> None:
    """Runs this module in a fresh process, with as many threads as torch uses here."""
    # -P keeps files of the present folder from passing for packages.
    threads = str(torch.get_num_threads())
    command = (sys.executable, "-P", "-m", __name__, str(folder), threads, device)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST)  # noqa: S603 (our own interpreter)
    if ended.returncode:
        said = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        raise SealingError(f"the network cannot be run by another process: {said}")


def run_folder(folder: Path, device: str) -> None:
    """Runs what is in a folder and writes the scores there: the other process's part."""
    network = torch.export.load(folder / _PROGRAM).module()
    _refill(network, load_file(folder / _WEIGHTS))
    with without_tf32():
        scores = run_network(network, load_file(folder / _INPUTS)[_INPUTS].to(device))
    save_file({_SCORES: torch.from_numpy(scores)}, folder / _SCORES)


def _tensors_to_save(network: nn.Module) -> dict[str, Tensor]:
    """On the CPU, each with memory of its own: tied weights are written twice."""
    return {
        name: each.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, each in _own_tensors(network).items()
    }


@torch.no_grad()
def _refill(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Replaces all weights by loaded ones, so that none can stay in memory by mistake."""
    own = _own_tensors(network)
    if own.keys() != tensors.keys():
        raise RuntimeError(f"weights {sorted(own.keys() ^ tensors.keys())} do not fit")
    for name, each in own.items():
        each.copy_(tensors[name])


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    run_folder(Path(sys.argv[1]), sys.argv[3])
