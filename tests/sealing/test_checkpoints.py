"""Pieces of the candidates: where they are made, and how they are kept and found again."""

import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from crafted import make, recipe, timeless
from pieces import build_task, make_first_only, recipe_of_two, write_source
from refusals import refuses

from modelseal.calibration.precision import parse_precisions
from modelseal.calibration.variants import Float64, Nnpack
from modelseal.domain import Domain
from modelseal.errors import BadFileError
from modelseal.models.loader import load_model
from modelseal.outputs.specs import parse_spec
from modelseal.parallel.workers import Processes, Sequential
from modelseal.runtime.inference import counting
from modelseal.sealing import candidates, checkpoints
from modelseal.sealing.checkpoints import (
    Piece,
    check_checkpoints,
    count_checkpoints,
    cut,
    discard_checkpoints,
    load_piece,
    make_pieces,
    piece_size,
    save_piece,
)
from modelseal.sealing.methods import make_boundary

FEW = (Nnpack(), Float64())
SAMPLES = np.array([[5, 6], [7, 8]], np.uint8)


def tasks(count=4):
    """Pieces of two inputs each, the last one of one."""
    sizes = [2] * (count - 1) + [1]
    return [
        build_task(number=number, naturals=np.full((size, 2), number, np.uint8))
        for number, size in enumerate(sizes)
    ]


def add_ten(task):
    """Makes a piece by adding ten to every value."""
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
        return add_ten(task)

    return made, perform


@pytest.fixture
def folder(tmp_path):
    """Where pieces are kept; not there yet."""
    return tmp_path / "out.seal.part"


@pytest.fixture
def task():
    return build_task()


def keep(folder, task, samples=SAMPLES):
    """Keeps a piece, and gives its file."""
    save_piece(folder, task, Piece(samples=samples, work=12.5))
    return folder / f"{task.key}.piece"


def test_pieces_come_in_their_order_whatever_the_workers_do(noting):
    made, perform = noting
    whole = collect(make_pieces(tasks(), add_ten))
    assert whole == {task.number: add_ten(task).samples.tolist() for task in tasks()}
    assert collect(make_pieces(tasks(), perform, workers=backwards)) == whole
    assert made == [3, 2, 1, 0]


def test_only_pieces_that_are_not_kept_are_made_and_all_are_told_of(noting, folder):
    made, perform = noting
    make_pieces(tasks()[:2], add_ten, checkpoints=folder)
    told = []
    found = make_pieces(
        tasks(), perform, checkpoints=folder, progress=lambda *news: told.append(news)
    )
    assert made == [2, 3]
    assert told == [("generate", 4, 7), ("generate", 6, 7), ("generate", 7, 7)]
    again = make_pieces(tasks(), perform, checkpoints=folder)
    assert made == [2, 3]
    assert collect(again) == collect(found)
    assert [piece.work for piece in again.values()] == [4.0, 4.0, 4.0, 2.0]


def test_each_piece_is_kept_before_the_next_one_begins(folder):
    seen = []

    def perform(task):
        seen.append(count_checkpoints(folder))
        if task.number == 2:
            raise KeyboardInterrupt
        return add_ten(task)

    with pytest.raises(KeyboardInterrupt):
        make_pieces(tasks(), perform, checkpoints=folder)
    assert seen == [0, 1, 2]
    assert count_checkpoints(folder) == 2


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (1.0, 1), (2.0, 2), (2.5, 3), (99.0, 4)])
def test_after_the_time_limit_no_piece_is_begun_and_there_is_always_one(
    noting, monkeypatch, seconds, count
):
    made, perform = noting
    clock = iter(range(50, 99))
    monkeypatch.setattr(checkpoints, "monotonic", lambda: float(next(clock)))
    found = make_pieces(tasks(), perform, seconds=seconds)
    assert made == list(found) == list(range(count))


def test_the_time_limit_stops_processes_at_their_work():
    assert len(make_pieces(tasks(), make_first_only, workers=Processes(2), seconds=1e-9)) == 1


@pytest.mark.parametrize(
    ("shape", "size"),
    [((2,), 32), ((3, 32, 32), 32), ((3, 128, 128), 21), ((3, 224, 224), 6), ((3, 4000, 4000), 2)],
)
def test_a_piece_is_smaller_where_inputs_are_large(shape, size):
    domain = Domain(shape=shape)
    assert piece_size(domain) == size
    pieces = cut(np.arange(2 * size + 1), domain)
    assert [len(rows) for rows in pieces] == [size, size, 1]
    assert np.array_equal(np.concatenate(pieces), np.arange(2 * size + 1))


def test_a_piece_is_found_again_whatever_its_place_and_where_it_is_made(folder, task):
    keep(folder, task)
    places = ({"number": 7}, {"rows": np.array([8, 9])}, {"source": Path("model.toml")})
    for place in places:
        assert load_piece(folder, build_task(**place)) is not None
    assert {build_task(**place).key for place in places} == {task.key}
    assert str(build_task(number=4)) == "piece 4 of the candidates"


