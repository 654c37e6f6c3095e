"""Candidates are made in pieces: how large they are, how many fit into memory, where they are kept.

What is made of a piece depends on nothing but the piece, the network and the recipe, and on a GPU
on the order of its sums: so pieces can be made in any order, anywhere, and long before the others.
"""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from math import inf, prod
from pathlib import Path
from time import monotonic
from typing import TypeAlias, cast

import numpy as np
import safetensors.numpy
import torch
from torch import Tensor, nn

from modelseal.domain import Domain
from modelseal.errors import BadFileError, EvaluationError, InvalidArgumentError, SealingError
from modelseal.files import explain, write_atomically
from modelseal.fingerprint.file_format import content_digest, load_tensors
from modelseal.generation.gaps import values_at_once
from modelseal.models.loader import Model
from modelseal.parallel.workers import Workers
from modelseal.runtime.devices import device_of
from modelseal.runtime.inference import run_network
from modelseal.sealing.recipe import Recipe
from modelseal.types import Array, Codes, Progress, ignore

# Natural inputs that are worked on together, at the most: more gain no speed.
LARGEST = 32
# Two of them need no more than so many values, however large inputs are: their Jacobians are in
# memory at once, which for a tie of ten classes, with what is computed of them, is 150 MB.
VALUES = 2**20
# The samples of a piece share the margin that the median one needs, so that one alone is too few.
SMALLEST = 2
PACKAGES = ("modelseal", "torch")
PIECES = "*.piece"
# What a process that was killed while it wrote a piece leaves behind.
_UNFINISHED = ".*.tmp"
# Only its owner sees into the folder: the samples are secrets.
PRIVATE = 0o700
_MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
# A process with torch in it, before it has loaded a network: 250 to 350 MB on Linux.
BARE = 400 * 2**20
# Newton's step has the Jacobian, two products of its size and a share of it at the same time.
_JACOBIANS = 4
# A backward pass has the gradient of each activation beside it.
_ACTIVATIONS = 2
_FLOAT = 4

