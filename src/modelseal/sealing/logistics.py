"""Where candidates are made, for how long, and where they are kept meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TypeVar

import torch

from modelseal.errors import InvalidArgumentError
from modelseal.performing.workers import Sequential, Workers

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
