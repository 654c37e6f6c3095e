from pathlib import Path

import numpy as np
import pytest
from pieces import build_task, make_first_only

from modelseal.errors import BadFileError, EvaluationError, SealingError
from modelseal.parallel.workers import Processes, Sequential
from modelseal.sealing import checkpoints
from modelseal.sealing.checkpoints import Logistics, Piece, count_kept, gather
from modelseal.types import ignore


def tasks(count=4):
    """Pieces of two inputs each, the last one of one."""
    sizes = [2] * (count - 1) + [1]
    return [
        build_task(number=number, naturals=np.full((size, 2), number, np.uint8))
        for number, size in enumerate(sizes)
    ]


def make(task):
    """Adds ten to every value."""
    return Piece(samples=task.naturals + np.uint8(10), work=2.0 * len(task.naturals))


def backwards(perform, tasks):
    """Gives the last result first."""
    for task in reversed(tasks):
        yield task, perform(task)


def collect(pieces):
    return {number: piece.samples.tolist() for number, piece in pieces.items()}


@pytest.fixture
def noting():
    """Makes pieces and remembers which."""
    made = []

    def perform(task):
        made.append(task.number)
        return make(task)

    return made, perform


def test_pieces_come_in_their_order_whatever_the_workers_do(noting):
    made, perform = noting
    whole = collect(gather(tasks(), make, logistics=Logistics(), progress=ignore))
    assert whole == {task.number: make(task).samples.tolist() for task in tasks()}
    logistics = Logistics(workers=backwards, source=Path("model.toml"))
    found = gather(tasks(), perform, logistics=logistics, progress=ignore)
    assert made == [3, 2, 1, 0]
    assert list(found) == [0, 1, 2, 3]
    assert collect(found) == whole


def test_what_is_kept_is_never_made_again_and_the_progress_says_so(noting, tmp_path):
    made, perform = noting
    told = []
    logistics = Logistics(folder=tmp_path / "part")
    gather(tasks()[:2], make, logistics=logistics, progress=ignore)
    found = gather(tasks(), perform, logistics=logistics, progress=lambda *news: told.append(news))
    assert made == [2, 3]
    assert told == [("generate", 4, 7), ("generate", 6, 7), ("generate", 7, 7)]
    again = gather(tasks(), perform, logistics=logistics, progress=ignore)
    assert made == [2, 3]
    assert collect(again) == collect(found)
    assert [piece.work for piece in again.values()] == [4.0, 4.0, 4.0, 2.0]


def test_each_piece_is_kept_before_the_next_one_begins(tmp_path):
    folder = tmp_path / "part"
    seen = []

    def perform(task):
        seen.append(count_kept(folder))
        if task.number == 2:
            raise KeyboardInterrupt
        return make(task)

    # KeyboardInterrupt has no text.
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        gather(tasks(), perform, logistics=Logistics(folder=folder), progress=ignore)
    assert seen == [0, 1, 2]
    assert count_kept(folder) == 2


class Clock:
    """A second passes whenever it is asked."""

    def __init__(self):
        self.now = 50.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (1.0, 1), (2.0, 2), (2.5, 3), (99.0, 4)])
def test_after_the_time_limit_no_piece_is_begun_and_there_is_always_one(
    noting, monkeypatch, seconds, count
):
    made, perform = noting
    monkeypatch.setattr(checkpoints, "monotonic", Clock())
    found = gather(tasks(), perform, logistics=Logistics(seconds=seconds), progress=ignore)
    assert made == list(found) == list(range(count))


def test_with_a_time_limit_a_run_after_the_other_makes_all(noting, tmp_path):
    made, perform = noting
    logistics = Logistics(seconds=1e-9, folder=tmp_path / "part")
    counts = [len(gather(tasks(), perform, logistics=logistics, progress=ignore)) for _ in range(5)]
    assert counts == [1, 2, 3, 4, 4]
    assert made == [0, 1, 2, 3]


def test_the_time_limit_stops_processes_at_their_work(tmp_path):
    logistics = Logistics(workers=Processes(2), source=tmp_path, seconds=1e-9)
    assert len(gather(tasks(), make_first_only, logistics=logistics, progress=ignore)) == 1


def fail(task):
    """Raises what no network raises."""
    raise EvaluationError(f"{task}: begun 3 times, but its process died")


@pytest.mark.parametrize("workers", [Sequential(), None])
def test_lost_workers_are_an_error_of_sealing_that_names_the_piece(workers):
    logistics = Logistics(workers=workers) if workers else Logistics()
    problem = r"^piece 0 of the candidates: begun 3 times, but its process died$"
    with pytest.raises(SealingError, match=problem):
        gather(tasks(), fail, logistics=logistics, progress=ignore)


def test_a_piece_that_cannot_be_kept_stops_the_work(noting, tmp_path):
    made, perform = noting
    logistics = Logistics(folder=tmp_path / "missing" / "part")
    with pytest.raises(BadFileError, match="part: cannot be written to: No such file"):
        gather(tasks(), perform, logistics=logistics, progress=ignore)
    assert made == [0]
