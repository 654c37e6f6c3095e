"""Whatever README.md and the documents tell to do is done here, and works."""

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from pages import ADDRESS, ROOT, blocks, fill, statements
from server import free_ports, serve

import modelseal.errors
from modelseal.endpoints.recorded import read_lines
from modelseal.models.loader import load_model

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CI_PAGE = ROOT / "docs" / "how-to" / "verify-in-ci-and-cron.md"


def pages_with(pattern):
    """A test is run once for each page that has what it is about."""
    found = [page for page in PAGES if re.search(pattern, page.read_text("utf-8"), re.MULTILINE)]
    return pytest.mark.parametrize("page", found, ids=lambda page: str(page.relative_to(ROOT)))


def commands(page):
    """Every line of shell on a page, those of continuous integration among them."""
    lines = [line for _, block in blocks(page, "sh") for line in statements(block)]
    for _, block in blocks(page, "yaml"):
        jobs = yaml.safe_load(block)["jobs"].values()
        lines += [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    return lines


def without_numbers(text):
    """What a program wrote, the same on every machine."""
    return re.sub(r"\d+", "#", text)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder as the documents assume it."""
    folder = tmp_path_factory.mktemp("documents")
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def url(place):
    """The model of the documents, served."""
    with serve(place / "model.toml", folder=place / "server", name="NAME") as address:
        yield address


@pytest.fixture(scope="session")
def port():
    """Takes the place of 8000, which the tutorial's server listens on."""
    return str(free_ports(1)[0])


@pytest.fixture(scope="session")
def run(place, url, port):
    """Runs a statement of the documents in the folder, once; gives its exit code and output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    @cache
    def run_once(statement):
        told = f"trap 'jobs -p | xargs -r kill || true' EXIT\n{statement}"
        told = told.replace(ADDRESS, url).replace("8000", port)
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", told],
            cwd=place,
            env={**os.environ, "PATH": path, "ENDPOINT": url},
            capture_output=True,
            text=True,
        )
        return ended.returncode, ended.stdout + ended.stderr

    return run_once


@pytest.fixture(scope="session")
def sealed(run):
    """The fingerprint that the documents speak of, made as they say."""
    code, output = run("modelseal seal model.toml images/ -o out.seal")
    assert code == 0, output


@pytest.fixture(scope="session")
def run_python(place, url):
    """Runs a snippet in a process of its own; what it prints is what its comments say."""

    def run_snippet(block):
        ended = subprocess.run(
            [sys.executable, "-c", block.replace(ADDRESS, url)],
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        told = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)
        assert not told or ended.stdout.splitlines() == told

    return run_snippet


@pytest.mark.real
@pytest.mark.usefixtures("sealed")
@pages_with("^```(sh|python)$")
def test_what_a_page_tells_to_do_works_in_its_order(page, place, run, run_python, port):
    output = ""
    for language, block in blocks(page, "sh", "python", "text", r'\w+ title="[^"]+"'):
        if " title=" in language:
            (place / language.split('"')[1]).write_text(block.replace("8000", port))
        elif language == "python":
            run_python(block)
        elif language == "text":
            assert block.startswith("$ ") or without_numbers(block) in without_numbers(output)
        else:
            for statement in statements(block):
                if statement.startswith(("modelseal ", "if modelseal ", "python ")):
                    code, output = run(statement)
                    assert code == 0, output
                    assert "not known to be intact" not in output


def test_the_landing_page_shows_a_verdict_of_the_tutorial():
    ((_, shown),) = blocks(ROOT / "docs" / "index.md", "text")
    command, verdict = shown.splitlines()
    tutorial = (ROOT / "docs" / "tutorials" / "first-model.md").read_text("utf-8")
    assert f"{command.removeprefix('$ ')} --retries" in tutorial
    assert f"\n{verdict}\n" in tutorial


@pytest.mark.real
@pytest.mark.usefixtures("sealed")
def test_the_steps_of_continuous_integration_find_the_served_model_intact(run, place):
    (step,) = [line for line in commands(CI_PAGE) if '"$ENDPOINT"' in line]
    assert run(step) == (0, "")
    assert (place / "verdict.txt").read_text().startswith("INTACT: ")


@pages_with("pip install|make [a-z]+")
def test_whatever_is_told_to_install_or_make_is_there(page):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = page.read_text("utf-8")
    lists = re.findall(r"pip install \"(?:modelseal|\.)\[([^\]]+)\]\"", text)
    extras = {extra for each in lists for extra in each.split(",")}
    assert extras <= set(project["optional-dependencies"])
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets


@pages_with("^```(sh|yaml)$")
def test_every_command_is_one_that_the_tests_run_or_know_to_install_something(page):
    known = ("modelseal ", "if modelseal ", "python ", "kill %1", "pip install ", "make ")
    known += ('echo "$SEAL" | base64',)
    assert [line for line in commands(page) if not line.startswith(known)] == []


@pages_with("^```toml$")
def test_every_model_file_on_a_page_can_be_loaded(page, place):
    models = [block for _, block in blocks(page, "toml") if not block.startswith("[endpoint]")]
    for block in models:
        (place / "again.toml").write_text(block)
        assert load_model(place / "again.toml").domain.shape == (3, 32, 32)


def test_the_recorded_answers_of_the_documents_can_be_read():
    ((_, lines),) = blocks(ROOT / "docs" / "how-to" / "ask-other-services.md", "jsonl")
    _, read = read_lines(lines.encode(), count=8, name="the page")
    assert [line.sample for line in read] == [0, 1]


def test_the_chances_of_the_threat_model_are_those_of_its_formula():
    text = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
    assert "1 - (1 - *d*(1 - *q*))^*m*" in text
    chances = [1 - q**8 for q in (0.5, 0.9, 0.99)]
    said = "that is {:.1%} at *q* = 1/2, {:.0%} at *q* = 9/10 and {:.0%} at *q* = 99/100"
    assert said.format(*chances).replace("%", " %") in text


def anchors(page):
    """What the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_reference_has_every_public_name():
    page = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    shown = set(re.findall(r"^::: modelseal\.(\w+)$", page, re.MULTILINE))
    errors = {name for name in modelseal.__all__ if hasattr(modelseal.errors, name)}
    assert shown == {*modelseal.__all__, "errors"} - errors


@pages_with(r"\]\((?!http)")
def test_every_link_leads_to_a_file_and_a_heading_that_is_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_documents_are_built_without_a_warning(tmp_path):
    subprocess.run(
        [Path(sys.executable).with_name("mkdocs"), "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "tutorials" / "first-model" / "index.html").is_file()
