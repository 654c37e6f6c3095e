import json

import pytest

from modelseal.fingerprint.codec import write
from modelseal.verification.commitment import read_commitment


def test_a_commitment_is_public_and_its_salts_are_not(seal_file, folder, run):
    made = seal_file()
    result = run("commit", "out.seal", "-o", "c.json")
    assert (result.exit_code, result.stderr) == (0, "")
    commitment = read_commitment((folder / "c.json").read_bytes(), name="c.json")
    assert len(commitment.samples) == len(made)
    assert commitment.weights_digest == made.origin.weights_digest
    assert (folder / "c.json").stat().st_mode & 0o777 == 0o644
    assert (folder / "out.seal.salts").stat().st_mode & 0o777 == 0o600
    secret = json.loads((folder / "out.seal.salts").read_text())["secret"]
    assert secret not in (folder / "c.json").read_text() + result.output


def test_a_second_commitment_is_the_same(seal_file, folder, run):
    seal_file()
    run("commit", "out.seal", "-o", "c.json")
    run("commit", "out.seal", "-o", "again.json")
    assert (folder / "again.json").read_bytes() == (folder / "c.json").read_bytes()


def test_an_encrypted_copy_has_the_same_commitment(seal_file, folder, run):
    seal_file()
    run("keygen", "-o", "k")
    run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem")
    run("commit", "out.seal", "-o", "c.json")
    (folder / "out.seal.salts").rename(folder / "e.seal.salts")
    assert run("commit", "e.seal", "-o", "again.json", "--key", "k.pem").exit_code == 0
    assert (folder / "again.json").read_bytes() == (folder / "c.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.seal", "-o", "c.json"], "missing.seal: cannot be read"),
        (["out.seal", "-o", "out.seal"], "this one is read as well"),
        (["out.seal", "-o", "no/c.json"], "there is no folder no"),
        (["out.seal", "-o", "out.seal.salts"], "this one is read as well"),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(seal_file, folder, run, arguments, problem):
    seal_file()
    if arguments[-1] == "out.seal.salts":
        run("commit", "out.seal", "-o", "c.json")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = run("commit", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_the_salts_of_a_fingerprint_that_was_replaced_are_refused(seal_file, folder, run):
    made = seal_file()
    run("commit", "out.seal", "-o", "c.json")
    before = (folder / "c.json").read_bytes()
    write(made.take(made.sources[:2]), folder / "out.seal")
    result = run("commit", "out.seal", "-o", "c.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "but they are those of another one" in result.stderr
    assert (folder / "c.json").read_bytes() == before
