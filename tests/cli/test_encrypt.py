import json

import pytest
import sealed

from modelseal.fingerprint.file_format import encode

MARKER = "marker-of-a-passphrase"
PLAIN = encode(sealed.fingerprint())


@pytest.fixture
def place(folder, run, monkeypatch):
    """A folder with a fingerprint, two pairs of keys and a passphrase, which is quick to use."""
    monkeypatch.setattr("modelseal.fingerprint.encryption.COST", 14)
    sealed.fingerprint().save(folder / "out.seal")
    for name in ("k", "other"):
        assert run("keygen", "-o", name).exit_code == 0
    (folder / "words").write_text(f"{MARKER}\n")
    return folder


LOCKS = [
    (["--encrypt-to", "k.pub.pem"], ["--key", "k.pem"]),
    (["--passphrase-file", "words"], ["--passphrase-file", "words"]),
]


@pytest.mark.parametrize(("lock", "opener"), LOCKS, ids=["key", "passphrase"])
def test_what_is_encrypted_is_decrypted_to_the_same_bytes(place, run, lock, opener):
    assert run("encrypt", "out.seal", "-o", "e.seal", *lock).exit_code == 0
    assert (place / "e.seal").read_bytes().startswith(b"modelseal-encrypted 1.0\n")
    assert run("decrypt", "e.seal", "-o", "again.seal", *opener).exit_code == 0
    assert (place / "again.seal").read_bytes() == PLAIN
    assert (place / "again.seal").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("lock", "opener"), LOCKS, ids=["key", "passphrase"])
def test_an_encrypted_file_is_inspected_and_verified_as_the_plain_one(
    seal_file, place, run, lock, opener
):
    seal_file()
    run("encrypt", "out.seal", "-o", "e.seal", *lock)
    assert run("inspect", "e.seal", *opener).stdout == run("inspect", "out.seal").stdout
    result = run("verify", "e.seal", "answers.jsonl", "--json", "-", *opener)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["outcome"] == "intact"


def test_the_passphrase_of_the_environment_serves_both_ways(place, run):
    env = {"MODELSEAL_PASSPHRASE": MARKER}
    assert run("encrypt", "out.seal", "-o", "e.seal", env=env).exit_code == 0
    result = run("decrypt", "e.seal", "-o", "again.seal", env=env)
    assert (result.exit_code, MARKER in result.output) == (0, False)
    assert (place / "again.seal").read_bytes() == PLAIN


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["encrypt", "out.seal", "-o", "x"], "MODELSEAL_PASSPHRASE"),
        (["encrypt", "e.seal", "-o", "x", "--encrypt-to", "k.pub.pem"], "e.seal"),
        (["encrypt", "out.seal", "-o", "x", "--encrypt-to", "k.pem"], "k.pem"),
        (["encrypt", "out.seal", "-o", "out.seal", "--encrypt-to", "k.pub.pem"], "out.seal"),
        (["encrypt", "words", "-o", "x", "--encrypt-to", "k.pub.pem"], "words"),
        (["decrypt", "e.seal", "-o", "x"], "e.seal"),
        (["decrypt", "e.seal", "-o", "x", "--key", "other.pem"], "e.seal"),
        (["decrypt", "e.seal", "-o", "x", "--key", "words"], "words"),
        (["decrypt", "e.seal", "-o", "k.pem", "--key", "k.pem"], "k.pem"),
        (["inspect", "e.seal"], "e.seal"),
        (["verify", "e.seal", "answers.jsonl"], "e.seal"),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(place, run, arguments, file):
    assert run("encrypt", "out.seal", "-o", "e.seal", "--encrypt-to", "k.pub.pem").exit_code == 0
    before = {path: path.read_bytes() for path in place.iterdir()}
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert file in result.stderr
    assert result.stderr.count("\n") == 1
    assert MARKER not in result.stderr
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_whoever_takes_a_plain_file_for_an_encrypted_one_is_told(place, run):
    result = run("inspect", "out.seal", "--key", "k.pem")
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1)
    assert "k.pem was not needed" in result.stderr
    assert run("inspect", "out.seal", "--passphrase-file", "words").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["inspect", "e.seal", "--key", "k.pem", "--json", "k.pem"], "k.pem"),
        (["decrypt", "e.seal", "-o", "k.pem"], "k.pem"),
        (["inspect", "e.seal", "--json", "k.pem"], "k.pem"),
        (["verify", "e.seal", "answers.jsonl", "--json", "k.pem"], "k.pem"),
        (["commit", "e.seal", "-o", "k.pem"], "k.pem"),
    ],
)
def test_no_key_that_is_read_is_replaced(place, run, arguments, file):
    before = (place / file).read_bytes()
    result = run(*arguments, env={"MODELSEAL_KEY_FILE": "k.pem"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{file}: expected a file to write, got one that is read as well" in result.stderr
    assert (place / file).read_bytes() == before


@pytest.mark.parametrize("purpose", ["encryption", "signing"])
def test_a_private_key_is_for_its_owner_alone(folder, run, purpose):
    result = run("keygen", "-o", "k", "--for", purpose)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"k.pem: the private key, for {purpose}; k.pub.pem: the public one\n"
    assert (folder / "k.pem").stat().st_mode & 0o777 == 0o600
    assert (folder / "k.pub.pem").stat().st_mode & 0o777 == 0o644
    assert b"BEGIN PRIVATE KEY" in (folder / "k.pem").read_bytes()


def test_a_passphrase_in_the_environment_encrypts_the_private_key_and_is_not_told(folder, run):
    result = run("keygen", "-o", "k", env={"MODELSEAL_KEY_PASSPHRASE": MARKER})
    assert MARKER not in result.output
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (folder / "k.pem").read_bytes()


@pytest.mark.parametrize("name", ["old", "late", "", ".", "..", "no/k"])
def test_keys_need_a_new_name_in_a_folder(folder, run, name):
    for old in ("old.pem", "late.pub.pem"):
        (folder / old).write_bytes(b"old")
    result = run("keygen", "-o", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert {(path.name, path.read_bytes()) for path in folder.iterdir()} == {
        *(("old.pem", b"old"), ("late.pub.pem", b"old"))
    }


@pytest.mark.parametrize("verb", ["inspect", "sign", "commit", "reveal", "verify", "enroll"])
def test_an_empty_name_is_one_sentence(place, run, verb):
    rest = {"sign": ["--key", "s.pem"], "commit": ["-o", "c"], "reveal": ["r", "-o", "c"]}
    rest |= {"verify": ["answers.jsonl"], "enroll": ["answers.jsonl", "-o", "c"]}
    result = run(verb, "", *rest.get(verb, []))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
