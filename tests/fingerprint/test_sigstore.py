import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import private_sigstore
import pytest
import sealed
from private_sigstore import ISSUER, Sigstore, token
from refusals import refuses
from sigstore.dsse import StatementBuilder, Subject
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint import sigstore_bundles
from modelseal.fingerprint.file_format import encode
from modelseal.fingerprint.signatures import hash_model_files, signer_files
from modelseal.fingerprint.sigstore_bundles import (
    TOKEN,
    check,
    find_token,
    read_signer,
    sign,
    translated,
)

MADE = sealed.fingerprint()
OWNER = "owner@example.com"


@pytest.fixture(scope="module")
def sigstore():
    """A private Sigstore that is running, with its address."""
    own = Sigstore()
    with private_sigstore.serve(own) as url:
        own.url = url
        yield own


@pytest.fixture
def make_signer(sigstore, tmp_path):
    """Reads a signer out of files that say who it is and what Sigstore is trusted by."""

    def write(*, identity=OWNER, issuer=ISSUER, instance=None):
        content = sigstore.trust_config(sigstore.url) if instance is None else instance
        (tmp_path / "sigstore.json").write_text(json.dumps(content), encoding="utf-8")
        file = tmp_path / "signer.toml"
        file.write_text(
            f'identity = "{identity}"\nissuer = "{issuer}"\ninstance = "sigstore.json"\n',
            encoding="utf-8",
        )
        return read_signer(file)

    return write


@pytest.fixture
def signer(make_signer):
    return make_signer()


@pytest.fixture
def bundle(signer):
    return sign(MADE, signer, token=token(OWNER), name="s.toml")


def altered(bundle, change):
    """A bundle after its object was changed in place."""
    document = json.loads(bundle)
    change(document)
    return json.dumps(document).encode()


def payload_of(bundle):
    return json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))


def test_what_an_identity_has_signed_is_found_signed(signer, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    for model in (None, hash_model_files([tmp_path / "w.bin"])):
        text = sign(MADE, signer, token=token(OWNER), name="s.toml", model=model)
        said = check(text, MADE, signer, name="a.json")
        assert (said.fingerprint, said.model) == (MADE.digest, model)
        assert said.weights_digest == MADE.origin.weights_digest


def test_a_trusted_root_is_enough_to_verify(bundle, sigstore, make_signer):
    offline = make_signer(instance=sigstore.trusted_root("http://nowhere.invalid"))
    assert check(bundle, MADE, offline, name="a.json").fingerprint == MADE.digest
    with refuses(BadFileError, file="s.toml"):
        sign(MADE, offline, token=token(OWNER), name="s.toml")


def test_the_official_client_verifies_the_plain_file(bundle, tmp_path):
    (tmp_path / "out.seal").write_bytes(encode(MADE))
    (tmp_path / "out.seal.sigstore.json").write_bytes(bundle)
    names = ["--cert-identity", OWNER, "--cert-oidc-issuer", ISSUER]
    command = [sys.executable, "-m", "sigstore", "--trust-config", tmp_path / "sigstore.json"]
    result = subprocess.run(
        [*command, "verify", "identity", *names, tmp_path / "out.seal"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_who_runs_the_log_is_sent_the_statement_and_publishes_hashes(signer, sigstore, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    model = hash_model_files([tmp_path / "w.bin"])
    sigstore.asked.clear()
    bundle = sign(MADE, signer, token=token(OWNER), name="s.toml", model=model)
    request, entry = sigstore.asked
    assert set(json.loads(request)) == {"certificateSigningRequest"}
    envelope = json.loads(json.loads(entry)["spec"]["proposedContent"]["envelope"])
    assert json.loads(base64.b64decode(envelope["payload"])) == payload_of(bundle)
    assert set(payload_of(bundle)["predicate"]) == {"fingerprint", "weights_digest", "model"}
    published = sigstore.entries[-1].decode()
    assert "w.bin" not in published
    assert model.sha256 not in published


def test_a_workflow_is_an_identity(make_signer):
    workflow = "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main"
    signer = make_signer(identity=workflow)
    # A certificate names the file of the workflow, a token of GitHub does not.
    bundle = sign(MADE, signer, token=token(workflow), name="s.toml")
    assert check(bundle, MADE, signer, name="a.json")
    with refuses(BadFileError, file="s.toml") as caught:
        sign(MADE, signer, token=token("repo:o/r:ref:refs/heads/main"), name="s.toml")
    caught.match("SANs do not match https://github")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"identity": "other@example.com"}, f"Certificate's SANs do not match .*{OWNER}"),
        ({"issuer": "https://other.example"}, "Certificate's OIDCIssuer does not match"),
    ],
)
def test_another_identity_is_refused(bundle, make_signer, change, problem):
    with refuses(BadFileError, file="a.json") as caught:
        check(bundle, MADE, make_signer(**change), name="a.json")
    caught.match(problem)