# What workers give; closing it stops what is under way.
Made: TypeAlias = Generator[tuple["PieceTask", "Piece"], None, None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PieceTask:
    """A piece, to be made."""

    # Its place among all, from 0, and the numbers of its natural inputs.
    number: int
    rows: Array
    naturals: Codes
    recipe: Recipe
    # The digest of the network, where it shall run, and on how many of torch's threads.
    weights: str
    device: str
    threads: int
    # The model.toml, if another process makes it.
    source: Path | None

    def __str__(self) -> str:
        return f"piece {self.number} of the candidates"

    @property
    def key(self) -> str:
        """A digest of all that its samples depend on, as hexadecimal digits."""
        recipe, variants = self.recipe, self.recipe.variants
        settings = {
            "method": recipe.method,
            "spec": str(recipe.spec),
            "seed": recipe.seed,
            "parameters": recipe.parameters,
            "variants": None if variants is None else [each.name for each in variants],
            "weights": self.weights,
            "domain": repr(recipe.domain),
            "device": self.device,
            "threads": self.threads,
            "packages": {name: version(name) for name in PACKAGES},
        }
        header = json.dumps(settings, sort_keys=True).encode()
        return content_digest(header, {"naturals": self.naturals}).removeprefix("sha256:")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """A finished piece: a stored sample of each natural input, and their cost in forward passes."""

    samples: Codes
    work: float


def cut(rows: Array, domain: Domain) -> list[Array]:
    """The rows of every piece."""
    size = piece_size(domain)
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def piece_size(domain: Domain) -> int:
    """How many natural inputs are worked on together.

    This depends on what an input is and on nothing else: which samples share a piece makes a
    difference to them, and the same command shall make the same on every machine. The memory says
    how many pieces are worked on at the same time (`fit_processes`), which makes none.
    """
    return max(SMALLEST, min(LARGEST, VALUES // prod(domain.shape)))


def make_pieces(
    tasks: Sequence[PieceTask],
    perform: Callable[[PieceTask], Piece],
    *,
    workers: Workers | None = None,
    checkpoints: Path | None = None,
    seconds: float = inf,
    progress: Progress = ignore,
) -> dict[int, Piece]:
    """Has all pieces made that are not kept already, and gives them by their number.

    When the time is over, which is seen whenever one is finished, no more are begun or waited for.
    """
    end = monotonic() + seconds
    found = {} if checkpoints is None else _load_pieces(checkpoints, tasks)
    done = sum(len(task.naturals) for task in tasks if task.number in found)
    total = sum(len(task.naturals) for task in tasks)
    progress("generate", done, total)
    missing = [task for task in tasks if task.number not in found]
    made = workers(perform, missing) if workers else ((task, perform(task)) for task in missing)
    try:
        with closing(cast(Made, made)) as results:
            for task, piece in results:
                if checkpoints is not None:
                    save_piece(checkpoints, task, piece)
                found[task.number] = piece
                done += len(task.naturals)
                progress("generate", done, total)
                if monotonic() >= end:
                    break
    except EvaluationError as error:
        raise SealingError(str(error)) from error
    return dict(sorted(found.items()))


def check_checkpoints(folder: Path) -> None:
    """Makes sure, before long work begins, that pieces can be kept."""
    if folder.exists() and not folder.is_dir():
        raise BadFileError(folder, "expected a folder for unfinished work, got something else")


def save_piece(folder: Path, task: PieceTask, piece: Piece) -> None:
    """Writes a piece, whole or not at all, in a folder that is made if it is missing."""
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written to: {explain(error)}") from error
    arrays = {"samples": np.ascontiguousarray(piece.samples), "work": np.array([piece.work])}
    write_atomically(_file_of(folder, task), safetensors.numpy.save(arrays))


def load_piece(folder: Path, task: PieceTask) -> Piece | None:
    """A piece that is kept already; None if there is none, or none that can be used."""
    try:
        arrays = load_tensors(_file_of(folder, task).read_bytes())
        samples, work = arrays["samples"], arrays["work"]
        if work.shape != (1,) or samples.shape[:1] != (len(task.naturals),):
            return None
        task.recipe.domain.check(samples)
    # What cannot be used is made again, and replaced.
    except (OSError, InvalidArgumentError, KeyError):
        return None
    return Piece(samples=samples, work=float(work[0]))


def _load_pieces(folder: Path, tasks: Sequence[PieceTask]) -> dict[int, Piece]:
    kept = {task.number: load_piece(folder, task) for task in tasks}
    return {number: piece for number, piece in kept.items() if piece is not None}


def _file_of(folder: Path, task: PieceTask) -> Path:
    return folder / PIECES.replace("*", task.key)


def count_checkpoints(folder: Path) -> int:
    """How many pieces there are."""
    return len(list(folder.glob(PIECES)))


def discard_checkpoints(folder: Path) -> None:
    """Removes the unfinished work of `seal` or `generate`, once its result is written.

    The folder goes, too, unless somebody else has put something in it.

    Args:
        folder: What `checkpoints` was.

    Raises:
        BadFileError: A file cannot be removed.
    """
    try:
        for pattern in (PIECES, _UNFINISHED):
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise BadFileError(folder, f"cannot be emptied: {explain(error)}") from error
    with suppress(OSError):
        folder.rmdir()


def fit_processes(wanted: int, *, need: int, available: int | None) -> int:
    """How many processes run at once: as many as are wanted and fit (bytes), at least one."""
    return wanted if available is None else max(1, min(wanted, available // need))


def available_memory(
    device: torch.device, *, meminfo: Path = _MEMINFO, group: Path = GROUP
) -> int | None:
    """The bytes that are free for a program, as Linux tells; None where nobody tells.

    That is the least of what the machine has, and of what is left of this container's limit and of
    the GPU's memory.
    """
    amounts = (_read_machine(meminfo), _read_container(group), _read_gpu(device))
    return min((amount for amount in amounts if amount is not None), default=None)


def _read_machine(meminfo: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in meminfo.read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return int(amount.removesuffix("kB")) * 1024
    return None


def _read_container(group: Path) -> int | None:
    # Where there is no limit, the file says max, which is no number.
    with suppress(OSError, ValueError):
        most, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        return max(most - used, 0)
    return None


def _read_gpu(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    # What torch keeps for later use is free.
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]


def need_memory(model: Model, recipe: Recipe) -> int:
    """About the bytes of a process that makes candidates: of torch, weights, Jacobians, layers."""
    size, values = piece_size(model.domain), prod(model.domain.shape)
    together = max(min(size, values_at_once(device_of(model.network)) // values), 1)
    jacobian = size * (max(recipe.tied, recipe.shown + 1) - 1) * values * _FLOAT
    return (
        BARE
        + weigh(model.network)
        + _JACOBIANS * jacobian
        + _ACTIVATIONS * together * _measure_activations(model)
    )


def weigh(network: nn.Module) -> int:
    """The bytes of all weights and statistics; tied ones count once."""
    return sum(each.nbytes for each in (*network.parameters(), *network.buffers()))


def _measure_activations(model: Model) -> int:
    """The bytes that the layers without layers in them give for one input."""
    sizes: list[int] = []

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.nbytes)

    leaves = [each for each in model.network.modules() if not list(each.children())]
    hooks = [each.register_forward_hook(note) for each in leaves]
    middle = torch.full((1, *model.domain.shape), sum(model.domain.bounds) / 2)
    try:
        run_network(model.network, middle.to(device_of(model.network)), size=1)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(sizes)
