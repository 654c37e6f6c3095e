"""What the page on CI and action.yml tell machines to do is done here, with recorded answers."""

import configparser
import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sealed
import yaml

from modelseal.endpoints.recorded import record

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "how-to" / "verify-in-ci-and-cron.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080/v2/models/NAME"
CODES = {"intact": 0, "tampered": 1, "undecided": 3}
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]


def blocks(language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path):
    """A folder with a fingerprint and recorded answers for every outcome."""
    made = sealed.fingerprint(count=4)
    made.save(tmp_path / "out.seal")
    answers = made.expected
    record(answers, tmp_path / "intact.jsonl")
    answers.labels[2] = (answers.labels[2] + 1) % made.classes
    record(answers, tmp_path / "tampered.jsonl")
    (tmp_path / "undecided.jsonl").write_text("")
    (tmp_path / "temporary").mkdir()
    return tmp_path


@pytest.fixture
def do(place):
    """Runs a program in that folder, where `modelseal` is this one."""
    (place / "bin").mkdir()
    program = place / "bin" / "modelseal"
    line = "from modelseal.cli.app import main; main()"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{line}" "$@"\n')
    program.chmod(0o755)
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(command, **environment):
        return subprocess.run(
            command,
            cwd=place,
            env={**os.environ, "PATH": path, "HOME": str(place), **environment},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("outcome", CODES)
def test_the_workflow_s_verification_writes_all_that_its_later_steps_upload(place, do, outcome):
    steps = yaml.safe_load(blocks("yaml")[0])["jobs"]["verify"]["steps"]
    (command,) = [each["run"] for each in steps if each.get("run", "").startswith("modelseal")]
    ended = do([*BASH, command], ENDPOINT=f"{outcome}.jsonl")
    assert (ended.returncode, ended.stdout) == (CODES[outcome], "")
    assert (place / "verdict.txt").read_text().startswith(outcome.upper())
    uploads = [each["with"] for each in steps if "with" in each and each.get("if") == "always()"]
    assert [each.get("sarif_file", each.get("path")) for each in uploads] == [
        "verdict.sarif",
        "verdict.*",
    ]
    assert {file.suffix for file in place.glob("verdict.*")} == {".txt", ".xml", ".sarif", ".html"}


def test_the_secret_of_the_workflow_is_decoded_to_the_fingerprint(place, do):
    (command,) = {
        each["run"].partition(" > ")[0]
        for block in blocks("yaml")
        for each in yaml.safe_load(block)["jobs"]["verify"]["steps"]
        if "base64" in each.get("run", "")
    }
    secret = do(["base64", "-w0", "out.seal"]).stdout
    do([*BASH, f"{command} > again.seal"], SEAL=secret)
    assert (place / "again.seal").read_bytes() == (place / "out.seal").read_bytes()


def test_the_job_for_gitlab_reports_the_file_that_it_writes(place, do):
    job = yaml.safe_load(blocks("yml")[0])["verify"]
    command = job["script"][-1]
    assert do([*BASH, command], ENDPOINT="tampered.jsonl").returncode == 1
    assert (place / job["artifacts"]["reports"]["junit"]).is_file()


def action():
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def run_step(do, name, known):
    """Runs a step of the action as a runner does, with the values of its expressions."""
    (step,) = [each for each in action()["runs"]["steps"] if each.get("name") == name]
    environment = {
        key: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], value)
        for key, value in step["env"].items()
    }
    assert "${{" not in step["run"]
    return do([*BASH, step["run"]], GITHUB_OUTPUT="output", **environment)


@pytest.mark.parametrize("outcome", [*CODES, "none"])
def test_the_action_tells_the_outcome_and_fails_unless_the_model_is_intact(place, do, outcome):
    (place / "verdicts").mkdir()
    (place / "verdicts" / "verdict.json").write_text("of an earlier run")
    known = {
        "inputs.fingerprint": "out.seal",
        "inputs.endpoint": f"{outcome}.jsonl",
        "inputs.folder": "verdicts",
    }
    ended = run_step(do, "Verify", known)
    assert ended.returncode == CODES.get(outcome, 2)
    told = (place / "output").read_text().splitlines()
    assert told == [f"outcome={outcome}", f"exit-code={ended.returncode}"]
    found = {file.name for file in (place / "verdicts").iterdir()}
    kinds = {"txt"} if outcome == "none" else {"txt", "json", "xml", "sarif", "html"}
    assert found == {f"verdict.{kind}" for kind in kinds}
    if outcome != "none":
        assert json.loads((place / "verdicts" / "verdict.json").read_text())["outcome"] == outcome


