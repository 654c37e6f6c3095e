import json
import sys

import pytest
import sigstore.oidc
from private_sigstore import ISSUER, Sigstore, token

from modelseal.cli.sign import TOKEN, find_token
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.sigstore_bundles import read_signer

URL = "http://login.invalid"


@pytest.fixture
def make_signer(tmp_path):
    """Reads a signer, at a Sigstore that can sign or only be trusted."""

    def write(*, signs=True):
        own = Sigstore()
        content = own.trust_config(URL) if signs else own.trusted_root(URL)
        (tmp_path / "sigstore.json").write_text(json.dumps(content))
        (tmp_path / "s.toml").write_text(
            f'identity = "o@example.com"\nissuer = "{ISSUER}"\ninstance = "sigstore.json"\n'
        )
        return read_signer(tmp_path / "s.toml")

    return write


@pytest.fixture
def signer(make_signer):
    return make_signer()


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch):
    """A machine that is no CI, where nobody sits."""
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setattr(sigstore.oidc, "detect_credential", lambda: None)
    sit(monkeypatch, terminal=False)


def sit(monkeypatch, *, terminal):
    monkeypatch.setattr(sys, "stdin", type("Input", (), {"isatty": lambda _: terminal})())


def test_a_file_comes_before_the_environment_and_that_before_the_ci(signer, tmp_path, monkeypatch):
    monkeypatch.setattr(sigstore.oidc, "detect_credential", lambda: "of the CI")
    assert find_token(signer, None) == "of the CI"
    monkeypatch.setenv(TOKEN, "of the environment")
    assert find_token(signer, None) == "of the environment"
    (tmp_path / "token").write_text("of the file\n")
    assert find_token(signer, tmp_path / "token") == "of the file"


def test_an_empty_variable_is_none(signer, monkeypatch):
    monkeypatch.setenv(TOKEN, "")
    with pytest.raises(InvalidArgumentError, match=f"token was wanted: .*{TOKEN}"):
        find_token(signer, None)


@pytest.mark.parametrize("stdin", [None, "no terminal"])
def test_without_a_token_and_a_terminal_it_is_told(signer, monkeypatch, stdin):
    if stdin is None:
        monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InvalidArgumentError, match=r"^an identity token was wanted: from --identi"):
        find_token(signer, None)


def test_at_a_terminal_the_browser_is_asked(signer, make_signer, monkeypatch):
    asked = []

    class Browser:
        def __init__(self, url):
            asked.append(url)

        def identity_token(self):
            return "of the browser"

    monkeypatch.setattr(sigstore.oidc, "Issuer", Browser)
    sit(monkeypatch, terminal=True)
    assert find_token(signer, None) == "of the browser"
    assert asked == [URL]
    with pytest.raises(InvalidArgumentError, match="a terminal to log in from"):
        find_token(make_signer(signs=False), None)


def test_what_goes_wrong_at_the_ci_or_in_the_browser_is_one_sentence(signer, monkeypatch):
    def fail(*_):
        raise RuntimeError("no\nluck")

    monkeypatch.setattr(sigstore.oidc, "Issuer", fail)
    sit(monkeypatch, terminal=True)
    with pytest.raises(
        BadFileError, match=r"^Sigstore: an identity token was wanted, but no luck$"
    ):
        find_token(signer, None)
    monkeypatch.setattr(sigstore.oidc, "detect_credential", fail)
    with pytest.raises(
        BadFileError, match=r"^Sigstore: an identity token was wanted, but no luck$"
    ):
        find_token(signer, None)


def test_a_token_in_place_of_its_file_is_not_told(signer, tmp_path):
    proof = token("o@example.com")
    with pytest.raises(InvalidArgumentError, match="but a token came") as caught:
        find_token(signer, tmp_path / proof)
    assert proof not in str(caught.value)


def test_a_file_that_holds_no_token_is_told(signer, tmp_path):
    (tmp_path / "token").write_bytes(b"\xff")
    with pytest.raises(BadFileError, match="token: an identity token was wanted, but this is none"):
        find_token(signer, tmp_path / "token")
    with pytest.raises(BadFileError, match="gone: cannot be read"):
        find_token(signer, tmp_path / "gone")
