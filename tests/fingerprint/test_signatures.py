import base64
import copy
import hashlib
import json
import os

import model_signing
import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from refusals import refuses

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.encryption import make_keys
from modelseal.fingerprint.file_format import encode, load
from modelseal.fingerprint.signatures import (
    check_by_key,
    check_signature,
    hash_model_files,
    sign,
    sign_by_key,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MADE = sealed.fingerprint()
TIME = "2026-11-23T10:00:00Z"


@pytest.fixture
def model(tmp_path):
    """A model of two files in two folders."""
    (tmp_path / "m" / "part").mkdir(parents=True)
    files = [tmp_path / "m" / "weights.bin", tmp_path / "m" / "part" / "more.bin"]
    for path in files:
        path.write_bytes(path.name.encode())
    return hash_model_files(files)


def altered(document, change):
    """A signature file after its object was changed in place."""
    again = copy.deepcopy(document)
    change(again)
    return json.dumps(again).encode()


def test_a_signature_is_over_the_canonical_bytes_and_all_that_is_said_beside_them(model):
    document = json.loads(sign_by_key(MADE, KEY, time=TIME, model=model))
    signature = base64.b64decode(document.pop("signature"))
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    KEY.public_key().verify(signature, b"modelseal.signature/1\n" + text.encode())
    assert document["fingerprint"] == f"sha256:{hashlib.sha256(encode(MADE)).hexdigest()}"
    assert document["weights_digest"] == MADE.origin.weights_digest
    assert (document["time"], document["algorithm"]) == (TIME, "ed25519")


def test_what_was_signed_is_found_signed(model):
    for files in (None, model):
        text = sign_by_key(MADE, KEY, time=TIME, model=files)
        assert check_by_key(text, MADE, KEY.public_key(), name="a.sig").model == files


def test_any_change_of_what_was_signed_is_refused(model):
    document = json.loads(sign_by_key(MADE, KEY, time=TIME, model=model))
    other = Ed25519PrivateKey.generate().sign(b"")
    changes = [
        lambda d: d.update(fingerprint="sha256:" + "0" * 64),
        lambda d: d.update(weights_digest="sha256:" + "0" * 64),
        lambda d: d.update(time="2026-11-23T10:00:01Z"),
        lambda d: d.update(model=None),
        lambda d: d["model"].update(sha256="0" * 64),
        lambda d: d["model"]["resources"][0].update(name="other"),
        lambda d: d["model"]["resources"][1].update(digest="0" * 64),
        lambda d: d["model"]["resources"].reverse(),
        lambda d: d.update(signature=base64.b64encode(other).decode()),
    ]
    for change in changes:
        with refuses(BadFileError, file="a.sig", field="signature"):
            check_by_key(altered(document, change), MADE, KEY.public_key(), name="a.sig")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.update(algorithm="rsa"), "algorithm"),
        (lambda d: d.update(schema="modelseal.signature/2"), "schema"),
        (lambda d: d.update(more=1), "more"),
        (lambda d: d.pop("time"), "time"),
        (lambda d: d.update(signature="AAAA"), "signature"),
        (lambda d: d.update(key="sha256:" + "0" * 64), "key"),
    ],
)
def test_what_is_no_signature_of_this_key_is_told(change, field):
    document = json.loads(sign_by_key(MADE, KEY, time=TIME))
    with refuses(BadFileError, file="a.sig", field=field):
        check_by_key(altered(document, change), MADE, KEY.public_key(), name="a.sig")


@pytest.fixture
def place(tmp_path):
    """A folder with a fingerprint and a pair of signing keys."""
    MADE.save(tmp_path / "out.seal")
    make_keys(tmp_path / "s", "signing")
    return tmp_path


def test_a_file_is_signed_and_its_signature_required(place):
    made = sign(place / "out.seal", key=place / "s.pem")
    assert made.file == place / "out.seal.sig"
    assert check_signature(place / "out.seal", place / "s.pub.pem") == made.signer
    found = load(place / "out.seal", require_signature=place / "s.pub.pem")
    assert (found.signer, found.digest) == (made.signer, MADE.digest)
    made.file.unlink()
    with refuses(BadFileError, file=made.file):
        load(place / "out.seal", require_signature=place / "s.pub.pem")


@pytest.mark.parametrize("signers", [{}, {"key": "s.pem", "sigstore": "s.toml"}])
def test_a_file_is_signed_by_a_key_or_by_an_identity(place, signers):
    with refuses(InvalidArgumentError, field="key"):
        sign(place / "out.seal", **signers)


def signed_by_model_signing(path, folder):
    """The statement of an OMS signature that the program of OpenSSF makes of a model."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = folder / "ec.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signature = folder / "model.sig"
    signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=private)
    signing.sign(path, signature)
    bundle = json.loads(signature.read_text(encoding="utf-8"))
    return json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))


def test_the_files_of_a_model_are_listed_as_the_program_of_model_signing_lists_them(tmp_path):
    model = tmp_path / "m"
    # As texts, some of these would be in another order than as paths.
    for name in ("a/x.bin", "a-b/x.bin", "a.bin", "B/z", "a/y/q.bin", "\u00e4.bin"):
        file = model / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    theirs = signed_by_model_signing(model, tmp_path)
    ours = hash_model_files(file for file in model.rglob("*") if file.is_file())
    assert [each.model_dump() for each in ours.resources] == theirs["predicate"]["resources"]
    assert ours.sha256 == theirs["subject"][0]["digest"]["sha256"]


def test_a_model_of_one_file_has_the_root_digest_of_model_signing(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    theirs = signed_by_model_signing(tmp_path / "w.bin", tmp_path)
    ours = hash_model_files([tmp_path / "w.bin"])
    assert ours.sha256 == theirs["subject"][0]["digest"]["sha256"]


def test_a_file_of_the_model_that_cannot_be_read_is_one_sentence(tmp_path):
    with refuses(BadFileError, file=tmp_path / "w.bin"):
        hash_model_files([tmp_path / "w.bin"])


def test_a_name_that_is_no_text_is_told(tmp_path):
    file = tmp_path / os.fsdecode(b"w\xff.bin")
    file.write_bytes(b"")
    with refuses(BadFileError):
        hash_model_files([file])


def test_a_file_of_the_model_counts_once(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"")
    for files in ([], [tmp_path / "w.bin", tmp_path / "." / "w.bin"]):
        with refuses(InvalidArgumentError, field="model_files"):
            hash_model_files(files)
