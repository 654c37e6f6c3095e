"""What is published says the same as what is in it."""

import re
import tomllib

import pytest
import yaml
from pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_citation_and_the_changelog_are_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    said = (citation["title"], citation["version"], citation["license"], citation["abstract"])
    assert said == tuple(PROJECT[key] for key in ("name", "version", "license", "description"))
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)[0] == PROJECT["version"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_has_few_rights_a_limit_and_actions_of_a_known_version(file):
    workflow = yaml.safe_load(file.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "run" in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_the_workflows_make_what_can_be_made():
    made = {}
    for file in WORKFLOWS:
        jobs = yaml.safe_load(file.read_text("utf-8"))["jobs"].values()
        made[file.stem] = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert made == {"docs": ["make docs"], "test": ["make test", "make test-wheel"]}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {line.split()[1] for lines in made.values() for line in lines} <= targets
