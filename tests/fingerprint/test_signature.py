import base64
import copy
import hashlib
import json

import pytest
import sealed
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelseal.errors import BadFileError
from modelseal.fingerprint.codec import encode
from modelseal.fingerprint.signatures import check, list_model_files, sign

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
    return list_model_files(files)


def altered(document, change):
    """A signature file after its object was changed in place."""
    again = copy.deepcopy(document)
    change(again)
    return json.dumps(again).encode()


def test_a_signature_is_over_the_canonical_bytes_and_all_that_is_said_beside_them(model):
    document = json.loads(sign(MADE, KEY, time=TIME, model=model))
    signature = base64.b64decode(document.pop("signature"))
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    KEY.public_key().verify(signature, b"modelseal.signature/1\n" + text.encode())
    assert document["fingerprint"] == f"sha256:{hashlib.sha256(encode(MADE)).hexdigest()}"
    assert document["weights_digest"] == MADE.origin.weights_digest
    assert (document["time"], document["algorithm"]) == (TIME, "ed25519")


def test_what_was_signed_is_found_signed(model):
    for files in (None, model):
        text = sign(MADE, KEY, time=TIME, model=files)
        assert check(text, MADE, KEY.public_key(), name="a.sig").model == files


def test_any_change_of_what_was_signed_is_refused(model):
    document = json.loads(sign(MADE, KEY, time=TIME, model=model))
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
        with pytest.raises(BadFileError, match=r"^a\.sig: a signature of this statement was want"):
            check(altered(document, change), MADE, KEY.public_key(), name="a.sig")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d.update(algorithm="rsa"), "algorithm: "),
        (lambda d: d.update(schema="modelseal.signature/2"), "schema: "),
        (lambda d: d.update(more=1), "more: unknown key"),
        (lambda d: d.pop("time"), "time: is missing"),
        (lambda d: d.update(signature="AAAA"), "signature: "),
        (lambda d: d.update(key="sha256:" + "0" * 64), "key: sha256:"),
    ],
)
def test_what_is_no_signature_of_this_key_is_told(change, problem):
    document = json.loads(sign(MADE, KEY, time=TIME))
    with pytest.raises(BadFileError, match=rf"^a\.sig: {problem}"):
        check(altered(document, change), MADE, KEY.public_key(), name="a.sig")


def test_the_signature_of_another_fingerprint_is_refused():
    text = sign(sealed.fingerprint(count=4), KEY, time=TIME)
    with pytest.raises(BadFileError, match=r"^a\.sig: a signature of the fingerprint sha256:.* is"):
        check(text, MADE, KEY.public_key(), name="a.sig")


def test_another_key_is_called_by_its_name():
    text = sign(MADE, Ed25519PrivateKey.generate(), time=TIME)
    with pytest.raises(BadFileError, match=r"key: sha256:\w+ was wanted, but sha256:\w+ signed it"):
        check(text, MADE, KEY.public_key(), name="a.sig")
