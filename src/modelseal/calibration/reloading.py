"""The same weights saved to a file and loaded again, in this process or in a fresh one."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor, nn

from modelseal.calibration.exporting import export_program
from modelseal.calibration.running import Inputs, copy_network, foreign_errors, run_network
from modelseal.errors import SealingError
from modelseal.performing.exactness import without_tf32
from modelseal.shapes import Scores

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
