"""Every fault of a server, through the whole program: undecided, with the reason, and no more."""

import json
import re
from pathlib import Path

import pytest
import sealed
from faults import FAULTS
from faulty import serving

# Seconds that a busy machine may need for an answer.
BUSY = 30
TABLE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"


def patience(fault, *, mixed=False):
    """Little time for a fault that takes all of it; for others what a busy machine may need.

    Where true answers come beside the fault, even a busy machine has to give them in that time.
    """
    takes_all = "within" in fault.reason
    return (1.5 if mixed else 0.3) if takes_all else BUSY


@pytest.fixture
def made(folder):
    made = sealed.fingerprint(count=4)
    made.save(folder / "out.seal")
    return made


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_undecided_with_its_reason_and_can_be_gone_on_after(name, made, folder, run):
    fault = FAULTS[name]
    once = ("--retries", 0, "--timeout")
    with serving(made, fault) as server:
        record = ("--record", "r.jsonl")
        result = run("verify", "out.seal", server.url, *record, *once, patience(fault))
        assert result.exit_code == 3, result.output
        assert result.stdout.startswith("UNDECIDED: 3 of 4 samples gave no clear answer") or (
            result.stdout.startswith("UNDECIDED: 4 of 4 samples gave no clear answer")
        )
        assert re.search(fault.reason, result.stdout.splitlines()[0])
        assert "Traceback" not in result.output
        lines = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
        assert all("error" in line for line in lines[1:])

        server.heal()
        again = run("verify", "out.seal", server.url, "--resume", "r.jsonl", *once, BUSY)
        assert (again.exit_code, again.stdout.split(":")[0]) == (0, "INTACT"), again.output


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.play])
def test_only_what_is_no_answer_and_may_pass_is_asked_again(name, made, run):
    fault = FAULTS[name]
    timeout = patience(fault, mixed=True)
    with serving(made, fault, times=1) as server:
        result = run("verify", "out.seal", server.url, "--retries", 1, "--timeout", timeout)
        assert server.posts == (5 if fault.passing else 4)
    assert result.exit_code == (0 if fault.passing else 3), result.output


EARLY = (
    "reset in mid-answer",
    "slow drip of the body",
    "slow drip of the headers",
    "timeout",
    "status 401",
    "status 404",
    "status 503",
    "truncated JSON",
    "HTML in place of JSON",
    "a gigabyte",
)


@pytest.mark.parametrize("name", EARLY)
def test_a_fault_before_the_first_question_is_undecided_or_passes_in_the_same_way(name, made, run):
    fault = FAULTS[name]
    with serving(made, fault, early=True) as server:
        timeout = patience(fault)
        result = run("verify", "out.seal", server.url, "--retries", 0, "--timeout", timeout)
        assert (result.exit_code, server.posts) == (3, 0)
        assert re.search(fault.reason, result.stdout.splitlines()[0])
        server.left = 1
        timeout = patience(fault, mixed=True)
        result = run("verify", "out.seal", server.url, "--retries", 1, "--timeout", timeout)
        assert result.exit_code == (0 if fault.passing else 3)


def test_what_was_learned_before_a_fault_is_kept_and_not_asked_again(made, folder, run):
    with serving(made) as server:
        url = server.url
        result = run("verify", "out.seal", url, "--record", "r.jsonl", "--seed", 1)
        assert (result.exit_code, server.posts) == (0, 4)
        lines = (folder / "r.jsonl").read_text().splitlines()
        (folder / "r.jsonl").write_text("\n".join(lines[:3]) + "\n")
        result = run("verify", "out.seal", url, "--resume", "r.jsonl", "--json", "v.json")
        assert (result.exit_code, server.posts) == (0, 6)
        assert result.stderr == (
            "modelseal: r.jsonl: 2 of 4 samples are answered there and are not asked again\n"
        )
        asked = [json.loads(line)["sample"] for line in lines[1:3]]
        evidence = json.loads((folder / "v.json").read_text())["evidence"]
        assert [entry["sample"] for entry in evidence[:2]] == asked
        result = run("verify", "out.seal", url, "--resume", "r.jsonl")
        assert (result.exit_code, server.posts) == (0, 6)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_time_limit_ends_the_asking_and_what_came_is_kept(concurrency, made, folder, run):
    options = ("--time-limit", 30, "--pace", 1800, "--concurrency", concurrency, "--seed", 3)
    with serving(made) as server:
        result = run("verify", "out.seal", server.url, "--record", "r.jsonl", *options)
        assert result.exit_code == 3
        assert result.stdout.startswith(
            "UNDECIDED: 1 of 4 samples answered as expected, but 3 were not asked since the time "
            "limit was over"
        )
        again = run("verify", "out.seal", server.url, "--resume", "r.jsonl")
        assert (again.exit_code, server.posts) == (0, 4)


def test_many_questions_at_once_end_as_one_after_another_does(folder, run):
    made = sealed.fingerprint(count=30)
    made.save(folder / "out.seal")
    with serving(made, FAULTS["status 503"], times=3) as server:
        result = run("verify", "out.seal", server.url, "--concurrency", 8, "--record", "r.jsonl")
    assert (result.exit_code, result.stdout[:6]) == (0, "INTACT"), result.output
    lines = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()[1:]]
    assert sorted(line["sample"] for line in lines) == list(range(30))


def test_the_documents_name_every_fault_with_its_outcome_and_whether_it_is_asked_again():
    rows = re.findall(
        r"^\| (.+?) \| .*\| (yes|no) \| undecided \|$", TABLE.read_text("utf-8"), re.M
    )
    assert dict(rows) == {name: "yes" if each.passing else "no" for name, each in FAULTS.items()}
