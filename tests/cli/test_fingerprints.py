import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from modelseal.cli import fingerprint_files
from modelseal.cli.fingerprint_files import (
    find_lock,
    is_encrypted_file,
    read_fingerprint,
    write_fingerprint,
)
from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import encode
from modelseal.fingerprint.encryption import LOCKED, Passphrase, encrypt
from modelseal.fingerprint.signatures import Purpose, make_pair

MADE = sealed.fingerprint()
MARKER = b"marker-of-a-passphrase"


@pytest.fixture
def place(folder):
    """A folder with a pair of keys, a passphrase, and a fingerprint encrypted to each."""
    private, public = make_pair(Purpose.ENCRYPTION)
    (folder / "k.pem").write_bytes(private)
    (folder / "k.pub.pem").write_bytes(public)
    (folder / "words").write_bytes(MARKER + b"\n")
    lock = find_lock(encrypt_to=folder / "k.pub.pem", passphrase_file=None)
    write_fingerprint(MADE, folder / "key.seal", lock=lock)
    data = encrypt(encode(MADE), Passphrase(secret=MARKER), cost=14)
    (folder / "words.seal").write_bytes(data)
    write_fingerprint(MADE, folder / "plain.seal", lock=None)
    return folder


def test_a_plain_file_is_read_whatever_keys_there_are(place, capsys):
    for settings in ({}, {"passphrase_file": place / "words"}):
        assert encode(read_fingerprint(place / "plain.seal", **settings)) == encode(MADE)
    assert capsys.readouterr().err == ""


def test_whoever_takes_a_plain_file_for_an_encrypted_one_is_told(place, capsys):
    read_fingerprint(place / "plain.seal", key=place / "k.pem")
    told = f"modelseal: {place / 'plain.seal'} is not encrypted: {place / 'k.pem'} was not needed"
    assert capsys.readouterr().err.replace("\n", " ").strip() == told


def test_a_key_or_a_passphrase_opens_what_it_fits_whichever_others_are_there(place):
    settings = {"key": place / "k.pem", "passphrase_file": place / "words"}
    for name in ("key.seal", "words.seal"):
        assert is_encrypted_file(place / name)
        assert encode(read_fingerprint(place / name, **settings)) == encode(MADE)


def test_keys_and_passphrases_come_from_the_environment_too(place, monkeypatch):
    monkeypatch.setenv("MODELSEAL_KEY_FILE", str(place / "k.pem"))
    monkeypatch.setenv("MODELSEAL_PASSPHRASE", MARKER.decode())
    for name in ("key.seal", "words.seal"):
        assert encode(read_fingerprint(place / name)) == encode(MADE)


def test_a_file_comes_before_the_environment(place, monkeypatch):
    monkeypatch.setenv("MODELSEAL_PASSPHRASE", "wrong")
    found = read_fingerprint(place / "words.seal", passphrase_file=place / "words")
    assert encode(found) == encode(MADE)
    with pytest.raises(BadFileError, match=LOCKED):
        read_fingerprint(place / "words.seal")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("key.seal", "is encrypted: its private key was wanted, but none came"),
        ("words.seal", "is encrypted: its passphrase was wanted, but none came"),
    ],
)
def test_a_missing_key_is_told_apart_from_a_wrong_one(place, name, problem, monkeypatch):
    with pytest.raises(BadFileError, match=problem):
        read_fingerprint(place / name)
    monkeypatch.setenv("MODELSEAL_PASSPHRASE", "wrong")
    fresh = X25519PrivateKey.generate()
    monkeypatch.setattr(fingerprint_files, "read_key", lambda path: fresh)
    monkeypatch.setenv("MODELSEAL_KEY_FILE", "k.pem")
    with pytest.raises(BadFileError, match=LOCKED):
        read_fingerprint(place / name)


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n", bytes(1025)])
def test_a_file_without_a_passphrase_is_refused(place, text):
    (place / "words").write_bytes(text)
    with pytest.raises(BadFileError, match=r"words: (a passphrase of 1 to|at most 1026 bytes)"):
        read_fingerprint(place / "words.seal", passphrase_file=place / "words")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_end_of_the_line_is_no_part_of_the_passphrase(place, end):
    (place / "words").write_bytes(MARKER + end)
    found = read_fingerprint(place / "words.seal", passphrase_file=place / "words")
    assert encode(found) == encode(MADE)


def test_no_error_ever_tells_a_passphrase(place):
    (place / "words").write_bytes(MARKER + b"-wrong\n")
    for settings in ({"passphrase_file": place / "words"}, {"key": place / "words"}, {}):
        for name in ("key.seal", "words.seal"):
            with pytest.raises(BadFileError) as caught:
                read_fingerprint(place / name, **settings)
            chain = [caught.value]
            while chain[-1] is not None:
                assert MARKER.decode() not in repr(chain[-1]) + str(chain[-1])
                chain.append(chain[-1].__cause__)


def test_a_plain_copy_never_touches_the_disk(place, monkeypatch):
    written = []
    monkeypatch.setattr(fingerprint_files, "write_atomically", lambda _, data: written.append(data))
    lock = find_lock(encrypt_to=place / "k.pub.pem", passphrase_file=None)
    write_fingerprint(MADE, place / "new.seal", lock=lock)
    (data,) = written
    assert data.startswith(b"modelseal-encrypted 1.0\n")


def test_what_is_not_there_is_not_encrypted(tmp_path):
    assert not is_encrypted_file(tmp_path / "missing")