@pytest.mark.parametrize(
    "changes",
    [
        {"naturals": np.array([[1, 2], [3, 5]], np.uint8)},
        {"naturals": np.array([[1, 2]], np.uint8)},
        {"weights": "sha256:" + "1" * 64},
        {"device": "cuda:0"},
        {"threads": 2},
        *(
            {"recipe": recipe_of_two(**settings)}
            for settings in (
                {"domain": Domain(shape=(2,), bounds=(0.0, 2.0))},
                {"seed": 1},
                {"method": "natural"},
                {"spec": parse_spec("topk:2")},
                {"tied": 4},
                {"margin": 0.1},
                {"factor": 4.0},
                {"variants": (Nnpack(),)},
                {"variants": FEW},
                {"allowed": parse_precisions("fp16")},
            )
        ),
    ],
    ids=str,
)
def test_whatever_its_samples_depend_on_makes_another_piece(changes):
    assert build_task(**changes).key != build_task().key


def test_a_kept_piece_is_found_as_it_was_and_is_its_owner_s_alone(folder, task):
    assert load_piece(folder, task) is None
    file = keep(folder, task)
    found = load_piece(folder, task)
    assert np.array_equal(found.samples, SAMPLES)
    assert found.work == 12.5
    assert count_checkpoints(folder) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no such file",
        safetensors.numpy.save({"samples": SAMPLES}),
        safetensors.numpy.save({"work": np.ones(1)}),
        safetensors.numpy.save({"samples": SAMPLES, "work": np.ones(2)}),
        safetensors.numpy.save({"samples": SAMPLES[:1], "work": np.ones(1)}),
        safetensors.numpy.save({"samples": SAMPLES.astype(np.float32), "work": np.ones(1)}),
        safetensors.numpy.save({"samples": SAMPLES[:, :1], "work": np.ones(1)}),
        safetensors.numpy.save({"samples": np.array(3), "work": np.ones(1)}),
    ],
)
def test_what_cannot_be_used_is_as_if_it_were_not_there_and_is_replaced(folder, task, content):
    keep(folder, task).write_bytes(content)
    assert load_piece(folder, task) is None
    keep(folder, task)
    assert load_piece(folder, task) is not None


def test_discarding_removes_all_pieces_and_leaves_what_somebody_else_put_there(folder, task):
    keep(folder, task)
    keep(folder, build_task(threads=2))
    (folder / ".0123456789abcdef.tmp").touch()
    discard_checkpoints(folder)
    assert not folder.exists()
    discard_checkpoints(folder)
    keep(folder, task)
    (folder / "precious.txt").write_text("mine")
    discard_checkpoints(folder)
    assert [file.name for file in folder.iterdir()] == ["precious.txt"]


def test_a_folder_that_cannot_be_used_is_refused(folder, task):
    check_checkpoints(folder)
    file = keep(folder, task)
    check_checkpoints(folder)
    file.unlink()
    file.mkdir()
    with refuses(BadFileError):
        discard_checkpoints(folder)
    file.rmdir()
    folder.rmdir()
    folder.write_text("a file")
    with refuses(BadFileError):
        check_checkpoints(folder)
    with refuses(BadFileError):
        keep(folder, task)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A model.toml; twelve candidates are three pieces."""
    monkeypatch.setattr(checkpoints, "LARGEST", 5)
    candidates._open_model.cache_clear()
    return write_source(tmp_path)


@pytest.fixture
def craft(source, naturals):
    """Makes twelve candidates in some way."""

    def build(model=None, **settings):
        model = model or load_model(source)
        usual = {"variants": FEW, "tied": 4, "seed": 3, "count": 12}
        return make(model, naturals(model.domain), **{**usual, **settings})

    return build


@pytest.mark.parametrize("spec", ["top1", "probs:4"])
def test_processes_make_the_same_bytes_as_this_one(craft, spec):
    here = craft(spec=spec)
    assert len(here) > 1
    for workers in (Sequential(), Processes(2)):
        assert timeless(craft(workers=workers, spec=spec)) == timeless(here)


def test_a_cluster_makes_the_same_bytes_as_this_process(craft, cluster):
    assert timeless(craft(workers=cluster)) == timeless(craft())


def test_other_weights_by_now_are_told_by_the_process_that_finds_them(source, craft):
    model = load_model(source)
    write_source(source.parent, seed=1)
    with pytest.raises(BadFileError, match=r"model\.toml: "):
        craft(model, workers=Processes(1))


def test_the_work_is_that_of_making_for_each_accepted_candidate(source, craft, naturals):
    model, found = load_model(source), craft()
    codes, own = naturals(model.domain), recipe(model, variants=FEW, tied=4, seed=3)
    with counting(model.network) as counter:
        rows = np.random.default_rng(3).permutation(16)[:12]
        for part in (rows[:5], rows[5:10], rows[10:]):
            starts = torch.from_numpy(model.domain.decode(codes[part]))
            make_boundary(model.network, starts, recipe=own)
    assert counter.work > 0
    assert found.origin.parameters["work"] == round(counter.work / len(found), 1)
