import json

import pytest

from modelseal.verification import commitment
from modelseal.verification.evidence import read_bundle


@pytest.fixture
def place(seal_file, folder, run):
    """A folder with a fingerprint, its commitment, and a record of a check of two samples."""
    seal_file(count=6)
    assert run("commit", "out.seal", "-o", "c.json").exit_code == 0
    arguments = ("--per-check", 2, "--record", "record.jsonl")
    assert run("verify", "out.seal", "answers.jsonl", *arguments).exit_code == 0
    return folder


def test_a_bundle_holds_what_the_record_says_and_a_warning_comes_with_it(place, run):
    result = run("reveal", "out.seal", "record.jsonl", "-o", "b.json")
    assert (result.exit_code, result.stdout) == (
        0,
        "b.json: 2 of 6 samples with their answers\n",
    )
    assert "never ask them again" in result.stderr
    bundle = read_bundle((place / "b.json").read_bytes(), name="b.json")
    lines = [json.loads(line) for line in (place / "record.jsonl").read_text().splitlines()[1:]]
    assert {asked.number for asked in bundle.asked} == {line["sample"] for line in lines}
    times = {asked.number: asked.answers[0].time for asked in bundle.asked}
    assert times == {line["sample"]: line["time"] for line in lines}
    assert bundle.endpoint == "answers.jsonl"


def test_what_was_asked_may_be_said_and_is_told_without_its_password(place, run):
    address = "http://me:secret@host/v2/models/m"
    run("reveal", "out.seal", "answers.jsonl", "-o", "b.json", "--endpoint", address)
    bundle = read_bundle((place / "b.json").read_bytes(), name="b.json")
    assert bundle.endpoint == "http://host/v2/models/m"
    assert b"secret" not in (place / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["out.seal", "missing.jsonl", "-o", "b.json"], "missing.jsonl: cannot be read"),
        (["out.seal", "c.json", "-o", "b.json"], "c.json: line 1: sample: 0 to 5 was wanted"),
        (["out.seal", "record.jsonl", "-o", "record.jsonl"], "this one is read as well"),
        (["out.seal", "record.jsonl", "-o", "out.seal.salts"], "this one is read as well"),
        (["copy.seal", "record.jsonl", "-o", "b.json"], "copy.seal.salts: the salts of a commi"),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(place, run, arguments, problem):
    (place / "copy.seal").write_bytes((place / "out.seal").read_bytes())
    before = {file: file.read_bytes() for file in place.iterdir()}
    result = run("reveal", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in place.iterdir()} == before


def test_a_bundle_that_recheck_would_not_read_is_not_written(place, run, monkeypatch):
    monkeypatch.setattr(commitment, "MAX_BYTES", 1000)
    result = run("reveal", "out.seal", "record.jsonl", "-o", "b.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "b.json: at most 1000 bytes were wanted, which is what recheck reads" in result.stderr
    assert not (place / "b.json").exists()


@pytest.mark.parametrize("verb", [["reveal", "out.seal", "record.jsonl"], ["commit", "out.seal"]])
def test_neither_a_key_nor_a_passphrase_nor_the_ledger_is_replaced(place, run, verb):
    (place / "phrase.txt").write_text("open sesame")
    (place / "key.pem").write_text("a key")
    secrets = ("--passphrase-file", "phrase.txt", "--key", "key.pem")
    for output in ("phrase.txt", "key.pem", "out.seal.ledger"):
        before = (place / output).read_bytes()
        result = run(*verb, "-o", output, *secrets)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{output}: a file to write was wanted, but this one is read" in result.stderr
        assert (place / output).read_bytes() == before
