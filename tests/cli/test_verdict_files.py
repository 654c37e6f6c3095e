import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from modelseal.cli.verdict_files import VerdictFiles
from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError

FORMS = ("--json", "--junit", "--sarif", "--html")
EVERY = [part for form in FORMS for part in (form, f"verdict.{form[2:]}")]
CODES = {"intact": 0, "tampered": 1, "undecided": 3}


@pytest.mark.parametrize(("wrong", "outcome"), [([], "intact"), ([1], "tampered")])
def test_every_form_says_the_same_beside_the_text(seal_file, folder, run, wrong, outcome):
    seal_file(wrong=wrong)
    result = run("verify", "out.seal", "answers.jsonl", *EVERY)
    assert result.exit_code == CODES[outcome]
    assert result.stdout.startswith(outcome.upper())
    check_forms(folder, outcome)


def check_forms(folder, outcome):
    document = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert document["outcome"] == outcome
    suites = ElementTree.parse(folder / "verdict.junit").getroot()  # noqa: S314 (our own)
    properties = {each.get("name"): each.get("value") for each in suites.iter("property")}
    assert properties["outcome"] == outcome
    assert properties["time"] == document["time"]
    (call,) = json.loads((folder / "verdict.sarif").read_text())["runs"][0]["invocations"]
    assert (call["exitCode"], call["endTimeUtc"]) == (CODES[outcome], document["time"])
    assert f"<h1>{outcome.upper()}</h1>" in (folder / "verdict.html").read_text(encoding="utf-8")


def test_a_server_that_cannot_be_reached_is_undecided_in_every_form_without_its_password(
    seal_file, folder, run
):
    seal_file()
    result = run("verify", "out.seal", "http://me:hunter2@127.0.0.1:9/v2/models/m", *EVERY)
    assert result.exit_code == 3
    check_forms(folder, "undecided")
    for form in FORMS:
        assert "hunter2" not in (folder / f"verdict.{form[2:]}").read_text(encoding="utf-8")


def test_an_endpoint_that_cannot_be_opened_is_undecided_in_every_form(
    seal_file, folder, run, monkeypatch
):
    from modelseal.endpoints import recorded
    from modelseal.errors import EndpointError

    def fail(*_):
        raise EndpointError("nobody is there")

    monkeypatch.setattr(recorded, "RecordedEndpoint", fail)
    seal_file()
    assert run("verify", "out.seal", "answers.jsonl", *EVERY).exit_code == 3
    check_forms(folder, "undecided")


def test_json_on_standard_output_goes_with_files_of_the_other_forms(seal_file, folder, run):
    seal_file()
    result = run("verify", "out.seal", "answers.jsonl", "--json", "-", "--junit", "j.xml")
    assert json.loads(result.stdout)["outcome"] == "intact"
    assert (folder / "j.xml").is_file()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["no/x", "out.seal", "answers.jsonl"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_asked(
    seal_file, folder, run, monkeypatch, form, path
):
    from modelseal.verification import verify

    seal_file()
    monkeypatch.setattr(verify, "verify", None)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = run("verify", "out.seal", "answers.jsonl", form, path)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert f"{path}: a file to write was wanted" in result.stderr
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("other", ["one", "./one", "link"])
def test_one_file_for_two_forms_is_refused(folder, other):
    (folder / "one").write_text("")
    (folder / "link").symlink_to("one")
    with pytest.raises(BadFileError, match="a file for each form was wanted, but this is for two"):
        VerdictFiles(junit=Path("one"), html=Path(other)).check(inputs=[])


@pytest.mark.parametrize("form", ["junit", "sarif", "html"])
def test_standard_output_is_for_json_alone(form):
    with pytest.raises(InvalidArgumentError, match=f"--{form} needs a file, but got -"):
        VerdictFiles(**{form: Path("-")}).check(inputs=[])


def test_without_jinja_a_page_is_refused_before_anything_is_asked(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    VerdictFiles(junit=Path("j"), sarif=Path("s")).check(inputs=[])
    with pytest.raises(MissingExtraError, match=r"modelseal\[report\]"):
        VerdictFiles(html=Path("h")).check(inputs=[])


def test_nothing_is_written_if_one_form_cannot_be_made(seal_file, folder, run, monkeypatch):
    from modelseal.verification import verdict_page

    def fail(record):
        raise BadFileError("template", "is broken")

    monkeypatch.setattr(verdict_page, "write_verdict", fail)
    seal_file()
    assert run("verify", "out.seal", "answers.jsonl", *EVERY).exit_code == 2
    assert not [file for file in folder.iterdir() if file.name.startswith("verdict")]


def test_no_file_is_wanted_unless_it_is_named():
    assert list(VerdictFiles().named()) == []
    assert VerdictFiles().wants_text
    assert not VerdictFiles(json=Path("-")).wants_text


@pytest.mark.parametrize("form", FORMS)
def test_no_form_is_written_over_the_record_of_answers(seal_file, folder, run, form):
    seal_file()
    result = run("verify", "out.seal", "answers.jsonl", "--record", "kept", form, "kept")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "kept came twice" in result.stderr
    assert not (folder / "kept").exists()
