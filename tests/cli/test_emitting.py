import json
import os
from pathlib import Path

import pytest

from modelseal.cli.fingerprint_files import check_document, check_output, emit, is_same
from modelseal.errors import BadFileError


def test_a_new_file_and_an_old_one_can_be_written(folder):
    (folder / "old").write_text("", encoding="utf-8")
    for name in ("old", "new", folder / "new"):
        check_output(Path(name), inputs=[Path("missing"), folder / "other"])
    assert [file.name for file in folder.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing/x", "no folder missing"),
        ("file/x", "(no folder file|Not a directory)"),
        ("inner", "got something else"),
        ("file", "is read as well"),
        ("link", "is read as well"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_work(folder, path, problem):
    (folder / "inner").mkdir()
    (folder / "file").write_text("", encoding="utf-8")
    (folder / "link").symlink_to("file")
    with pytest.raises(BadFileError, match=problem):
        check_output(Path(path), inputs=[Path("other"), folder / "file"])


def test_a_folder_without_permission_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BadFileError, match=r"new: .* is write-protected"):
        check_output(folder / "new", inputs=[])


def test_no_document_and_standard_output_can_always_be_written():
    check_document(None, inputs=[])
    check_document(Path("-"), inputs=[])


def test_the_file_of_a_document_is_checked(folder):
    with pytest.raises(BadFileError, match="no folder missing"):
        check_document(Path("missing/x.json"), inputs=[])
    (folder / "out.seal").write_text("", encoding="utf-8")
    with pytest.raises(BadFileError, match="is read as well"):
        check_document(Path("out.seal"), inputs=[folder / "out.seal"])


def test_a_file_is_the_same_under_each_of_its_paths_though_it_is_not_there_yet(folder):
    (folder / "a").write_text("", encoding="utf-8")
    assert is_same(folder / "a", Path("a"))
    assert not is_same(folder / "a", folder / "b")
    assert is_same(folder / "b", folder / "x" / ".." / "b")


def test_a_document_comes_out_the_same_on_standard_output_and_in_a_file(folder, capsys):
    document = {"b": [1, None], "a": {"d": "ä[bold]\x1b", "c": 0.5}}
    emit(document, Path("-"))
    emit(dict(reversed(document.items())), folder / "x.json")
    text = capsys.readouterr().out
    assert (folder / "x.json").read_text(encoding="utf-8") == text
    assert json.loads(text) == document
    assert text.index('"a"') < text.index('"b"')
    assert text.isascii()


def test_a_number_that_json_lacks_is_never_written(folder):
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit({"a": float("inf")}, folder / "x.json")
    assert list(folder.iterdir()) == []