def test_an_input_of_the_action_is_never_a_command(place, do):
    evil = '"; touch stolen; echo "$(touch stolen)'
    known = {"inputs.fingerprint": evil, "inputs.endpoint": evil, "inputs.folder": "verdicts"}
    assert run_step(do, "Verify", known).returncode == 2
    assert not (place / "stolen").exists()


@pytest.mark.parametrize(
    ("version", "extras", "wanted"),
    [
        ("", None, "/action[report,grpc,sagemaker,crypto,onnx]"),
        ("0.1.0", None, "modelseal[report,grpc,sagemaker,crypto,onnx]==0.1.0"),
        ("", "", "/action[report]"),
        ("", "seal", "/action[report,seal]"),
    ],
)
def test_the_action_installs_what_it_holds_or_a_version_with_all_that_asks(
    place, do, version, extras, wanted
):
    program = place / "bin" / "python"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > installed\n')
    program.chmod(0o755)
    usual = action()["inputs"]["extras"]["default"]
    known = {
        "inputs.version": version,
        "inputs.extras": usual if extras is None else extras,
        "github.action_path": "/action",
    }
    assert run_step(do, "Install modelseal", known).returncode == 0
    arguments = ["-m", "pip", "install", "--quiet", wanted]
    assert (place / "installed").read_text().splitlines() == arguments


def test_the_action_s_inputs_and_outputs_are_those_of_the_page():
    described = set(
        re.findall(r"^\| `([\w-]+)` \| (?:required|that of|in the|`grpc)", PAGE, re.MULTILINE)
    )
    assert described == set(action()["inputs"])
    assert {key for key, each in action()["inputs"].items() if each.get("required")} == {
        "fingerprint",
        "endpoint",
    }
    for key, output in action()["outputs"].items():
        assert f"`{key}`" in PAGE
        assert output["value"] == f"${{{{ steps.verify.outputs.{key} }}}}"


def crontab():
    """The settings and the command of the crontab."""
    *settings, line = blocks("crontab")[0].splitlines()
    *when, command = line.split(" ", 5)
    assert all(re.fullmatch(r"\*|\d+", each) for each in when)
    # To cron a per cent sign is the end of a line.
    assert "%" not in command
    return dict(each.split("=") for each in settings), command


@pytest.mark.parametrize("outcome", CODES)
def test_the_crontab_is_silent_only_while_the_model_is_intact(do, outcome):
    settings, command = crontab()
    assert set(settings) == {"MAILTO", "PATH"}
    ended = do(["/bin/sh", "-c", command.replace(ADDRESS, f"{outcome}.jsonl")])
    if outcome == "intact":
        assert (ended.stdout, ended.stderr) == ("", "")
        return
    first, second, *_ = ended.stdout.splitlines()
    assert first == f"not known to be intact: exit code {CODES[outcome]}"
    assert second.startswith(outcome.upper())


def test_checks_from_cron_never_overlap_and_a_lock_is_not_taken_for_tampering(place, do):
    _, command = crontab()
    with (place / "modelseal.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (place / "verdict.txt").write_text("")
        ended = do(["/bin/sh", "-c", command.replace(ADDRESS, "intact.jsonl")])
    assert ended.stdout == "not known to be intact: exit code 75\n"


def test_the_units_of_systemd_verify_by_the_clock(do):
    service, timer = configparser.RawConfigParser(), configparser.RawConfigParser()
    for unit, text in zip((service, timer), blocks("ini"), strict=True):
        unit.read_string(text)
    assert service["Service"]["Type"] == "oneshot"
    command = service["Service"]["ExecStart"].replace("/opt/modelseal/bin/", "")
    command = command.replace("%h/", "").replace(ADDRESS, "tampered.jsonl")
    assert do(command.split()).returncode == 1
    assert timer["Timer"]["OnCalendar"] == "*-*-* 03:17"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.parametrize("outcome", CODES)
def test_the_fixture_lets_tests_run_only_on_an_intact_model(place, do, outcome):
    (block,) = blocks("python")
    fixture = block[block.index("@pytest.fixture") :]
    assert len(fixture.splitlines()) == 3
    (place / "test_model.py").write_text(
        f"{block.replace(ADDRESS, f'{outcome}.jsonl')}\ndef test_it(sealed_model):\n    pass\n"
    )
    ended = do([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_model.py"])
    if outcome == "intact":
        assert (ended.returncode, "1 passed" in ended.stdout) == (0, True)
    else:
        assert (ended.returncode, "1 error" in ended.stdout) == (1, True)
        assert outcome.upper() in ended.stdout
