import hashlib
import subprocess

import pytest

from modelseal.errors import BadFileError
from modelseal.fingerprint.signatures import (
    Purpose,
    key_id,
    make_pair,
    read_opening_key,
    read_recipient,
    read_signer,
    read_signing_key,
)

READERS = {
    Purpose.ENCRYPTION: (read_opening_key, read_recipient),
    Purpose.SIGNING: (read_signing_key, read_signer),
}


def write_pair(folder, purpose, **settings):
    private, public = make_pair(purpose, **settings)
    (folder / "k.pem").write_bytes(private)
    (folder / "k.pub").write_bytes(public)


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("passphrase", [None, b"marker"])
def test_a_pair_is_read_back_and_belongs_together(tmp_path, purpose, passphrase):
    write_pair(tmp_path, purpose, passphrase=passphrase)
    read_private, read_public = READERS[purpose]
    key = read_private(tmp_path / "k.pem", passphrase=b"marker")
    assert key.public_key() == read_public(tmp_path / "k.pub")
    assert (b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()) == (passphrase is not None)


@pytest.mark.parametrize("purpose", Purpose)
def test_openssl_reads_the_keys_and_calls_them_the_same(tmp_path, purpose):
    write_pair(tmp_path, purpose)
    der = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "k.pem", "-pubout", "-outform", "DER"],
        check=True,
        capture_output=True,
    ).stdout
    public = READERS[purpose][1](tmp_path / "k.pub")
    assert key_id(public) == f"sha256:{hashlib.sha256(der).hexdigest()}"


@pytest.mark.parametrize("purpose", Purpose)
def test_a_key_for_the_other_purpose_is_refused(tmp_path, purpose):
    write_pair(tmp_path, purpose)
    ((read_private, read_public),) = (READERS[each] for each in Purpose if each is not purpose)
    with pytest.raises(BadFileError, match=r"a private \w+ key was wanted, but another one came"):
        read_private(tmp_path / "k.pem")
    with pytest.raises(BadFileError, match=r"a public \w+ key was wanted, but another one came"):
        read_public(tmp_path / "k.pub")


def test_the_two_halves_are_not_taken_for_one_another(tmp_path):
    write_pair(tmp_path, Purpose.SIGNING)
    with pytest.raises(BadFileError, match="a private Ed25519 key was wanted, but this is none"):
        read_signing_key(tmp_path / "k.pub")
    with pytest.raises(BadFileError, match="a public Ed25519 key was wanted, but this is none"):
        read_signer(tmp_path / "k.pem")


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_a_missing_or_wrong_passphrase_is_one_sentence_that_does_not_tell_it(tmp_path, passphrase):
    write_pair(tmp_path, Purpose.SIGNING, passphrase=b"marker")
    wanted = "its passphrase is another one" if passphrase else "MODELSEAL_KEY_PASSPHRASE"
    with pytest.raises(BadFileError, match=wanted) as caught:
        read_signing_key(tmp_path / "k.pem", passphrase=passphrase)
    assert "marker" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", bytes(2**17)]
)
def test_anything_else_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "k.pem").write_bytes(text)
    for read in (read_signing_key, read_signer):
        with pytest.raises(BadFileError, match=r"k\.pem: (a \w+ Ed25519 key|at most 65536 bytes)"):
            read(tmp_path / "k.pem")
