import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import sealed
from typer.main import get_command

from modelseal.cli import app as program
from modelseal.cli import options
from modelseal.outputs.answers import Kind
from modelseal.sealing.methods import METHODS

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
VERBS = {
    *("seal", "verify", "inspect", "generate", "select", "evaluate", "report"),
    *("reproduce", "convert", "keygen", "encrypt", "decrypt", "sign", "commit", "reveal"),
    *("recheck", "enroll"),
}


def test_the_version_is_that_of_the_package(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"modelseal {version('modelseal')}\n")


def test_the_help_names_every_verb(run):
    result = run("--help")
    assert result.exit_code == 0
    assert {word for word in result.stdout.split() if word in VERBS} == VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(run, verb):
    for option in ("--help", "-h"):
        result = run(verb, option)
        assert result.exit_code == 0
        assert "Usage:" in result.stdout


@pytest.mark.parametrize("verb", sorted(VERBS - {"generate"}))
def test_the_docs_describe_every_option_of_a_verb_with_its_default(verb):
    text = DOCS.read_text(encoding="utf-8").replace("generate and select", "select")
    section = text.split(f"\n## {verb}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    known = [
        each for each in get_command(program.app).commands[verb].params if each.opts[0][0] == "-"
    ]
    assert len(rows) == len(known)
    for option, row in zip(known, rows, strict=True):
        assert all(f"`{name}" in row or f"{name} " in row for name in option.opts)
        if not option.required and option.default not in (None, False):
            assert str(getattr(option.default, "value", option.default)) in row


def test_generate_takes_the_options_of_seal_but_for_those_of_choosing_and_the_power():
    commands = get_command(program.app).commands
    names = {verb: {each.name for each in commands[verb].params} for verb in ("seal", "generate")}
    assert names["seal"] - names["generate"] == {
        *("samples", "rule", "power", "per_check", "neighbours")
    }
    assert names["generate"] < names["seal"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bogus"], "no such option: --bogus (see modelseal --help)"),
        (["nosuch"], "no such command 'nosuch' (see modelseal --help)"),
        (["inspect"], "inspect: missing argument 'FINGERPRINT' (see modelseal inspect --help)"),
        (
            ["keygen", "-o"],
            "keygen: option '-o' requires an argument (see modelseal keygen --help)",
        ),
        (
            ["inspect", "a", "https://me:hunter2@host/"],
            "inspect: got unexpected extra argument(s) (",
        ),
        (
            ["keygen", "-o", "k", "--for", "x"],
            "keygen: invalid value for '--for': 'x' is not one of 'encryption', 'signing' (see",
        ),
        (["verify", "a", "b", "--retries", "x"], "verify: invalid value for '--retries': "),
        (["seal", "--neighbour", "1"], "seal: no such option: --neighbour"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(run, arguments, sentence):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"modelseal: {sentence}")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_no_argument_at_all_shows_the_help(run):
    result = run()
    assert result.exit_code == 2
    assert "Usage: modelseal" in result.stdout + result.stderr


def test_options_offer_what_the_library_has():
    (method,) = options.MethodOption.__metadata__
    assert set(method.help.split(": ")[1].split(", ")[:-1]) == set(METHODS.names())
    kinds = {one.name: one.value for one in options.Shows}
    assert kinds == {one.name: one.value for one in Kind if one is not Kind.LABELS}
    assert sealed.origin(seed=options.LARGEST_SEED).seed == 2**63 - 1


def test_nothing_heavy_is_imported_before_it_is_needed(start):
    heavy = "{'torch', 'numpy', 'pydantic', 'jaxtyping', 'httpx2', 'safetensors', 'PIL'}"
    code = f"import sys, modelseal.cli.app; print({heavy} & set(sys.modules))"
    out, _ = start(program=code).communicate(timeout=300)
    assert out == "set()\n"


def test_the_program_ends_with_the_verb_s_exit_code(seal_file, monkeypatch):
    seal_file(wrong=[0, 1, 2])
    monkeypatch.setattr(sys, "argv", ["modelseal", "verify", "out.seal", "answers.jsonl"])
    with pytest.raises(SystemExit, match=r"^1$"):
        program.main()


@pytest.mark.parametrize("place", ["modelseal.verify", "modelseal.cli.app.app"])
def test_a_bug_shows_its_traceback_and_is_never_taken_for_tampering(
    seal_file, monkeypatch, capsys, place
):
    def fail(*_, **__):
        raise ZeroDivisionError("a bug")

    seal_file()
    monkeypatch.setattr(place, fail)
    monkeypatch.setattr(sys, "argv", ["modelseal", "verify", "out.seal", "answers.jsonl"])
    with pytest.raises(SystemExit, match=r"^70$"):
        program.main()
    assert "ZeroDivisionError: a bug" in capsys.readouterr().err


def test_the_exit_code_holds_where_standard_output_is_closed(seal_file, monkeypatch):
    seal_file(wrong=[0, 1, 2])
    monkeypatch.setattr(sys, "argv", ["modelseal", "verify", "out.seal", "answers.jsonl"])
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit, match=r"^1$"):
        program.main()


@pytest.mark.parametrize("arguments", [("verify", "--bogus"), ("verify", "no.seal", "no.onnx")])
def test_a_fault_that_cannot_be_told_is_never_taken_for_tampering(folder, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", "from modelseal.cli.app import main; main()", *arguments]
    ended = subprocess.run(command, stderr=writer, stdout=writer, check=False, timeout=300)
    os.close(writer)
    assert ended.returncode not in {0, 1}
