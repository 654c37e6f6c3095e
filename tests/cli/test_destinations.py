import json
import os
from pathlib import Path

import pytest

from modelseal.cli.destinations import check_output, emit
from modelseal.errors import BadFileError


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
