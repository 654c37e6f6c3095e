import base64
import hashlib
import hmac
import json

import numpy as np
import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from evidence import TIME, salts_of

from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import file_digest
from modelseal.verification.commitment import (
    commit,
    describe_sample,
    domain_of,
    draw_salts,
    leaf,
    read_commitment,
    read_salts,
    write_part,
)

MADE = sealed.fingerprint(count=4)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("spec", sealed.SPECS, ids=str)
@pytest.mark.parametrize("domain", sealed.DOMAINS, ids=str)
def test_every_hash_is_what_the_page_on_the_format_says(spec, domain):
    # Computed apart from the module, by the page alone.
    made = sealed.fingerprint(count=2, spec=spec, domain=domain)
    commitment = commit(made, salts_of(made))
    secret = bytes.fromhex("5" * 64)
    for number, found in enumerate(commitment.samples):
        message = b"modelseal.commitment/1 salt\n" + number.to_bytes(8, "little")
        salt = hmac.new(secret, message + file_digest(made).encode(), hashlib.sha256).digest()
        expected = made.expected
        sample = {
            "codes": base64.b64encode(made.samples[number].tobytes()).decode(),
            "labels": expected.labels[number].tolist() if expected.labels is not None else None,
            "values": expected.values[number].tolist() if expected.values is not None else None,
            "margin": made.margins[number],
        }
        text = b"modelseal.commitment/1 sample\n" + salt + canonical(sample)
        assert found == hashlib.sha256(text).hexdigest()


def test_a_commitment_is_read_back_as_it_was_written():
    commitment = commit(MADE, salts_of(MADE))
    text = write_part(commitment)
    assert read_commitment(text, name="c.json") == commitment
    assert write_part(read_commitment(text, name="c.json")) == text
    assert domain_of(commitment) == MADE.domain


def test_the_key_of_bundles_comes_of_the_salts_alone():
    message = b"modelseal.commitment/1 signing key\n" + file_digest(MADE).encode()
    seed = hmac.new(bytes.fromhex("5" * 64), message, hashlib.sha256).digest()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()
    assert commit(MADE, salts_of(MADE)).key == public


def test_the_same_sample_twice_gives_two_hashes():
    made = sealed.fingerprint(count=2, samples=np.zeros((2, 2, 3), np.uint8))
    same = made.take(np.array([0, 0]))
    first, second = commit(same, salts_of(same)).samples
    assert first != second


def test_whoever_guesses_the_whole_file_learns_nothing_from_the_commitment():
    # The salts are no function of the file: another draw gives other hashes everywhere.
    one, other = (commit(MADE, draw_salts(MADE, time=TIME)) for _ in range(2))
    assert not set(one.samples) & set(other.samples)
    assert one.key != other.key


def test_a_salt_that_was_revealed_for_one_fingerprint_is_none_of_another():
    other = sealed.fingerprint(count=3)
    assert salts_of(MADE).salt(0) != salts_of(other).salt(0)


def test_a_changed_sample_has_another_hash():
    salt = salts_of(MADE).salt(0)
    sample = describe_sample(MADE, 0)
    for key, value in {"codes": "AAAA", "labels": [9], "values": [0.5], "margin": 2.0}.items():
        assert leaf(sample | {key: value}, salt) != leaf(sample, salt)


def test_the_salts_of_another_fingerprint_are_refused():
    text = write_part(draw_salts(sealed.fingerprint(count=3), time=TIME))
    with pytest.raises(BadFileError, match="but they are those of another one"):
        read_salts(text, MADE, name="s")


def test_the_secret_never_shows():
    assert "5555" not in repr(salts_of(MADE))


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"schema": "modelseal.commitment/2"}'])
def test_what_is_no_commitment_and_no_salts_is_refused(text):
    with pytest.raises(BadFileError, match=r"^c\.json: "):
        read_commitment(text, name="c.json")
    with pytest.raises(BadFileError, match=r"^c\.json: "):
        read_salts(text, MADE, name="c.json")
