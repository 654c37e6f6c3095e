import json
import subprocess
import sys
from pathlib import Path

import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint import encryption
from modelseal.fingerprint.codec import decode, encode
from modelseal.fingerprint.encryption import LOCKED, Passphrase, decrypt, encrypt

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = Passphrase(secret=b"correct horse battery staple")
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTENT = encode(sealed.fingerprint())
BY_KEY = encrypt(CONTENT, PRIVATE.public_key())
BY_WORDS = encrypt(CONTENT, WORDS, cost=14)


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
    assert decrypt(encrypt(content, PRIVATE.public_key()), PRIVATE, name="a.seal") == content


@settings(max_examples=10)
@given(st.binary(max_size=300), st.binary(min_size=1, max_size=1024))
def test_whatever_is_encrypted_to_a_passphrase_comes_back_with_it(content, secret):
    words = Passphrase(secret=secret)
    assert decrypt(encrypt(content, words, cost=14), words, name="a.seal") == content


def test_an_encrypted_fingerprint_holds_nothing_of_the_plain_one():
    for data in (BY_KEY, BY_WORDS):
        locked = data.split(b"\n", 2)[2]
        assert not any(CONTENT[place : place + 8] in locked for place in range(len(CONTENT) - 8))
    assert encrypt(CONTENT, PRIVATE.public_key()) != BY_KEY


def test_the_content_is_what_the_page_on_the_format_says():
    # Computed apart from the module, by the page alone.
    first, line, locked = BY_WORDS.split(b"\n", 2)
    header = json.loads(line)
    assert (first, header["cipher"]) == (b"modelseal-encrypted 1.0", "chacha20-poly1305")
    salt, nonce = bytes.fromhex(header["lock"]["salt"]), bytes.fromhex(header["nonce"])
    key = Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(WORDS.secret)
    assert ChaCha20Poly1305(key).decrypt(nonce, locked, first + b"\n" + line + b"\n") == CONTENT

    first, line, locked = BY_KEY.split(b"\n", 2)
    header = json.loads(line)
    fresh = bytes.fromhex(header["lock"]["ephemeral"])
    shared = PRIVATE.exchange(encryption.X25519PublicKey.from_public_bytes(fresh))
    salt = fresh + PRIVATE.public_key().public_bytes_raw()
    info = b"modelseal-encrypted 1.0 x25519"
    key = HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(shared)
    nonce = bytes.fromhex(header["nonce"])
    assert ChaCha20Poly1305(key).decrypt(nonce, locked, first + b"\n" + line + b"\n") == CONTENT


def test_the_golden_file_is_opened_for_ever():
    data = (GOLDEN / "encrypted-1.0.locked").read_bytes()
    content = decrypt(data, WORDS, name="golden")
    assert encode(decode(content, name="golden")) == CONTENT == content


def test_every_flipped_byte_is_refused():
    for place in range(len(BY_KEY)):
        data = bytearray(BY_KEY)
        data[place] ^= 1
        with pytest.raises(BadFileError, match=r"^a\.seal: "):
            decrypt(bytes(data), PRIVATE, name="a.seal")


@settings(max_examples=300)
@given(st.integers(0, len(BY_KEY) - 1), st.integers(0, len(BY_KEY)), st.binary(max_size=16))
def test_nothing_cut_out_or_put_in_goes_unnoticed(start, stop, inserted):
    data = BY_KEY[:start] + inserted + BY_KEY[max(start, stop) :]
    if data != BY_KEY:
        with pytest.raises(BadFileError, match=r"^a\.seal: "):
            decrypt(data, PRIVATE, name="a.seal")


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from([b"", b"modelseal-encrypted 1.0\n"]))
def test_any_bytes_are_refused_in_one_sentence(data, before):
    with pytest.raises(BadFileError, match=r"^a\.seal: .*"):
        decrypt(before + data, PRIVATE, name="a.seal")


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (BY_KEY, X25519PrivateKey.from_private_bytes(b"\1" * 32)),
        (BY_WORDS, Passphrase(secret=b"incorrect horse")),
    ],
    ids=["key", "passphrase"],
)
def test_a_wrong_key_and_a_changed_byte_are_one_and_the_same_sentence(data, wrong):
    right = PRIVATE if data == BY_KEY else WORDS
    changed = data[:-1] + bytes([data[-1] ^ 1])
    for attempt, opener in ((data, wrong), (changed, right)):
        with pytest.raises(BadFileError) as caught:
            decrypt(attempt, opener, name="a.seal")
        assert str(caught.value) == f"a.seal: {LOCKED}"


