"""`modelseal commit`, `reveal` and `recheck`."""

import json

import pytest

from modelseal.verification.commitment import load_commitment
from modelseal.verification.evidence import read_bundle


def test_a_commitment_is_public_and_its_salts_are_not(seal_file, folder, run):
    made = seal_file()
    result = run("commit", "out.seal", "-o", "c.json")
    assert (result.exit_code, result.stderr) == (0, "")
    commitment = load_commitment(folder / "c.json")
    assert len(commitment.samples) == len(made)
    assert commitment.weights_digest == made.origin.weights_digest
    assert (folder / "c.json").stat().st_mode & 0o777 == 0o644
    assert (folder / "out.seal.salts").stat().st_mode & 0o777 == 0o600
    secret = json.loads((folder / "out.seal.salts").read_text())["secret"]
    assert secret not in (folder / "c.json").read_text() + result.output


def test_an_encrypted_copy_has_the_same_commitment(seal_file, folder, run):
    seal_file()
    run("keygen", "-o", "k")
    run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem")
    run("commit", "out.seal", "-o", "c.json")
    (folder / "out.seal.salts").rename(folder / "e.seal.salts")
    assert run("commit", "e.seal", "-o", "again.json", "--key", "k.pem").exit_code == 0
    assert (folder / "again.json").read_bytes() == (folder / "c.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.seal", "-o", "c.json"], "missing.seal: "),
        (["out.seal", "-o", "out.seal"], ": "),
        (["out.seal", "-o", "no/c.json"], "no/c.json: "),
        (["out.seal", "-o", "out.seal.salts"], ": "),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(seal_file, folder, run, arguments, told):
    seal_file()
    if arguments[-1] == "out.seal.salts":
        run("commit", "out.seal", "-o", "c.json")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = run("commit", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.fixture
def recorded(seal_file, folder, run):
    """A folder with a fingerprint, its commitment, and a record of a check of two samples."""
    seal_file(count=6)
    assert run("commit", "out.seal", "-o", "c.json").exit_code == 0
    arguments = ("--per-check", 2, "--record", "record.jsonl")
    assert run("verify", "out.seal", "answers.jsonl", *arguments).exit_code == 0
    return folder


def test_a_bundle_holds_what_the_record_says_and_a_warning_comes_with_it(recorded, run):
    result = run("reveal", "out.seal", "record.jsonl", "-o", "b.json")
    assert (result.exit_code, result.stdout) == (0, "b.json: 2 of 6 samples with their answers\n")
    assert "never ask them again" in result.stderr
    bundle = read_bundle((recorded / "b.json").read_bytes(), name="b.json")
    lines = [json.loads(line) for line in (recorded / "record.jsonl").read_text().splitlines()[1:]]
    assert {asked.number for asked in bundle.asked} == {line["sample"] for line in lines}
    times = {asked.number: asked.answers[0].time for asked in bundle.asked}
    assert times == {line["sample"]: line["time"] for line in lines}
    assert bundle.endpoint == "answers.jsonl"


def test_what_was_asked_may_be_said_and_is_told_without_its_password(recorded, run):
    address = "http://me:secret@host/v2/models/m"
    run("reveal", "out.seal", "answers.jsonl", "-o", "b.json", "--endpoint", address)
    bundle = read_bundle((recorded / "b.json").read_bytes(), name="b.json")
    assert bundle.endpoint == "http://host/v2/models/m"
    assert b"secret" not in (recorded / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["out.seal", "missing.jsonl", "-o", "b.json"], "missing.jsonl: "),
        (["out.seal", "c.json", "-o", "b.json"], "c.json: line 1: "),
        (["out.seal", "record.jsonl", "-o", "record.jsonl"], ": "),
        (["out.seal", "record.jsonl", "-o", "out.seal.salts"], ": "),
        (["copy.seal", "record.jsonl", "-o", "b.json"], "copy.seal.salts: "),
    ],
)
def test_wrong_use_of_reveal_is_one_sentence_and_writes_nothing(recorded, run, arguments, told):
    (recorded / "copy.seal").write_bytes((recorded / "out.seal").read_bytes())
    before = {file: file.read_bytes() for file in recorded.iterdir()}
    result = run("reveal", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file: file.read_bytes() for file in recorded.iterdir()} == before


@pytest.fixture
def place(seal_file, folder, run):
    """Makes a folder in which nothing is left but a commitment and a bundle."""

    def build(*, wrong=(), lines=None):
        seal_file(count=6, wrong=wrong)
        if lines is not None:
            text = "\n".join(json.dumps(line) for line in lines)
            (folder / "answers.jsonl").write_text(text)
        assert run("commit", "out.seal", "-o", "c.json").exit_code == 0
        assert run("reveal", "out.seal", "answers.jsonl", "-o", "b.json").exit_code == 0
        for name in ("out.seal", "out.seal.salts", "answers.jsonl"):
            (folder / name).unlink()
        return folder

    return build


def test_a_tampered_model_is_found_tampered_again(place, run):
    place(wrong=[3])
    result = run("recheck", "b.json", "--commitment", "c.json", "--json", "-")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["schema"] == "modelseal.recheck/1"
    assert (document["outcome"], document["differs"], document["asked"]) == ("tampered", 1, 6)
    assert (document["bundle"], document["commitment"]) == ("b.json", "c.json")


def test_without_the_commitment_a_warning_comes(place, run):
    place()
    result = run("recheck", "b.json")
    assert result.exit_code == 0
    assert "without --commitment anybody could have made this bundle" in result.stderr


def test_the_bundle_of_another_commitment_is_refused(place, run):
    folder = place()
    (folder / "c.json").rename(folder / "first.json")
    place()
    result = run("recheck", "b.json", "--commitment", "first.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "b.json: commitment: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.json"], "missing.json: "),
        (["c.json", "--commitment", "c.json"], "c.json: "),
        (["b.json", "--commitment", "b.json"], "b.json: "),
        (["changed.json", "--commitment", "c.json"], "changed.json: signature: "),
        (["b.json", "--json", "b.json"], "b.json: "),
    ],
)
def test_what_proves_nothing_is_refused(place, run, arguments, told):
    folder = place()
    text = (folder / "b.json").read_text().replace('"error":null', '"error":"none"', 1)
    (folder / "changed.json").write_text(text)
    result = run("recheck", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
