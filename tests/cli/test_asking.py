import json

import pytest
import sealed
from faulty import serving

from modelseal.fingerprint.codec import file_digest, write


@pytest.fixture
def made(folder):
    made = sealed.fingerprint(count=4)
    write(made, folder / "out.seal")
    return made


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--timeout", 0], "timeout: seconds above 0 were wanted, but 0 came"),
        (["--timeout", "nan"], "timeout: seconds above 0 were wanted, but nan came"),
        (["--time-limit", 0], "time_limit: seconds above 0 was wanted, but 0 came"),
        (["--pace", -1], "pace: seconds from 0 was wanted, but -1 came"),
        (["--record", "a", "--resume", "b"], "was wanted, not both"),
        (["--record", "old"], "old: a new file was wanted for a record, but this one exists"),
        (["--record", "none/r"], "there is no folder none"),
        (["--record", "out.seal"], "out.seal: a file to write was wanted, but this one is read"),
        (["--resume", "out.seal"], "out.seal: a file to write was wanted, but this one is read"),
        (["--resume", "none"], "none: cannot be read: No such file"),
        (["--resume", "old"], "old: a record was wanted, but its first line is no heading"),
        (["--record", "r", "--json", "r"], "two files were wanted, but r came twice"),
        (["--resume", "old", "--json", "old"], "two files were wanted, but old came twice"),
    ],
)
def test_wrong_options_are_one_sentence_and_nothing_is_asked_or_written(
    made, folder, run, options, problem
):
    (folder / "old").write_text("old")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with serving(made) as server:
        result = run("verify", "out.seal", server.url, *options)
        assert server.posts == 0
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    "options", [["--retries", -1], ["--retries", 101], ["--concurrency", 0], ["--timeout", "x"]]
)
def test_numbers_out_of_range_are_a_wrong_command_line(made, run, options):
    result = run("verify", "out.seal", "answers.jsonl", *options)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_record_names_the_fingerprint_and_the_endpoint_without_secrets(made, folder, run):
    with serving(made) as server:
        url = server.url.replace("//", "//me:secret@")
        assert run("verify", "out.seal", url, "--record", "r.jsonl").exit_code == 0
        heading = json.loads((folder / "r.jsonl").read_text().splitlines()[0])
        assert heading["fingerprint"] == file_digest(made)
        assert (heading["endpoint"], heading["samples"]) == (server.url, 4)
        assert "secret" not in (folder / "r.jsonl").read_text()
        assert (folder / "r.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_record_of_another_fingerprint_or_endpoint_is_refused(made, folder, run):
    with serving(made) as server:
        run("verify", "out.seal", server.url, "--record", "r.jsonl")
        elsewhere = server.url.replace("/versions/1", "/versions/2")
        result = run("verify", "out.seal", elsewhere, "--resume", "r.jsonl")
        assert result.exit_code == 2
        assert f"a record of {elsewhere} was wanted, but it is of {server.url}" in result.stderr
        write(sealed.fingerprint(count=4, factor=9.0), folder / "out.seal")
        for arguments in ([server.url, "--resume", "r.jsonl"], ["r.jsonl"]):
            result = run("verify", "out.seal", *arguments)
            assert (result.exit_code, result.stdout) == (2, "")
            assert "a record of this fingerprint was wanted" in result.stderr


def test_a_record_can_be_verified_as_recorded_answers(made, run):
    with serving(made) as server:
        run("verify", "out.seal", server.url, "--record", "r.jsonl")
    assert run("verify", "out.seal", "r.jsonl").exit_code == 0


def test_a_proof_in_a_record_stands_when_nobody_answers_any_more(made, folder, run):
    with serving(made) as server:
        run("verify", "out.seal", server.url, "--record", "r.jsonl")
    lines = (folder / "r.jsonl").read_text().splitlines()
    entry = json.loads(lines[1])
    entry["labels"] = [(entry["labels"][0] + 1) % 5]
    (folder / "r.jsonl").write_text(f"{lines[0]}\n{json.dumps(entry)}\n")
    result = run("verify", "out.seal", server.url, "--resume", "r.jsonl", "--retries", 0)
    assert (result.exit_code, result.stdout.split(":")[0]) == (1, "TAMPERED")


def test_a_half_written_line_is_told_of_and_its_sample_asked_again(made, folder, run):
    with serving(made) as server:
        run("verify", "out.seal", server.url, "--record", "r.jsonl")
        (folder / "r.jsonl").write_bytes((folder / "r.jsonl").read_bytes()[:-9])
        result = run("verify", "out.seal", server.url, "--resume", "r.jsonl")
        assert (result.exit_code, server.posts) == (0, 5)
    assert result.stderr.splitlines() == [
        "modelseal: r.jsonl: its last line was half written and is left out",
        "modelseal: r.jsonl: 3 of 4 samples are answered there and are not asked again",
    ]


def test_no_record_is_begun_for_an_endpoint_that_cannot_be_used(made, folder, run):
    result = run("verify", "out.seal", "missing.onnx", "--record", "r.jsonl")
    assert result.exit_code == 2
    assert not (folder / "r.jsonl").exists()
