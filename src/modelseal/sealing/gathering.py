"""Has pieces made, keeps each as soon as it is finished, and stops in time."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from time import monotonic
from typing import TypeAlias, cast

from modelseal.errors import EvaluationError, SealingError
from modelseal.sealing.keeping import find_kept, keep
from modelseal.sealing.logistics import Logistics
from modelseal.sealing.piecing import Piece, PieceTask
from modelseal.sealing.recipe import Progress

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
