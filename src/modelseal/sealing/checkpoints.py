"""Cuts natural inputs into pieces, of which samples are made independently of one another.

What is made of a piece depends on nothing but the piece, the network and the recipe, and on a GPU
on the order of its sums: so pieces can be made in any order, anywhere, and long before the others.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from math import inf, prod
from pathlib import Path
from time import monotonic
from typing import TypeAlias, TypeVar, cast

import numpy as np
import safetensors.numpy
import torch

from modelseal.domain import Domain
from modelseal.errors import BadFileError, EvaluationError, InvalidArgumentError, SealingError
from modelseal.files import explain, write_atomically
from modelseal.fingerprint.codec import content_digest, load_tensors
from modelseal.parallel.workers import Sequential, Workers
from modelseal.sealing.recipe import Recipe
from modelseal.types import Array, Codes, Progress

# Natural inputs that are worked on together, at the most: more gain no speed.
LARGEST = 32
# Two of them need no more than so many values, however large inputs are: their Jacobians are in
# memory at once, which for a tie of ten classes, with what is computed of them, is 150 MB.
VALUES = 2**20
# The samples of a piece share the margin that the median one needs, so that one alone is too few.
SMALLEST = 2
PACKAGES = ("modelseal", "torch")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PieceTask:
    """A piece, to be made.

    Args:
        number: Its place among all, from 0.
        rows: The numbers of its natural inputs.
        naturals: These inputs themselves.
        recipe: How samples shall be made of them.
        weights: Digest of the network.
        domain: What a valid input of it is.
        device: Where the network shall run, as torch names it.
        threads: How many threads torch has for it.
        source: The model.toml, if another process makes it.
    """

    number: int
    rows: Array
    naturals: Codes
    recipe: Recipe
    weights: str
    domain: Domain
    device: str
    threads: int
    source: Path | None

    def __str__(self) -> str:
        return f"piece {self.number} of the candidates"

    @property
    def key(self) -> str:
        """A digest of all that its samples depend on, as hexadecimal digits."""
        recipe, variants = self.recipe, self.recipe.variants
        settings = {
            "method": recipe.method.value,
            "spec": str(recipe.spec),
            "seed": recipe.seed,
            "parameters": recipe.parameters,
            "variants": None if variants is None else [each.name for each in variants],
            "weights": self.weights,
            "domain": repr(self.domain),
            "device": self.device,
            "threads": self.threads,
            "packages": {name: version(name) for name in PACKAGES},
        }
        header = json.dumps(settings, sort_keys=True).encode()
        return content_digest(header, {"naturals": self.naturals}).removeprefix("sha256:")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """A finished piece.

    Args:
        samples: One of each natural input, as they are stored, in the same order.
        work: What they cost together, in forward passes of one input.
    """

    samples: Codes
    work: float


def cut_evenly(count: int, domain: Domain) -> Iterator[tuple[int, int]]:
    """The first number of every piece, and that after its last one."""
    return pairwise([*range(0, count, piece_size(domain)), count])


def piece_size(domain: Domain) -> int:
    """How many natural inputs are worked on together.

    This depends on what an input is and on nothing else. If the memory or the number of workers
    had a say in it, the same command would make other samples on another machine, or when it goes
    on after a stop: which samples share a piece makes a difference to them. Pieces are so small
    that they fit wherever the network itself does; the memory decides how many are worked on at
    the same time (`memory.fit_processes`), which makes no difference to any of them.
    """
    return max(SMALLEST, min(LARGEST, VALUES // prod(domain.shape)))


PIECES = "*.piece"
# What a process that was killed while it wrote a piece leaves behind.
UNFINISHED = ".*.tmp"
PRIVATE = 0o700
"""The mode of the folder: only its owner sees the samples, which are secrets."""


def check_folder(folder: Path) -> None:
    """Makes sure, before long work begins, that pieces can be kept.

    Raises:
        BadFileError: Something else has the folder's name.
    """
    if folder.exists() and not folder.is_dir():
        raise BadFileError(
            folder, "a folder for unfinished work was wanted, but this is something else"
        )


def keep(folder: Path, task: PieceTask, piece: Piece) -> None:
    """Writes a piece, whole or not at all, in a folder that is made if it is missing.

    Raises:
        BadFileError: It cannot be written.
    """
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadFileError(folder, f"cannot be written to: {explain(error)}") from error
    arrays = {"samples": np.ascontiguousarray(piece.samples), "work": np.array([piece.work])}
    write_atomically(file_of(folder, task), safetensors.numpy.save(arrays))


def find_kept(folder: Path, task: PieceTask) -> Piece | None:
    """A piece that is kept already; None if there is none, or none that can be used."""
    try:
        return parse(file_of(folder, task).read_bytes(), task.domain, len(task.naturals))
    # What cannot be used is made again, and replaced.
    except (OSError, InvalidArgumentError):
        return None


def parse(data: bytes, domain: Domain, count: int) -> Piece:
    """Reads a piece of so many samples.

    Raises:
        InvalidArgumentError: It is none.
    """
    arrays = load_tensors(data)
    samples, work = arrays.get("samples"), arrays.get("work")
    if samples is None or work is None or work.shape != (1,) or samples.shape[:1] != (count,):
        raise InvalidArgumentError(
            f"a piece of {count} samples was wanted, but something else came"
        )
    domain.check(samples)
    return Piece(samples=samples, work=float(work[0]))


def file_of(folder: Path, task: PieceTask) -> Path:
    """Where a piece is kept."""
    return folder / PIECES.replace("*", task.key)


def count_kept(folder: Path) -> int:
    """How many pieces there are."""
    return len(list(folder.glob(PIECES)))


def clear(folder: Path) -> None:
    """Removes all pieces, and the folder unless somebody else has put something in it.

    Raises:
        BadFileError: A piece cannot be removed.
    """
    try:
        for pattern in (PIECES, UNFINISHED):
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise BadFileError(folder, f"cannot be emptied: {explain(error)}") from error
    with suppress(OSError):
        folder.rmdir()


T = TypeVar("T")
R = TypeVar("R")


def perform_here(perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
    """Performs one task after the other in this process, on all threads that torch has here."""
    for task in tasks:
        yield task, perform(task)


@dataclass(frozen=True, kw_only=True, slots=True)
class Logistics:
    """Where candidates are made, for how long, and where they are kept meanwhile.

    Only `workers` can make a difference to the candidates, and only one: by default the order of
    a sum, and with it the last bits of a score, depends on the number of torch's threads, while
    all `Workers` take one thread, so that these give the same bytes whatever their number is.

    Args:
        workers: Make the pieces; by default this process does, on all threads that torch has.
        source: The model.toml, which other processes and machines load the network from; needed
            for workers that are any of those.
        folder: Where every piece is kept as soon as it is finished, and looked for first; None
            for nowhere. Whoever has written the result removes it by `keeping.clear`.
        seconds: When this time is over, no more pieces are begun, and none is waited for: that is
            seen whenever one is finished, so that there is always one.

    Raises:
        InvalidArgumentError: The time is no positive number, or other processes have no source.
    """

    workers: Workers = perform_here
    source: Path | None = None
    folder: Path | None = None
    seconds: float = inf

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise InvalidArgumentError(
                f"a time limit needs to be above 0 seconds, but is {self.seconds}"
            )
        if self.source is None and not self.is_here:
            raise InvalidArgumentError(
                "a model.toml is needed for workers outside of this process, but none came"
            )

    @property
    def is_here(self) -> bool:
        """Whether all work is done in this process, with the network that is there already."""
        return self.workers is perform_here or isinstance(self.workers, Sequential)

    @property
    def threads(self) -> int:
        """How many threads torch has for a piece."""
        return torch.get_num_threads() if self.workers is perform_here else 1


Made: TypeAlias = Generator[tuple[PieceTask, Piece], None, None]
"""What workers give; closing it stops what is under way."""


def gather(
    tasks: Sequence[PieceTask],
    perform: Callable[[PieceTask], Piece],
    *,
    logistics: Logistics,
    progress: Progress,
) -> dict[int, Piece]:
    """Has all pieces made that are not kept already.

    Args:
        tasks: The pieces.
        perform: Makes one.
        logistics: Who performs, for how long, and where pieces are kept.
        progress: Is told of the stage `generate`, in natural inputs.

    Returns:
        The pieces by their number: all of them, or those that there are when the time is over, of
        which one was made now.

    Raises:
        SealingError: A piece cannot be made, or its workers were lost.
        BadFileError: A piece cannot be kept.
    """
    end = monotonic() + logistics.seconds
    found = find_all(tasks, logistics)
    done, total = (sum(map(len_of, some)) for some in (find_done(tasks, found), tasks))
    progress("generate", done, total)
    missing = [task for task in tasks if task.number not in found]
    try:
        with closing(cast(Made, logistics.workers(perform, missing))) as results:
            for task, piece in results:
                if logistics.folder is not None:
                    keep(logistics.folder, task, piece)
                found[task.number] = piece
                done += len_of(task)
                progress("generate", done, total)
                if monotonic() >= end:
                    break
    except EvaluationError as error:
        raise SealingError(str(error)) from error
    return dict(sorted(found.items()))


def find_all(tasks: Sequence[PieceTask], logistics: Logistics) -> dict[int, Piece]:
    """The pieces that are kept already, by their number."""
    if logistics.folder is None:
        return {}
    kept = {task.number: find_kept(logistics.folder, task) for task in tasks}
    return {number: piece for number, piece in kept.items() if piece is not None}


def find_done(tasks: Sequence[PieceTask], found: dict[int, Piece]) -> list[PieceTask]:
    """The tasks whose pieces are there."""
    return [task for task in tasks if task.number in found]


def len_of(task: PieceTask) -> int:
    """How many samples a piece has."""
    return len(task.naturals)
