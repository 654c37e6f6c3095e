import json
import os
import sys
from pathlib import Path

import pytest
import sealed

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.codec import file_digest
from modelseal.verification import ledger
from modelseal.verification.ledger import ledger_of, open_ledger, read_ledger

MADE = sealed.fingerprint(count=6)
OPENING = {
    "schema": "modelseal.ledger/1",
    "fingerprint": file_digest(MADE),
    "samples": 6,
    "per_check": 2,
}
ENTRY = {"check": "0" * 16, "time": "2026-11-23T10:00:00Z", "endpoint": "http://a", "samples": [4]}


def write_lines(path, *lines, end="\n"):
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + end)


def test_the_ledger_is_beside_the_fingerprint(tmp_path):
    assert ledger_of(tmp_path / "out.seal") == tmp_path / "out.seal.ledger"


def test_a_new_ledger_says_what_it_is_of_and_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "a.ledger"
    open_ledger(path, MADE, per_check=2)
    assert json.loads(path.read_text()) == OPENING
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_ledger(path).entries == ()


def test_a_ledger_is_never_begun_twice(tmp_path):
    open_ledger(tmp_path / "a", MADE, per_check=2)
    with pytest.raises(BadFileError, match="a new ledger was wanted, but there is one already"):
        open_ledger(tmp_path / "a", MADE, per_check=3)
    assert read_ledger(tmp_path / "a").opening.per_check == 2


def test_the_name_of_a_new_ledger_is_on_the_disk_before_anybody_else_may_write(
    tmp_path, monkeypatch
):
    synced = []
    fsync = os.fsync

    def note(file):
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    open_ledger(tmp_path / "a", MADE, per_check=None)
    assert synced == [str(tmp_path / "a"), str(tmp_path)]


@pytest.mark.parametrize("count", [0, -1, 7])
def test_a_check_takes_no_more_samples_than_there_are(tmp_path, count):
    with pytest.raises(InvalidArgumentError, match="1 to 6 samples for each check were wanted"):
        open_ledger(tmp_path / "a", MADE, per_check=count)
    assert not (tmp_path / "a").exists()


def test_a_line_that_a_crash_left_unfinished_stands_for_nothing(tmp_path):
    write_lines(tmp_path / "a", OPENING, ENTRY, json.dumps(ENTRY)[:40], end="")
    assert list(read_ledger(tmp_path / "a").uses) == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["", OPENING], "line 1: "),
        (["{}"], "line 1: schema: is missing"),
        ([OPENING | {"schema": "modelseal.ledger/2"}], "line 1: schema: "),
        ([OPENING | {"per_check": 0}], "line 1: per_check: "),
        ([OPENING | {"more": 1}], "line 1: more: unknown key"),
        ([OPENING, "half a li", ENTRY], "line 2: "),
        ([OPENING, ENTRY, ENTRY | {"samples": []}], "line 3: samples: "),
        ([OPENING, ENTRY | {"samples": ["4"]}], r"line 2: samples\[0\]: "),
        ([OPENING, ENTRY | {"samples": [6]}], r"line 2\.samples: each of 6 samples was wanted"),
        ([OPENING, ENTRY | {"samples": [-1]}], r"line 2\.samples: each of 6 samples was wanted"),
        ([OPENING, ENTRY | {"samples": [1, 1]}], r"line 2\.samples: each of 6 samples was wanted"),
    ],
)
def test_what_is_no_ledger_is_refused_with_its_line(tmp_path, lines, problem):
    write_lines(tmp_path / "a", *lines)
    with pytest.raises(BadFileError, match=rf"/a: {problem}"):
        read_ledger(tmp_path / "a")


@pytest.mark.parametrize(("name", "problem"), [("missing", "No such file"), (".", "directory")])
def test_what_cannot_be_read_is_one_sentence(tmp_path, name, problem):
    with pytest.raises(BadFileError, match=f"cannot be kept as a ledger: .*{problem}"):
        read_ledger(tmp_path / name)


def test_an_empty_file_is_no_ledger(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(BadFileError, match="a ledger was wanted, but it is empty"):
        read_ledger(tmp_path / "a")


def test_a_ledger_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    open_ledger(tmp_path / "a", MADE, per_check=2)
    monkeypatch.setattr(ledger, "MAX_BYTES", 10)
    with pytest.raises(BadFileError, match="at most 10 bytes were wanted"):
        read_ledger(tmp_path / "a")


def test_a_system_without_locks_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(BadFileError, match="cannot be kept as a ledger: there is no flock here"):
        open_ledger(tmp_path / "a", MADE, per_check=2)