@pytest.mark.parametrize(
    "other",
    [{"identity": "other@example.com"}, {"identity": OWNER, "issuer": "https://other.example"}],
)
def test_the_token_of_somebody_else_is_refused_before_anything_is_asked(signer, sigstore, other):
    sigstore.asked.clear()
    with refuses(BadFileError, file="s.toml"):
        sign(MADE, signer, token=token(**other), name="s.toml")
    assert sigstore.asked == []


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("certificateAuthorities", "failed to build timestamp certificate chain"),
        ("ctlogs", "failed to verify SCT on signing certificate"),
        ("tlogs", "invalid log entry: "),
    ],
)
def test_a_sigstore_of_other_keys_is_not_trusted(bundle, make_signer, sigstore, part, problem):
    trusted = sigstore.trusted_root(sigstore.url)
    foreign = trusted | {part: Sigstore().trusted_root(sigstore.url)[part]}
    with refuses(BadFileError, file="a.json") as caught:
        check(bundle, MADE, make_signer(instance=foreign), name="a.json")
    caught.match(problem)


def test_the_signature_of_another_fingerprint_is_refused(signer):
    text = sign(sealed.fingerprint(count=4), signer, token=token(OWNER), name="s.toml")
    with refuses(BadFileError, file="a.json", field="fingerprint"):
        check(text, MADE, signer, name="a.json")


def forged(document, change):
    """Changes what an envelope holds, in place."""
    payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    change(payload)
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


def entry_of(document):
    return document["verificationMaterial"]["tlogEntries"][0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda d: forged(
                d, lambda p: p["predicate"].update(weights_digest="sha256:" + "0" * 64)
            ),
            "DSSE: invalid signature",
        ),
        (
            lambda d: forged(d, lambda p: p["subject"][0]["digest"].update(sha256="0" * 64)),
            "DSSE: invalid signature",
        ),
        (lambda d: d["dsseEnvelope"].update(payloadType="text/plain"), "DSSE: invalid signature"),
        (lambda d: entry_of(d).update(integratedTime="1000000000"), "failed to build timestamp"),
        (
            lambda d: entry_of(d).update(
                integratedTime=str(int(entry_of(d)["integratedTime"]) + 1)
            ),
            "invalid log entry: SET: invalid inclusion promise",
        ),
        (
            lambda d: entry_of(d)["inclusionPromise"].update(signedEntryTimestamp="AAAA"),
            "invalid log entry: SET: invalid inclusion promise",
        ),
        (
            lambda d: entry_of(d)["inclusionProof"].update(rootHash="AAAA"),
            "invalid log entry: inclusion proof contains invalid root hash",
        ),
    ],
)
def test_a_changed_bundle_is_refused(bundle, signer, change, problem):
    with refuses(BadFileError, file="a.json") as caught:
        check(altered(bundle, change), MADE, signer, name="a.json")
    caught.match(problem)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"mediaType": 1}'])
def test_what_is_no_bundle_is_refused(signer, text):
    with refuses(BadFileError, file="a.json"):
        check(text, MADE, signer, name="a.json")


