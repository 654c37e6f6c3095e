import stat
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from pieces import build_task

from modelseal.domain import Domain
from modelseal.errors import BadFileError
from modelseal.sealing.checkpoints import (
    Piece,
    check_folder,
    clear,
    count_kept,
    file_of,
    find_kept,
    keep,
)

SAMPLES = np.array([[5, 6], [7, 8]], np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Where pieces are kept; not there yet."""
    return tmp_path / "out.seal.part"


@pytest.fixture
def task():
    return build_task()


def keep_one(folder, task, samples=SAMPLES):
    keep(folder, task, Piece(samples=samples, work=12.5))


def test_a_kept_piece_is_found_as_it_was(folder, task):
    assert find_kept(folder, task) is None
    keep_one(folder, task)
    found = find_kept(folder, task)
    assert np.array_equal(found.samples, SAMPLES)
    assert found.work == 12.5
    assert count_kept(folder) == 1


def test_samples_without_levels_are_found_to_the_last_bit(folder):
    task = build_task(
        domain=Domain(shape=(2,), levels=0), naturals=np.array([[0.1, 0.2]], np.float32)
    )
    samples = np.array([[1 / 3, 0.7]], np.float32)
    keep_one(folder, task, samples)
    assert find_kept(folder, task).samples.tobytes() == samples.tobytes()


def test_a_piece_of_other_settings_is_not_found(folder, task):
    keep_one(folder, task)
    assert find_kept(folder, build_task(weights="sha256:" + "1" * 64)) is None


def test_only_the_owner_sees_the_samples(folder, task):
    keep_one(folder, task)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(folder, task).stat().st_mode) == 0o600


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
    keep_one(folder, task)
    file_of(folder, task).write_bytes(content)
    assert find_kept(folder, task) is None
    keep_one(folder, task)
    assert find_kept(folder, task) is not None


def test_a_level_that_does_not_exist_is_not_used(folder):
    task = build_task(domain=Domain(shape=(2,), levels=8), naturals=SAMPLES % 8)
    keep_one(folder, task, SAMPLES)
    assert find_kept(folder, task) is None
    keep_one(folder, task, SAMPLES - 1)
    assert find_kept(folder, task) is not None


def test_clearing_removes_pieces_of_all_settings_and_what_a_killed_run_left(folder, task):
    keep_one(folder, task)
    keep_one(folder, build_task(threads=2))
    (folder / ".0123456789abcdef.tmp").touch()
    clear(folder)
    assert not folder.exists()
    clear(folder)


def test_what_somebody_else_put_there_stays(folder, task):
    keep_one(folder, task)
    (folder / "precious.txt").write_text("mine")
    clear(folder)
    assert [file.name for file in folder.iterdir()] == ["precious.txt"]
    assert count_kept(folder) == 0


def test_something_else_of_the_folders_name_is_told_before_the_work(folder, task):
    check_folder(folder)
    folder.mkdir()
    check_folder(folder)
    folder.rmdir()
    folder.write_text("a file")
    with pytest.raises(BadFileError, match=r"part: a folder for unfinished work was wanted, but"):
        check_folder(folder)
    with pytest.raises(BadFileError, match=r"out\.seal\.part: cannot be written to: File exists$"):
        keep_one(folder, task)


def test_a_piece_that_cannot_be_removed_is_one_sentence(folder, task):
    keep_one(folder, task)
    file = file_of(folder, task)
    file.rename(file.with_suffix(".other"))
    file.mkdir()
    with pytest.raises(BadFileError, match=r"part: cannot be emptied: "):
        clear(folder)
    assert list(folder.iterdir())


def test_a_task_without_the_number_is_the_same_piece(folder, task):
    keep_one(folder, task)
    assert find_kept(folder, replace(task, number=9)) is not None
