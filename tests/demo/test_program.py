import io
import json

import program
import pytest
from program import ask, modelseal
from rich.console import Console

EVIDENCE = [
    {"sample": 2, "finding": "agrees", "expected": "7", "shown": "7"},
    {"sample": 0, "finding": "differs", "expected": "3", "shown": "8"},
    {"sample": 1, "finding": "unclear", "expected": "1", "shown": ""},
]
VERDICT = {"outcome": "tampered", "samples": 3, "evidence": EVIDENCE}


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def fake_program(tmp_path, monkeypatch):
    """Stands for the installed program: says two lines, writes a verdict, ends with 1."""
    script = tmp_path / "modelseal"
    verdict = json.dumps(VERDICT)
    script.write_text(
        f"#!/bin/sh\necho 'TAMPERED: [why]'\necho more\nfor last; do :; done\n"
        f'case "$last" in *.json) echo \'{verdict}\' > "$last";; esac\nexit 1\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(program, "PROGRAM", script)


@pytest.mark.usefixtures("fake_program")
def test_the_command_and_the_first_line_of_what_it_said_are_shown(console):
    assert modelseal("seal", "my model.toml", console=console) == 1
    assert console.file.getvalue() == "$ modelseal seal 'my model.toml'\nTAMPERED: [why]\n"


@pytest.mark.usefixtures("fake_program")
def test_a_row_holds_what_the_program_wrote_and_ended_with(tmp_path, console):
    url = "http://127.0.0.1:1/v2/models/digits"
    row = ask(tmp_path / "a.seal", url, name="copy", accuracy=0.5, console=console)
    assert (row.name, row.accuracy, row.exit_code, row.outcome) == ("copy", 0.5, 1, "tampered")
    assert row.seconds > 0
    assert f"verify {tmp_path / 'a.seal'} {url} --all --json" in console.file.getvalue()


@pytest.mark.usefixtures("fake_program")
def test_an_old_verdict_is_never_taken_for_a_new_one(tmp_path, console, monkeypatch):
    (tmp_path / "verdict.json").write_text(json.dumps(VERDICT))
    (tmp_path / "modelseal").write_text("#!/bin/sh\nexit 2\n")
    with pytest.raises(FileNotFoundError, match="verdict"):
        ask(tmp_path / "a.seal", "http://", name="copy", accuracy=0.5, console=console)
