import hashlib
import json
import time

import private_sigstore
import pytest

from modelseal.verification import session


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

    monkeypatch.setattr(session.Session, "__post_init__", fail)


def test_a_signed_fingerprint_is_verified(place, run):
    result = run("sign", "out.seal", "--key", "s.pem", "--model-files", "w.bin")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("out.seal.sig: signed by sha256:")
    document = json.loads((place / "out.seal.sig").read_text())
    (resource,) = document["model"]["resources"]
    assert resource["digest"] == hashlib.sha256(b"weights").hexdigest()
    arguments = ("verify", "out.seal", "answers.jsonl", "--require-signature", "s.pub.pem")
    result = run(*arguments)
    assert result.exit_code == 0
    assert f"the fingerprint is signed by {document['key']}\n" in result.stdout
    assert json.loads(run(*arguments, "--json", "-").stdout)["signed_by"] == document["key"]
    assert "signed" not in run(*arguments[:3]).stdout


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
        (lambda place: (place / "out.seal.sig").unlink(), "out.seal.sig: "),
        (lambda place: (place / "out.seal.sig").write_bytes(b""), "out.seal.sig: "),
        (
            lambda place: (place / "out.seal.sig").write_text(
                (place / "out.seal.sig").read_text().replace('"time":"2', '"time":"3')
            ),
            "out.seal.sig: signature: ",
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
        (["out.seal", "--key", "k.pem"], "k.pem: "),
        (["out.seal", "--key", "s.pem", "--model-files", "no"], "no: cannot be read"),
        (["answers.jsonl", "--key", "s.pem"], "answers.jsonl: "),
    ],
)
def test_what_cannot_be_signed_leaves_no_signature(place, run, arguments, problem):
    before = {file.name for file in place.iterdir()}
    result = run("sign", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert {file.name for file in place.iterdir()} == before


@pytest.fixture
def signer(place):
    """Who signs by a private Sigstore that is running, with a token, in a folder with a seal."""
    own = private_sigstore.Sigstore()
    (place / "signer.toml").write_text(
        f'identity = "o@example.com"\nissuer = "{private_sigstore.ISSUER}"\ninstance = "sg.json"\n'
    )
    (place / "token").write_text(private_sigstore.token("o@example.com") + "\n")
    with private_sigstore.serve(own) as url:
        (place / "sg.json").write_text(json.dumps(own.trust_config(url)))
        yield place


SIGNED = ("sign", "out.seal", "--sigstore", "signer.toml")
REQUIRED = ("verify", "out.seal", "answers.jsonl", "--require-signature", "signer.toml")


def test_an_identity_signs_and_is_required(signer, run):
    result = run(*SIGNED, "--identity-token-file", "token", "--model-files", "w.bin")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "out.seal.sigstore.json: signed by o@example.com\n"
    result = run(*REQUIRED)
    assert result.exit_code == 0
    assert "signed by o@example.com of https://login.example\n" in result.stdout


@pytest.mark.usefixtures("nothing_asked")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda place: (place / "out.seal.sigstore.json").unlink(), "out.seal.sigstore.json: "),
        (
            lambda place: (place / "out.seal.sigstore.json").write_bytes(b"{}"),
            "out.seal.sigstore.json: ",
        ),
        (lambda place: (place / "sg.json").unlink(), "sg.json: cannot be read"),
        (
            lambda place: (place / "signer.toml").write_text('identity = "a"'),
            "signer.toml: issuer: ",
        ),
        (
            lambda place: (place / "signer.toml").write_text(
                (place / "signer.toml").read_text().replace("o@", "p@")
            ),
            "a signature by p@example.com",
        ),
    ],
    ids=["missing", "none", "no instance", "no signer", "foreign"],
)
def test_a_missing_or_foreign_bundle_is_refused_and_nothing_is_asked(signer, run, change, problem):
    run(*SIGNED, "--identity-token-file", "token")
    change(signer)
    result = run(*REQUIRED)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--sigstore", "signer.toml", "--key", "s.pem"], "got both"),
        ([], "got none"),
        (["--key", "s.pem", "--identity-token-file", "token"], "--identity-token-file"),
        (["--sigstore", "missing.toml"], "missing.toml: cannot be read"),
        (["--sigstore", "signer.toml", "--identity-token-file", "no"], "no: cannot be read"),
        (["--sigstore", "signer.toml", "--identity-token-file", "w.bin"], "the identity token: "),
    ],
)
def test_what_cannot_be_signed_by_an_identity_leaves_nothing(signer, run, arguments, problem):
    before = {file.name for file in signer.iterdir()}
    result = run("sign", "out.seal", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert {file.name for file in signer.iterdir()} == before


def test_the_signature_of_somebody_else_leaves_the_old_one(signer, run):
    run(*SIGNED, "--identity-token-file", "token")
    before = (signer / "out.seal.sigstore.json").read_bytes()
    (signer / "token").write_text(private_sigstore.token("p@example.com"))
    result = run(*SIGNED, "--identity-token-file", "token")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "one of p@example.com of" in result.stderr
    assert (signer / "out.seal.sigstore.json").read_bytes() == before


@pytest.mark.parametrize("file", ["out.seal.sig", "s.pub.pem"])
def test_no_report_replaces_a_signature_or_its_key(place, run, file):
    run("sign", "out.seal", "--key", "s.pem")
    before = (place / file).read_bytes()
    arguments = ("--require-signature", "s.pub.pem", "--json", file)
    result = run("verify", "out.seal", "answers.jsonl", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is read as well" in result.stderr
    assert (place / file).read_bytes() == before


@pytest.mark.usefixtures("nothing_asked")
def test_a_public_service_that_never_answers_is_given_up_and_nothing_is_asked(
    signer, run, monkeypatch
):
    run(*SIGNED, "--identity-token-file", "token")
    text = (signer / "signer.toml").read_text().replace("instance", "# instance")
    (signer / "signer.toml").write_text(text)
    monkeypatch.setattr("modelseal.fingerprint.sigstore_bundles.TIMEOUT", 0.2)
    monkeypatch.setattr("modelseal.fingerprint.sigstore_bundles.ask_service", lambda: time.sleep(2))
    result = run(*REQUIRED)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "modelseal: Sigstore: expected an answer, got none within 0.2 seconds\n"