def bundle_of(statement, signer):
    """A good bundle about a statement of one's own."""
    subject = Subject.model_validate({"name": "x", "digest": statement["digest"]})
    built = StatementBuilder([subject], statement["type"], statement["predicate"]).build()
    context = SigningContext.from_trust_config(signer.config)
    with context.signer(IdentityToken(token(OWNER))) as signing:
        return signing.sign_dsse(built).to_json().encode()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "https://slsa.dev/provenance/v1"}, "predicateType"),
        ({"digest": {"sha256": "0" * 64}}, "subject"),
        ({"digest": {"sha512": "0" * 128}}, "subject[0].digest.sha512"),
        ({"digest": {}}, "subject[0].digest.sha256"),
        ({"predicate": {}}, "predicate.fingerprint"),
    ],
)
def test_a_good_signature_of_another_statement_is_refused(bundle, signer, change, field):
    payload = payload_of(bundle)
    statement = {
        "type": payload["predicateType"],
        "digest": payload["subject"][0]["digest"],
        "predicate": payload["predicate"],
        **change,
    }
    with refuses(BadFileError, file="a.json", field=field):
        check(bundle_of(statement, signer), MADE, signer, name="a.json")


@pytest.mark.parametrize("proof", ["", "nonsense", "expired"])
def test_a_token_that_is_none_is_told(signer, proof):
    proof = token(OWNER, minutes=-20) if proof == "expired" else proof
    with refuses(BadFileError, file="the identity token"):
        sign(MADE, signer, token=proof, name="s.toml")


def test_a_refusal_of_sigstore_is_told_without_the_token(signer, sigstore, monkeypatch):
    proof = token(OWNER)
    monkeypatch.setattr(sigstore, "fault", f"no, {proof}")
    with refuses(BadFileError, file="s.toml") as caught:
        sign(MADE, signer, token=proof, name="s.toml")
    assert proof not in str(caught.value)
    caught.match("403")


def test_an_envelope_that_holds_something_else_is_refused(bundle, signer, monkeypatch):
    monkeypatch.setattr(sigstore_bundles.Verifier, "verify_dsse", lambda *_: ("text/plain", b""))
    with refuses(BadFileError, file="a.json"):
        check(bundle, MADE, signer, name="a.json")


def test_a_sigstore_that_is_not_there_is_told(make_signer, sigstore):
    gone = make_signer(instance=sigstore.trust_config("http://127.0.0.1:9"))
    with refuses(BadFileError, file="s.toml") as caught:
        sign(MADE, gone, token=token(OWNER), name="s.toml")
    caught.match("127.0.0.1 cannot be reached")


def test_too_many_files_are_refused_before_anything_is_asked(signer, sigstore, monkeypatch):
    sigstore.asked.clear()
    monkeypatch.setattr(sigstore_bundles, "MAX_STATEMENT", 100)
    with refuses(InvalidArgumentError, field="model_files"):
        sign(MADE, signer, token=token(OWNER), name="s.toml")
    assert sigstore.asked == []


def public_signer(folder):
    """The file of a signer at the public service."""
    file = folder / "public.toml"
    file.write_text(f'identity = "{OWNER}"\nissuer = "{ISSUER}"\n', encoding="utf-8")
    return file


def test_by_default_the_public_service_is_asked_what_it_is_trusted_by(
    bundle, sigstore, monkeypatch, tmp_path
):
    config = ClientTrustConfig.from_json(json.dumps(sigstore.trust_config(sigstore.url)))
    monkeypatch.setattr(ClientTrustConfig, "production", lambda: config)
    public = read_signer(public_signer(tmp_path))
    assert check(bundle, MADE, public, name="a.json").fingerprint == MADE.digest


def test_a_public_service_that_is_not_reached_is_told(monkeypatch, tmp_path):
    def fail():
        raise OSError

    monkeypatch.setattr(ClientTrustConfig, "production", fail)
    with refuses(BadFileError, file="Sigstore"):
        read_signer(public_signer(tmp_path))


@pytest.mark.parametrize("content", [{}, [], {"mediaType": "text/plain"}, {"mediaType": 3}])
def test_an_instance_that_is_none_is_told(bundle, make_signer, content):
    with refuses(BadFileError, field=""):
        check(bundle, MADE, make_signer(instance=content), name="a.json")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        *(("", "identity"), ('identity = "a"', "issuer")),
        ('identity = ""\nissuer = "b"', "identity"),
        ('identity = "a"\nissuer = "b.c"', "issuer"),
        *(('identity = "a"\nissuer = "b"\nmore = 1', "more"), ("identity", "")),
    ],
)
def test_a_signer_that_is_wrong_is_told(tmp_path, text, field):
    file = tmp_path / "signer.toml"
    file.write_text(text, encoding="utf-8")
    with refuses(BadFileError, file=file, field=field):
        read_signer(file)


