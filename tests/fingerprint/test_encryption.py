import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from modelseal.enums import KeyPurpose
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint import encryption
from modelseal.fingerprint.encryption import (
    LOCKED,
    decrypt,
    decrypt_bytes,
    encrypt,
    encrypt_bytes,
    find_opening_key,
    key_id,
    make_keys,
    read_recipient,
    read_signer_key,
    read_signing_key,
)
from modelseal.fingerprint.file_format import encode, is_encrypted_file, load

GOLDEN = Path(__file__).parents[1] / "golden"
MARKER = "marker"
WORDS = b"correct horse battery staple"
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key()
CONTENT = encode(sealed.fingerprint())


def lock_quickly(content, secret):
    """Encrypts by a passphrase at the lowest cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "COST", 14)
        return encrypt_bytes(content, passphrase=secret)


BY_KEY = encrypt_bytes(CONTENT, encrypt_to=PUBLIC)
BY_WORDS = lock_quickly(CONTENT, WORDS)


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch):
    """An environment without keys and passphrases, where passphrases are quick to use."""
    for name in ("KEY_FILE", "PASSPHRASE", "KEY_PASSPHRASE"):
        monkeypatch.delenv(f"MODELSEAL_{name}", raising=False)
    monkeypatch.setattr(encryption, "COST", 14)


def reheaded(change, data=BY_KEY):
    """The same file with a header that was changed in place, written canonically."""
    first, line, content = data.split(b"\n", 2)
    header = json.loads(line)
    change(header)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return b"\n".join((first, text, content))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_whatever_is_encrypted_to_a_key_comes_back_with_it(content):
    data = encrypt_bytes(content, encrypt_to=PUBLIC)
    assert decrypt_bytes(data, name="a.seal", key=PRIVATE) == content


@settings(max_examples=10)
@given(st.binary(max_size=300), st.binary(min_size=1, max_size=1024))
def test_whatever_is_encrypted_to_a_passphrase_comes_back_with_it(content, secret):
    data = lock_quickly(content, secret)
    assert decrypt_bytes(data, name="a.seal", passphrase=secret) == content


def test_an_encrypted_fingerprint_holds_nothing_of_the_plain_one():
    for data in (BY_KEY, BY_WORDS):
        locked = data.split(b"\n", 2)[2]
        assert not any(CONTENT[place : place + 8] in locked for place in range(len(CONTENT) - 8))
    assert encrypt_bytes(CONTENT, encrypt_to=PUBLIC) != BY_KEY


def test_the_content_is_what_the_page_on_the_format_says():
    # Computed apart from the module, by the page alone.
    first, line, locked = BY_WORDS.split(b"\n", 2)
    header = json.loads(line)
    assert (first, header["cipher"]) == (b"modelseal-encrypted 1.0", "chacha20-poly1305")
    salt, nonce = bytes.fromhex(header["lock"]["salt"]), bytes.fromhex(header["nonce"])
    key = Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(WORDS)
    assert ChaCha20Poly1305(key).decrypt(nonce, locked, first + b"\n" + line + b"\n") == CONTENT

    first, line, locked = BY_KEY.split(b"\n", 2)
    header = json.loads(line)
    fresh = bytes.fromhex(header["lock"]["ephemeral"])
    shared = PRIVATE.exchange(X25519PublicKey.from_public_bytes(fresh))
    salt = fresh + PUBLIC.public_bytes_raw()
    info = b"modelseal-encrypted 1.0 x25519"
    key = HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(shared)
    nonce = bytes.fromhex(header["nonce"])
    assert ChaCha20Poly1305(key).decrypt(nonce, locked, first + b"\n" + line + b"\n") == CONTENT


def test_the_golden_file_is_opened_for_ever():
    assert encode(load(GOLDEN / "encrypted-1.0.locked", passphrase=WORDS)) == CONTENT


def test_every_flipped_byte_is_refused():
    for place in range(len(BY_KEY)):
        data = bytearray(BY_KEY)
        data[place] ^= 1
        with refuses(BadFileError, file="a.seal"):
            decrypt_bytes(bytes(data), name="a.seal", key=PRIVATE)


@settings(max_examples=300)
@given(st.integers(0, len(BY_KEY) - 1), st.integers(0, len(BY_KEY)), st.binary(max_size=16))
def test_nothing_cut_out_or_put_in_goes_unnoticed(start, stop, inserted):
    data = BY_KEY[:start] + inserted + BY_KEY[max(start, stop) :]
    if data != BY_KEY:
        with refuses(BadFileError, file="a.seal"):
            decrypt_bytes(data, name="a.seal", key=PRIVATE)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (CONTENT, ""),
        (b"modelseal-encrypted 2.0\n{}\n", ""),
        (b"modelseal-encrypted 1.0\n{}", ""),
        (b"modelseal-encrypted 1.0\n" + b" " * 1025 + b"\n", ""),
        (BY_KEY.replace(b'{"cipher"', b'{ "cipher"'), ""),
        (reheaded(lambda h: h.update(cipher="aes")), "cipher"),
        (reheaded(lambda h: h.update(more=1)), "more"),
        (reheaded(lambda h: h.pop("nonce")), "nonce"),
        (reheaded(lambda h: h.update(nonce="00" * 11)), "nonce"),
        (reheaded(lambda h: h["lock"].update(how="rsa")), "lock"),
        *(
            (reheaded(lambda h, c=cost: h["lock"].update(cost=c), BY_WORDS), "lock.scrypt.cost")
            for cost in (-1, 0, 13, 19, 10**9, "17", 17.0, True)
        ),
    ],
)
def test_a_header_is_refused_before_anything_is_computed(data, field, monkeypatch):
    for name in ("Scrypt", "HKDF", "ChaCha20Poly1305"):
        monkeypatch.setattr(encryption, name, None)
    with refuses(BadFileError, file="a.seal", field=field):
        decrypt_bytes(data, name="a.seal", key=PRIVATE, passphrase=WORDS)


@pytest.mark.parametrize(
    ("data", "settings", "problem"),
    [
        (BY_KEY, {}, "expected its private key, got none"),
        (BY_KEY, {"passphrase": WORDS}, "expected its private key, got none"),
        (BY_WORDS, {"key": PRIVATE}, "expected its passphrase, got none"),
        (BY_KEY, {"key": X25519PrivateKey.generate()}, LOCKED),
        (BY_WORDS, {"passphrase": "other"}, LOCKED),
        (reheaded(lambda h: h["lock"].update(ephemeral="00" * 32)), {"key": PRIVATE}, LOCKED),
    ],
)
def test_a_missing_key_is_told_apart_from_a_wrong_one_but_no_more(data, settings, problem):
    with refuses(BadFileError, file="a.seal") as caught:
        decrypt_bytes(data, name="a.seal", **settings)
    caught.match(problem)


def test_want_of_memory_is_one_sentence(monkeypatch):
    def fail(**_):
        raise MemoryError

    monkeypatch.setattr(encryption, "Scrypt", fail)
    with refuses(BadFileError, file="a.seal") as caught:
        decrypt_bytes(BY_WORDS, name="a.seal", passphrase=WORDS)
    caught.match("16 MiB")


def test_too_many_bytes_are_refused_before_anything_else(monkeypatch):
    largest = encryption.MAX_CONTENT + 16
    assert largest + 2 * encryption.MAX_LINE <= encryption.MAX_BYTES < 2**31 - 1
    monkeypatch.setattr(encryption, "MAX_BYTES", 100)
    monkeypatch.setattr(encryption, "MAX_CONTENT", 50)
    with refuses(BadFileError, file="a.seal"):
        decrypt_bytes(BY_KEY, name="a.seal", key=PRIVATE)
    with refuses(InvalidArgumentError):
        encrypt_bytes(bytes(51), encrypt_to=PUBLIC)


@pytest.fixture
def place(tmp_path):
    """A folder with pairs of keys, a passphrase, and a fingerprint encrypted to each."""
    make_keys(tmp_path / "k")
    make_keys(tmp_path / "s", "signing")
    (tmp_path / "words").write_bytes(WORDS + b"\n")
    made = sealed.fingerprint()
    made.save(tmp_path / "plain.seal")
    made.save(tmp_path / "key.seal", encrypt_to=tmp_path / "k.pub.pem")
    made.save(tmp_path / "words.seal", passphrase=tmp_path / "words")
    return tmp_path


def test_a_key_or_a_passphrase_opens_what_it_fits_whichever_others_are_there(place, monkeypatch):
    settings = {"key": place / "k.pem", "passphrase": place / "words"}
    for name in ("plain.seal", "key.seal", "words.seal"):
        assert is_encrypted_file(place / name) is (name != "plain.seal")
        assert encode(load(place / name, **settings)) == CONTENT
    assert not is_encrypted_file(place / "missing")
    monkeypatch.setenv("MODELSEAL_KEY_FILE", str(place / "k.pem"))
    monkeypatch.setenv("MODELSEAL_PASSPHRASE", WORDS.decode())
    for name in ("key.seal", "words.seal"):
        assert encode(load(place / name)) == CONTENT
    # What is given comes before the environment.
    monkeypatch.setenv("MODELSEAL_PASSPHRASE", "wrong")
    assert encode(load(place / "words.seal", passphrase=WORDS.decode())) == CONTENT
    with refuses(BadFileError, file=place / "words.seal"):
        load(place / "words.seal")


def test_files_are_encrypted_and_decrypted(place, monkeypatch):
    encrypt(place / "plain.seal", place / "e.seal", encrypt_to=place / "k.pub.pem")
    decrypt(place / "e.seal", place / "again.seal", key=place / "k.pem")
    assert (place / "again.seal").read_bytes() == CONTENT
    with refuses(BadFileError, file=place / "e.seal"):
        encrypt(place / "e.seal", place / "x.seal", passphrase=WORDS)
    with refuses(InvalidArgumentError):
        encrypt(place / "plain.seal", place / "x.seal")
    monkeypatch.setenv("MODELSEAL_PASSPHRASE", WORDS.decode())
    encrypt(place / "plain.seal", place / "x.seal")
    assert encode(load(place / "x.seal", passphrase=WORDS)) == CONTENT


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_end_of_the_line_is_no_part_of_the_passphrase(place, end):
    (place / "words").write_bytes(WORDS + end)
    assert encode(load(place / "words.seal", passphrase=place / "words")) == CONTENT


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n", bytes(1025)])
def test_a_passphrase_has_a_length_and_a_limit(place, text):
    (place / "words").write_bytes(text)
    with refuses(BadFileError, file=place / "words"):
        load(place / "words.seal", passphrase=place / "words")
    for secret in ("", bytes(1025)):
        with refuses(InvalidArgumentError, field="passphrase"):
            load(place / "words.seal", passphrase=secret)


def test_no_error_ever_tells_a_passphrase(place):
    (place / "words").write_bytes(WORDS + b"-wrong\n")
    for opener in ({"passphrase": place / "words"}, {"key": place / "words"}, {}):
        for name in ("key.seal", "words.seal"):
            with refuses(BadFileError) as caught:
                load(place / name, **opener)
            error = caught.value
            while error is not None:
                assert WORDS.decode() not in repr(error) + str(error)
                error = error.__cause__


def test_a_plain_copy_never_touches_the_disk(place, monkeypatch):
    written = []
    monkeypatch.setattr(
        "modelseal.fingerprint.file_format.write_atomically", lambda _, data: written.append(data)
    )
    sealed.fingerprint().save(place / "new.seal", encrypt_to=place / "k.pub.pem")
    (data,) = written
    assert data.startswith(b"modelseal-encrypted 1.0\n")


READERS = {"k": (find_opening_key, read_recipient), "s": (read_signing_key, read_signer_key)}


@pytest.mark.parametrize("name", READERS)
def test_openssl_reads_the_keys_and_calls_them_the_same(place, name):
    der = subprocess.run(
        ["openssl", "pkey", "-in", place / f"{name}.pem", "-pubout", "-outform", "DER"],
        check=True,
        capture_output=True,
    ).stdout
    read_private, read_public = READERS[name]
    public = read_public(place / f"{name}.pub.pem")
    assert key_id(public) == f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert read_private(place / f"{name}.pem").public_key() == public


@pytest.mark.parametrize("purpose", KeyPurpose)
def test_a_private_key_may_have_a_passphrase_which_no_error_tells(tmp_path, purpose, monkeypatch):
    private, public = make_keys(tmp_path / "p", purpose, passphrase=MARKER)
    read_private, read_public = READERS["k" if purpose is KeyPurpose.ENCRYPTION else "s"]
    assert b"ENCRYPTED" in private.read_bytes()
    for secret in ("", "wrong"):
        monkeypatch.setenv("MODELSEAL_KEY_PASSPHRASE", secret)
        with refuses(BadFileError, file=private) as caught:
            read_private(private)
        assert MARKER not in str(caught.value)
    monkeypatch.setenv("MODELSEAL_KEY_PASSPHRASE", MARKER)
    assert read_private(private).public_key() == read_public(public)


def test_a_key_of_another_kind_or_none_is_refused(place):
    (place / "large.pem").write_bytes(bytes(2**17))
    (place / "none.pem").write_bytes(
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    )
    for name, (read_private, read_public) in READERS.items():
        (other,) = READERS.keys() - {name}
        for file in (f"{other}.pem", f"{name}.pub.pem", "large.pem", "none.pem", "words"):
            with refuses(BadFileError, file=place / file):
                read_private(place / file)
        for file in (f"{other}.pub.pem", f"{name}.pem", "large.pem", "none.pem", "words"):
            with refuses(BadFileError, file=place / file):
                read_public(place / file)


def test_without_the_extra_the_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from modelseal.errors import MissingExtraError\n"
        "import modelseal.fingerprint.file_format\n"
        "for name in ('encryption', 'signatures', 'sigstore_bundles'):\n"
        "    try:\n"
        "        __import__(f'modelseal.fingerprint.{name}')\n"
        "    except MissingExtraError as error:\n"
        "        assert 'modelseal[crypto]' in str(error), error\n"
        "    else:\n"
        "        raise SystemExit(f'{name} was imported')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_reading_a_plain_fingerprint_imports_no_cryptography():
    program = (
        "import sys, modelseal.fingerprint.file_format, modelseal.verification.verify\n"
        "import modelseal.cli.app\n"
        "raise SystemExit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
