"""Tasks that another process finds by their names; what they do to files shows who was there."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import torch

from modelseal.errors import BadFileError


@dataclass(frozen=True, kw_only=True, slots=True)
class Chore:
    number: int
    folder: Path
    mishap: str = ""


def total(chore: Chore) -> tuple[int, float, int]:
    """The chore's number, a sum whose last bits depend on the number of threads, and that."""
    leave_note(chore)
    return add_up(chore)


def add_up(chore: Chore) -> tuple[int, float, int]:
    values = torch.rand(100_000, generator=torch.Generator().manual_seed(chore.number))
    return chore.number, float(values.sum()), torch.get_num_threads()


def see_gpu(chore: Chore) -> str | None:
    """The GPUs that are to be seen, once somebody else does a chore at the same time."""
    leave_note(chore)
    deadline = time.monotonic() + 300
    while len(find_beginners(chore.folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def stumble(chore: Chore) -> tuple[int, float, int]:
    leave_note(chore)
    MISHAPS.get(chore.mishap, lambda _: None)(chore)
    return add_up(chore)


def wait_for_file(chore: Chore) -> None:
    while not (chore.folder / "go").exists():
        time.sleep(0.02)


def fail(chore: Chore) -> None:
    match chore.mishap:
        case "known":
            raise BadFileError("a.seal", "is missing", field="seed")
        case "foreign":
            raise KeyError("layer9")
    raise Strange(chore.number, "eyes")


def die(chore: Chore) -> None:
    match chore.mishap:
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leaves":
            os._exit(7)
    # Late enough for the result to go home.
    Timer(0.3, os._exit, [1]).start()


MISHAPS: dict[str, Callable[[Chore], None]] = {
    "waits": wait_for_file,
    **dict.fromkeys(["known", "foreign", "strange"], fail),
    **dict.fromkeys(["dies", "leaves", "dies after"], die),
}


def keep_secret(chore: Chore) -> object:
    return lambda: chore


class Strange(Exception):  # noqa: N818
    """An error of another library that is no built-in, and that does not survive pickling."""

    def __init__(self, number: int, thing: str) -> None:
        super().__init__(f"{number} {thing}")


def leave_note(chore: Chore) -> None:
    with (chore.folder / f"{chore.number}").open("a") as file:
        file.write(f"{os.getpid()} {os.getppid()}\n")


def find_beginners(folder: Path, *, number: int | None = None) -> list[tuple[int, int]]:
    """The processes that began chores, or one chore, and their parents."""
    notes = sorted(folder.glob("[0-9]*" if number is None else f"{number}"))
    lines = [line.split() for note in notes for line in note.read_text().splitlines()]
    return [(int(line[0]), int(line[1])) for line in lines if len(line) == 2]


def await_beginner(folder: Path, *, number: int | None = None, parent: int | None = None) -> int:
    """Waits until a process, or a child of a given one, has begun a chore; gives the latest's."""
    for _ in range(6000):
        found = [own for own, by in find_beginners(folder, number=number) if parent in (None, by)]
        if found:
            return found[-1]
        time.sleep(0.01)
    raise TimeoutError("nobody began a chore")


def is_alive(number: int) -> bool:
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def await_end(numbers: list[int]) -> list[int]:
    for _ in range(1000):
        left = [number for number in numbers if is_alive(number)]
        if not left:
            break
        time.sleep(0.02)
    return left
