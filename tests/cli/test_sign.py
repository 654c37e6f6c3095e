import hashlib
import json

import pytest

from modelseal.cli import verify as verifying


@pytest.fixture
def place(seal_file, folder, run):
    """A folder with a fingerprint, recorded answers, two pairs of signing keys, and weights."""
    seal_file()
    for name in ("s", "other"):
        assert run("keygen", "-o", name, "--for", "signing").exit_code == 0
    assert run("keygen", "-o", "k").exit_code == 0
    (folder / "w.bin").write_bytes(b"weights")
    return folder


@pytest.fixture
def nothing_asked(monkeypatch):
    """Fails if anything is asked."""

    def fail(*_, **__):
        raise AssertionError("something was asked")

    monkeypatch.setattr(verifying, "ask", fail)


def test_a_signed_fingerprint_is_verified(place, run):
    result = run("sign", "out.seal", "--key", "s.pem", "--model-files", "w.bin")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("out.seal.sig: signed by sha256:")
    document = json.loads((place / "out.seal.sig").read_text())
    (resource,) = document["model"]["resources"]
    assert resource["digest"] == hashlib.sha256(b"weights").hexdigest()
    result = run("verify", "out.seal", "answers.jsonl", "--require-signature", "s.pub.pem")
    assert result.exit_code == 0


def test_the_signature_of_the_plain_file_holds_for_an_encrypted_copy(place, run):
    run("sign", "out.seal", "--key", "s.pem")
    run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem")
    (place / "out.seal.sig").rename(place / "e.seal.sig")
    arguments = ("e.seal", "answers.jsonl", "--require-signature", "s.pub.pem", "--key", "k.pem")
    assert run("verify", *arguments).exit_code == 0


def test_an_encrypted_file_is_signed_with_the_key_that_opens_it(place, run):
    run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem")
    result = run("sign", "e.seal", "--key", "s.pem", "--opening-key", "k.pem")
    assert result.exit_code == 0


def test_an_encrypted_file_is_signed_with_the_key_in_the_environment(place, run):
    run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem")
    env = {"MODELSEAL_KEY_FILE": "k.pem"}
    assert run("sign", "e.seal", "--key", "s.pem", env=env).exit_code == 0
    arguments = ("e.seal", "answers.jsonl", "--require-signature", "s.pub.pem")
    assert run("verify", *arguments, env=env).exit_code == 0


@pytest.mark.usefixtures("nothing_asked")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda place: (place / "out.seal.sig").unlink(), "a signature was wanted, but there is n"),
        (lambda place: (place / "out.seal.sig").write_bytes(b""), "out.seal.sig: "),
        (
            lambda place: (place / "out.seal.sig").write_text(
                (place / "out.seal.sig").read_text().replace('"time":"2', '"time":"3')
            ),
            "out.seal.sig: a signature of this statement was wanted",
        ),
    ],
    ids=["missing", "empty", "changed"],
)
def test_a_missing_or_wrong_signature_is_refused_and_nothing_is_asked(place, run, change, problem):
    run("sign", "out.seal", "--key", "s.pem")
    change(place)
    result = run("verify", "out.seal", "answers.jsonl", "--require-signature", "s.pub.pem")
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("nothing_asked")
@pytest.mark.parametrize("key", ["other.pub.pem", "k.pub.pem", "s.pem", "missing.pem"])
def test_a_foreign_key_is_refused_and_nothing_is_asked(place, run, key):
    run("sign", "out.seal", "--key", "s.pem")
    result = run("verify", "out.seal", "answers.jsonl", "--require-signature", key)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.seal", "--key", "s.pem"], "missing.seal: cannot be read"),
        (["out.seal", "--key", "k.pem"], "a private Ed25519 key was wanted, but another one came"),
        (["out.seal", "--key", "s.pem", "--model-files", "no"], "no: cannot be read"),
        (["answers.jsonl", "--key", "s.pem"], "answers.jsonl: a fingerprint was wanted"),
    ],
)
def test_what_cannot_be_signed_leaves_no_signature(place, run, arguments, problem):
    before = {file.name for file in place.iterdir()}
    result = run("sign", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert {file.name for file in place.iterdir()} == before