def test_the_file_of_the_documents_names_a_signer(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "protect-fingerprints.md"
    pattern = r'^```toml title="signer.toml"\n(.*?)^```$'
    (text,) = re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "signer.toml").write_text(text, encoding="utf-8")
    assert signer_files(tmp_path / "signer.toml") == (tmp_path / "signer.toml",)
    (tmp_path / "signer.toml").write_text(text.replace("# instance", "instance"), encoding="utf-8")
    assert signer_files(tmp_path / "signer.toml")[1] == tmp_path / "sigstore.json"


@pytest.mark.parametrize(
    ("error", "settings", "text"),
    [
        (RuntimeError("no\n proof here"), {"secret": "proof"}, r"\*\*\* here$"),
        (ValueError("x" * 1000), {}, "x{300}\\.\\.\\.$"),
        (ValueError("2 validation errors"), {"got": "none"}, "got none$"),
    ],
)
def test_an_error_of_the_library_is_one_sentence_without_secrets(error, settings, text):
    with refuses(BadFileError, file="a") as caught, translated("a", "b", **settings):
        raise error
    caught.match(text)


@pytest.fixture
def nowhere(monkeypatch):
    """A machine that is no CI, where nobody sits."""
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setattr(sigstore_bundles, "detect_credential", lambda: None)
    sit(monkeypatch, terminal=False)
    return monkeypatch


def sit(monkeypatch, *, terminal):
    monkeypatch.setattr(sys, "stdin", type("Input", (), {"isatty": lambda _: terminal})())


def test_a_token_comes_before_the_environment_and_that_before_the_ci(signer, tmp_path, nowhere):
    nowhere.setattr(sigstore_bundles, "detect_credential", lambda: "of the CI")
    assert find_token(signer, None) == "of the CI"
    nowhere.setenv(TOKEN, "of the environment")
    assert find_token(signer, None) == "of the environment"
    (tmp_path / "token").write_text("of the file\n")
    assert find_token(signer, tmp_path / "token") == "of the file"
    assert find_token(signer, "given") == "given"


@pytest.mark.parametrize("stdin", [None, "no terminal"])
def test_without_a_token_and_a_terminal_there_is_none(signer, nowhere, stdin):
    nowhere.setenv(TOKEN, "")
    if stdin is None:
        nowhere.setattr(sys, "stdin", None)
    with refuses(InvalidArgumentError, field="identity_token"):
        find_token(signer, None)


def test_at_a_terminal_the_browser_is_asked(signer, sigstore, make_signer, nowhere):
    asked = []

    class Browser:
        def __init__(self, url):
            asked.append(url)

        def identity_token(self):
            return "of the browser"

    nowhere.setattr(sigstore_bundles, "Issuer", Browser)
    sit(nowhere, terminal=True)
    assert find_token(signer, None) == "of the browser"
    assert len(asked) == 1
    with refuses(InvalidArgumentError, field="identity_token"):
        find_token(make_signer(instance=sigstore.trusted_root(sigstore.url)), None)


def test_what_goes_wrong_at_the_ci_or_in_the_browser_is_one_sentence(signer, nowhere):
    def fail(*_):
        raise RuntimeError("no\nluck")

    nowhere.setattr(sigstore_bundles, "Issuer", fail)
    sit(nowhere, terminal=True)
    with refuses(BadFileError, file="Sigstore"):
        find_token(signer, None)
    nowhere.setattr(sigstore_bundles, "detect_credential", fail)
    with refuses(BadFileError, file="Sigstore"):
        find_token(signer, None)


def test_a_file_that_holds_no_token_is_told_but_never_the_token(signer, tmp_path):
    proof = token("o@example.com")
    with refuses(InvalidArgumentError, field="identity_token") as caught:
        find_token(signer, tmp_path / proof)
    assert proof not in str(caught.value)
    (tmp_path / "token").write_bytes(b"\xff")
    for name in ("token", "gone"):
        with refuses(BadFileError, file=tmp_path / name):
            find_token(signer, tmp_path / name)