@pytest.mark.parametrize(
    ("data", "opener", "problem"),
    [
        (BY_KEY, None, "is encrypted: its private key was wanted, but none came"),
        (BY_KEY, WORDS, "is encrypted: its private key was wanted, but none came"),
        (BY_WORDS, None, "is encrypted: its passphrase was wanted, but none came"),
        (BY_WORDS, PRIVATE, "is encrypted: its passphrase was wanted, but none came"),
        (CONTENT, PRIVATE, "an encrypted fingerprint was wanted, but this is something else"),
        (b"modelseal-encrypted 2.0\n{}\n", PRIVATE, "version 1.0 of .* but '2.0' came"),
        (b"modelseal-encrypted 1.0\n{}", PRIVATE, "a header of at most 1024 bytes was wanted"),
        (b"modelseal-encrypted 1.0\n" + b" " * 1025 + b"\n", PRIVATE, "a header of at most 1024"),
        (reheaded(lambda h: h.update(cipher="aes")), PRIVATE, "cipher: "),
        (reheaded(lambda h: h.update(more=1)), PRIVATE, "more: unknown key"),
        (reheaded(lambda h: h.pop("nonce")), PRIVATE, "nonce: is missing"),
        (reheaded(lambda h: h.update(nonce="00" * 11)), PRIVATE, "nonce: "),
        (reheaded(lambda h: h["lock"].update(how="rsa")), PRIVATE, "lock: "),
        (reheaded(lambda h: h["lock"].update(ephemeral="00" * 32)), PRIVATE, LOCKED),
        (BY_KEY.replace(b'{"cipher"', b'{ "cipher"'), PRIVATE, "a canonical header was wanted"),
    ],
)
def test_what_is_wrong_is_told_apart_as_far_as_that_helps_nobody_who_tries_keys(
    data, opener, problem
):
    with pytest.raises(BadFileError, match=rf"^a\.seal: {problem}"):
        decrypt(data, opener, name="a.seal")


@pytest.mark.parametrize("cost", [-1, 0, 13, 19, 40, 10**9, "17", 17.0, True])
def test_a_header_that_asks_for_too_much_work_is_refused_before_any(cost, monkeypatch):
    monkeypatch.setattr(encryption, "Scrypt", None)
    data = reheaded(lambda header: header["lock"].update(cost=cost), BY_WORDS)
    with pytest.raises(BadFileError, match=r"^a\.seal: lock\.scrypt\.cost: "):
        decrypt(data, WORDS, name="a.seal")


def test_want_of_memory_is_one_sentence(monkeypatch):
    def fail(**_):
        raise MemoryError

    monkeypatch.setattr(encryption, "Scrypt", fail)
    with pytest.raises(BadFileError, match="this takes 16 MiB of memory, which is not there"):
        decrypt(BY_WORDS, WORDS, name="a.seal")


@pytest.mark.parametrize("cost", [13, 19])
def test_a_cost_that_readers_refuse_is_never_written(cost):
    with pytest.raises(InvalidArgumentError, match=f"a cost from 14 to 18 was wanted, but {cost}"):
        encrypt(CONTENT, WORDS, cost=cost)


def test_too_many_bytes_are_refused_before_anything_else(monkeypatch):
    monkeypatch.setattr(encryption, "MAX_BYTES", 100)
    monkeypatch.setattr(encryption, "MAX_CONTENT", 50)
    with pytest.raises(BadFileError, match="at most 100 bytes were wanted, but it has"):
        decrypt(BY_KEY, PRIVATE, name="a.seal")
    with pytest.raises(InvalidArgumentError, match="at most 50 bytes can be encrypted"):
        encrypt(bytes(51), WORDS)


def test_the_largest_content_stays_within_what_is_read_and_what_the_cipher_takes():
    largest = encryption.MAX_CONTENT + 16
    assert largest + 2 * encryption.MAX_LINE <= encryption.MAX_BYTES < 2**31 - 1


@pytest.mark.parametrize("secret", [b"", bytes(1025)])
def test_a_passphrase_has_a_length_and_a_limit(secret):
    with pytest.raises(InvalidArgumentError, match="a passphrase of 1 to 1024 bytes was wanted"):
        Passphrase(secret=secret)


def test_a_passphrase_never_shows():
    assert "horse" not in repr(WORDS) + str(WORDS)


def test_without_the_extra_the_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from modelseal.errors import MissingExtraError\n"
        "import modelseal.fingerprint.codec\n"
        "for name in ('encryption', 'keys', 'signature'):\n"
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
        "import sys, modelseal.fingerprint.codec, modelseal.verification.verify\n"
        "import modelseal.cli.app\n"
        "raise SystemExit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
