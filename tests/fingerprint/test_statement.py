import base64
import json
import os

import model_signing
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.signatures import list_model_files


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
    ours = list_model_files(file for file in model.rglob("*") if file.is_file())
    assert [each.model_dump() for each in ours.resources] == theirs["predicate"]["resources"]
    assert ours.sha256 == theirs["subject"][0]["digest"]["sha256"]


def test_a_model_of_one_file_has_the_root_digest_of_model_signing(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    theirs = signed_by_model_signing(tmp_path / "w.bin", tmp_path)
    ours = list_model_files([tmp_path / "w.bin"])
    assert ours.sha256 == theirs["subject"][0]["digest"]["sha256"]


def test_a_model_of_one_file_is_called_by_its_name(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"")
    assert [each.name for each in list_model_files([tmp_path / "w.bin"]).resources] == ["w.bin"]


def test_a_file_of_the_model_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(BadFileError, match=r"w\.bin: cannot be read: No such file"):
        list_model_files([tmp_path / "w.bin"])


def test_a_name_that_is_no_text_is_told(tmp_path):
    file = tmp_path / os.fsdecode(b"w\xff.bin")
    file.write_bytes(b"")
    with pytest.raises(BadFileError, match=r"w\\udcff\.bin': a name in UTF-8 was wanted"):
        list_model_files([file])


def test_a_file_of_the_model_counts_once(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"")
    for files in ([], [tmp_path / "w.bin", tmp_path / "." / "w.bin"]):
        with pytest.raises(InvalidArgumentError, match="each file of the model was wanted once"):
            list_model_files(files)
