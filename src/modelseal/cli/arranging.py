"""Where and for how long `generate` and `seal` make candidates, and how they go on after a stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.crew import hire
from modelseal.cli.paper import complain
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.writing import beside

if TYPE_CHECKING:
    from modelseal.cli.destination import Destination
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.models.loading import Model
    from modelseal.performing.workers import Workers
    from modelseal.sealing import Logistics, Recipe

UNFINISHED = ".part"
"""What is added to the output's name for the folder of finished pieces."""


def arrange(
    model: Path,
    output: Path,
    *,
    minutes: float | None,
    crew: "Workers | None",
    destination: "Destination | None" = None,
) -> "Logistics":
    """Where candidates are made, for how long, and where they are kept.

    Args:
        model: The model.toml.
        output: The file to be written; pieces are kept in a folder beside it.
        minutes: The time limit; None for none.
        crew: Who makes candidates; None for this process.
        destination: Where the result goes. If it is encrypted no piece is kept: that would be a
            plain copy of samples on the disk.

    Raises:
        BadFileError: Something else has the folder's name.
        InvalidArgumentError: The time limit is no positive number.
    """
    from modelseal.sealing import Logistics
    from modelseal.sealing.keeping import check_folder
    from modelseal.sealing.logistics import perform_here

    if minutes is not None and not minutes > 0.0:
        raise InvalidArgumentError(f"--time-limit needs minutes above 0, but is {minutes:g}")
    folder = beside(output, UNFINISHED)
    check_folder(folder)
    return Logistics(
        workers=crew or perform_here,
        source=model.resolve(),
        folder=None if destination and destination.lock else folder,
        seconds=inf if minutes is None else 60.0 * minutes,
    )


def hire_makers(
    count: int | None, address: str | None, *, network: "Model", recipe: "Recipe"
) -> "Workers | None":
    """Who makes candidates: no more processes than fit into the memory; None for this one.

    Raises:
        InvalidArgumentError: Both a number and an address came.
        MissingExtraError: Ray is asked for and not installed.
        SealingError: The network cannot be run.
    """
    if count is None and address is None:
        return None
    from modelseal.models.devices import device_of, is_on_gpu

    # A wrong use is told before anything is measured.
    crew = hire(count or 1, address, gpu=is_on_gpu(network.network))
    if count is None or count == 1:
        return crew
    from modelseal.sealing.memory import available_memory, fit_processes, need_memory

    need = need_memory(network, recipe)
    available = available_memory(device_of(network.network))
    fitting = fit_processes(count, need=need, available=available)
    if fitting < count:
        complain(
            f"{fitting} of {count} processes are used, for which there is memory: each needs about "
            f"{need / 1e9:.1f} GB"
        )
    return hire(fitting, None)


@contextmanager
def resumable(logistics: "Logistics") -> Iterator[None]:
    """Tells whoever interrupts the work, or whose sealing fails, what is kept of it, if anything.

    Raises:
        KeyboardInterrupt: It came; its text, if it has one, is for the user.
        SealingError: It came.
    """
    from modelseal.sealing.keeping import count_kept

    try:
        yield
    except (KeyboardInterrupt, SealingError) as error:
        if logistics.folder is None or not count_kept(logistics.folder):
            raise
        if isinstance(error, SealingError):
            raise SealingError(f"{error}; the candidates stay in {logistics.folder}") from error
        raise KeyboardInterrupt(
            "interrupted; the same command goes on with the candidates that are kept in "
            f"{logistics.folder}"
        ) from error


def check_enough(found: "Fingerprint", *, samples: int, minutes: float | None) -> None:
    """Makes sure that a time limit left enough candidates.

    Raises:
        SealingError: It did not.
    """
    if minutes is not None and len(found) < samples:
        raise SealingError(
            f"{samples} samples were wanted, but {minutes:g} minutes gave {len(found)} accepted "
            "candidates"
        )


def finish(
    fingerprint: "Fingerprint",
    output: Path,
    logistics: "Logistics",
    *,
    destination: "Destination | None" = None,
) -> None:
    """Writes the result, and removes the pieces that it was made from.

    Args:
        fingerprint: The result.
        output: The file to be written.
        logistics: Where the pieces are kept.
        destination: How it is written; by default plainly, without a ledger.

    Raises:
        BadFileError: The file cannot be written, or a piece not be removed.
    """
    from modelseal.cli.destination import Destination
    from modelseal.sealing.keeping import clear

    (destination or Destination(path=output)).write(fingerprint)
    if logistics.folder is not None:
        clear(logistics.folder)
