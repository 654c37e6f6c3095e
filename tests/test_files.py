import os
from pathlib import Path

import pytest
from refusals import refuses

from modelseal.errors import BadFileError
from modelseal.files import read_bytes, write_atomically, write_new


@pytest.mark.parametrize("before", [None, b"old"], ids=["new", "replaced"])
def test_the_file_holds_exactly_the_bytes_and_nothing_lies_beside_it(tmp_path, before):
    path = tmp_path / "a.seal"
    if before is not None:
        path.write_bytes(before)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("No more"), OSError(28, "No space left on device")]
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, error):
    def fail(*arguments):
        raise error

    path = tmp_path / "a.seal"
    path.write_bytes(b"old")
    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    wanted = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else BadFileError
    with pytest.raises(wanted, match=r"No (more|space left on device)$"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.seal"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)


def test_a_new_file_and_its_temporary_one_are_for_their_owner_alone(tmp_path, monkeypatch):
    modes = []
    fsync = os.fsync

    def look(descriptor):
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(tmp_path / "a.seal", b"new")
    assert [*modes, (tmp_path / "a.seal").stat().st_mode & 0o777] == [0o600, 0o600]


def test_what_a_link_points_to_is_replaced_and_the_link_stays(tmp_path):
    target, link = tmp_path / "folder" / "a.seal", tmp_path / "link.seal"
    target.parent.mkdir()
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["missing/a.seal", "", "a\0b"])
def test_what_cannot_be_written_is_one_sentence(tmp_path, name):
    with refuses(BadFileError, file=tmp_path / name):
        write_atomically(tmp_path / name, b"new")
    with refuses(BadFileError, file=tmp_path / name):
        write_new(tmp_path / name, b"new")


def test_a_device_is_never_replaced():
    with refuses(BadFileError, file=os.devnull):
        write_atomically(Path(os.devnull), b"new")
    assert Path(os.devnull).is_char_device()


def test_a_new_file_takes_the_place_of_nothing_and_is_for_its_owner_alone(tmp_path):
    write_new(tmp_path / "a", b"one")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "b")
    for name in ("a", "link"):
        with refuses(BadFileError, file=tmp_path / name):
            write_new(tmp_path / name, b"two")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_new_file_that_could_not_be_written_whole_is_not_left_behind(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with refuses(BadFileError, file=tmp_path / "a"):
        write_new(tmp_path / "a", b"one")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_read_up_to_its_limit_and_not_a_byte_beyond(tmp_path):
    (tmp_path / "a").write_bytes(bytes(10))
    assert read_bytes(tmp_path / "a", most=10) == bytes(10)
    with refuses(BadFileError, file=tmp_path / "a"):
        read_bytes(tmp_path / "a", most=9)


@pytest.mark.parametrize("name", ["missing", "", "a\0b"])
def test_what_is_no_file_is_one_sentence(tmp_path, name):
    with refuses(BadFileError, file=tmp_path / name):
        read_bytes(tmp_path / name, most=10)
