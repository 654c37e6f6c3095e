from pathlib import Path

import pytest

from modelseal.errors import BadFileError
from modelseal.reports.build import check_folder, dump, publish

FILES = {"tables.json": dump(()), "report.md": b"one", "figures/a.png": b"dots"}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def content(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("exists", ["missing", "empty"])
def test_a_new_or_empty_folder_is_filled(tmp_path, source, exists):
    folder = tmp_path / "report"
    if exists == "empty":
        folder.mkdir()
    publish(folder, FILES, source=source)
    assert content(folder) == FILES
    assert sorted(tmp_path.iterdir()) == [folder, source]


def test_an_older_report_is_replaced_as_a_whole(tmp_path, source):
    folder = tmp_path / "report"
    publish(folder, {**FILES, "figures/old.svg": b"old"}, source=source)
    publish(folder, {**FILES, "report.md": b"two"}, source=source)
    assert content(folder) == {**FILES, "report.md": b"two"}
    assert sorted(tmp_path.iterdir()) == [folder, source]


@pytest.mark.parametrize(
    "foreign",
    [
        {"notes.txt": b"mine"},
        {**FILES, "notes.txt": b"mine"},
        {**FILES, "figures/notes.txt": b"mine"},
        {**FILES, "tables.json": b"{}"},
        {"report.md": b"mine"},
    ],
)
def test_a_folder_with_anything_of_somebody_else_is_left_alone(tmp_path, source, foreign):
    folder = tmp_path / "report"
    for name, data in foreign.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with pytest.raises(BadFileError, match="report: expected a new"):
        publish(folder, FILES, source=source)
    assert content(folder) == foreign


def test_a_file_is_no_folder(tmp_path, source):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(BadFileError, match="report: expected a new"):
        check_folder(tmp_path / "report", source=source)


@pytest.mark.parametrize("name", [".", "report", "a/../report"])
def test_a_report_never_goes_into_what_it_is_made_of(source, name):
    with pytest.raises(BadFileError, match=r"outside .*results"):
        check_folder(source / name, source=source)


def test_the_folder_above_must_be_there(tmp_path, source):
    with pytest.raises(BadFileError, match=r"there is no folder .*missing"):
        check_folder(tmp_path / "missing" / "report", source=source)


def test_the_folder_above_must_be_writable(tmp_path, source, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BadFileError, match="is write-protected"):
        check_folder(tmp_path / "report", source=source)


def test_a_name_that_no_file_system_takes_is_refused(tmp_path, source):
    with pytest.raises(BadFileError, match="cannot be written: "):
        check_folder(tmp_path / ("x" * 300), source=source)
    with pytest.raises(BadFileError, match=r"cannot be written: .*null"):
        check_folder(tmp_path / "a\0b", source=source)


def test_the_old_report_stays_if_the_new_one_cannot_be_written(tmp_path, source, monkeypatch):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", fail)
        with pytest.raises(BadFileError, match="No space left on device"):
            publish(folder, {"report.md": b"two"}, source=source)
    assert content(folder) == FILES
    assert sorted(tmp_path.iterdir()) == [folder, source]


def test_the_old_report_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path, source, monkeypatch
):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)
    rename = Path.rename

    def fail(self, target):
        if self.name.endswith(".new"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(BadFileError, match="Input/output error"):
        publish(folder, {**FILES, "report.md": b"two"}, source=source)
    assert content(folder) == FILES
    assert sorted(tmp_path.iterdir()) == [folder, source]


def test_an_old_report_that_cannot_come_back_is_not_thrown_away(tmp_path, source, monkeypatch):
    folder = tmp_path / "report"
    publish(folder, FILES, source=source)
    rename = Path.rename

    def fail(self, target):
        if self.name.endswith((".new", ".old")):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(BadFileError, match="Input/output error"):
        publish(folder, {**FILES, "report.md": b"two"}, source=source)
    (kept,) = (each for each in tmp_path.iterdir() if each != source)
    assert content(kept) == FILES
