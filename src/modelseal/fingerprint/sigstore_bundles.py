"""Signatures by an identity, as Sigstore makes and checks them. Needs the extra `sigstore`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import Field

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError, PassingError
from modelseal.files import read_bytes
from modelseal.fingerprint.fingerprint import Fingerprint
from modelseal.fingerprint.signatures import (
    MAX_BYTES,
    Claim,
    Hex,
    IdentityFile,
    ModelFiles,
    check_claim,
    claim,
)
from modelseal.settings import Section, parse_json, read_settings
from modelseal.timeouts import within

try:
    from sigstore.dsse import StatementBuilder
    from sigstore.dsse import Subject as SigstoreSubject
    from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
    from sigstore.oidc import IdentityToken, Issuer, detect_credential
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity
    from urllib3.exceptions import MaxRetryError
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature by an identity", "sigstore") from error

# The environment variable that Sigstore's own client takes a token from, too.
TOKEN = "SIGSTORE_IDENTITY_TOKEN"  # noqa: S105 (the name of a variable, not a token)
TIMEOUT = 60.0  # how many seconds Sigstore is waited for

# The largest statement that is signed: room for twenty thousand files of a model.
MAX_STATEMENT = 2**22

_MAX_TOKEN_BYTES = 2**16
_LONGEST = 300
_IN_TOTO = "application/vnd.in-toto+json"
_TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot"

_PredicateType = Literal["urn:modelseal:signature:1"]
(_PREDICATE,) = get_args(_PredicateType)
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Signer:
    """Who shall have signed, and what Sigstore is trusted by; `config` is None if nobody can sign.

    It says where Sigstore is, which a trusted root alone does not.
    """

    identity: str
    issuer: str
    root: TrustedRoot
    config: ClientTrustConfig | None


class Digests(Section):
    """The digests of a subject."""

    sha256: Hex


class Subject(Section):
    """What an in-toto statement is about."""

    name: str
    digest: Digests


class Statement(Section):
    """An in-toto statement about a fingerprint."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: tuple[Subject]
    predicate_type: Annotated[_PredicateType, Field(alias="predicateType")]
    predicate: Claim


def read_signer(path: Path) -> _Signer:
    """Reads who shall have signed, and what Sigstore is trusted by, from a `.toml` file."""
    file = read_settings(path, IdentityFile)
    root, config = _read_instance(path.parent / file.instance) if file.instance else ask_service()
    return _Signer(identity=file.identity, issuer=file.issuer, root=root, config=config)


def _read_instance(path: Path) -> tuple[TrustedRoot, ClientTrustConfig | None]:
    text = read_bytes(path, most=MAX_BYTES)
    with translated(str(path), "a client trust configuration or a trusted root", got="neither"):
        if str(json.loads(text)["mediaType"]).startswith(_TRUSTED_ROOT):
            return TrustedRoot.from_file(str(path)), None
        config = ClientTrustConfig.from_json(text.decode())
        return config.trusted_root, config


def ask_service() -> tuple[TrustedRoot, ClientTrustConfig]:
    """What the public service is trusted by now, and where it is."""
    with translated("Sigstore", "the roots of trust of the public service"):
        config = ClientTrustConfig.production()
        return config.trusted_root, config


def sign_by_identity(
    fingerprint: Fingerprint, file: Path, *, token: str | Path | None, model: ModelFiles | None
) -> tuple[bytes, str]:
    """The bundle that an identity makes of a fingerprint, and what the identity is called."""
    signer = _ask(lambda: read_signer(file))
    proof = find_token(signer, token)
    text = _ask(lambda: sign(fingerprint, signer, token=proof, name=str(file), model=model))
    return text, signer.identity


def require_identity(text: bytes, fingerprint: Fingerprint, file: Path, *, name: str) -> str:
    """Makes sure that a bundle is by an identity and of a fingerprint; says how it is called."""
    signer = _ask(lambda: read_signer(file))
    check(text, fingerprint, signer, name=name)
    return f"{signer.identity} of {signer.issuer}"


def _ask(act: Callable[[], Result]) -> Result:
    """What a call gives that may ask Sigstore, whose client waits for an answer for ever."""
    try:
        return within(TIMEOUT, act)
    except PassingError as error:
        raise error.at("Sigstore") from error


def sign(
    fingerprint: Fingerprint,
    signer: _Signer,
    *,
    token: str,
    name: str,
    model: ModelFiles | None = None,
) -> bytes:
    """Signs a fingerprint, and makes sure that the bundle is by whom it shall be.

    Returns:
        The bundle, as JSON of Sigstore's bundle format.
    """
    if signer.config is None:
        raise BadFileError(name, "expected a client trust configuration, got a trusted root")
    with translated("the identity token", "one for sigstore that is valid now", secret=token):
        identity = IdentityToken(token)
    _check_token(identity, signer, name=name)
    said = claim(fingerprint, model)
    predicate = said.model_dump(mode="json")
    size = len(json.dumps(predicate))
    if size > MAX_STATEMENT:
        problem = f"expected a statement of at most {MAX_STATEMENT} bytes, got {size}"
        raise InvalidArgumentError(problem, field="model_files")
    with (
        translated(name, f"a signature by {signer.identity}", secret=token),
        SigningContext.from_trust_config(signer.config).signer(identity) as signing,
    ):
        digest = {"sha256": said.fingerprint.removeprefix("sha256:")}
        subject = SigstoreSubject.model_validate({"name": "fingerprint", "digest": digest})
        statement = StatementBuilder([subject], _PREDICATE, predicate).build()
        text = signing.sign_dsse(statement).to_json().encode()
    check(text, fingerprint, signer, name=name)
    return text + b"\n"


def _check_token(token: IdentityToken, signer: _Signer, *, name: str) -> None:
    """Makes sure, before anything is logged for ever, that a token is of whom it shall be.

    Only the certificate has the last word: the identity of a workflow is another in a token.
    """
    found, issuer = token.identity, token.federated_issuer
    mails = "@" in signer.identity and "@" in found
    if issuer != signer.issuer or (mails and found != signer.identity):
        wanted = f"{signer.identity} of {signer.issuer}"
        raise BadFileError(name, f"expected a token of {wanted}, got one of {found} of {issuer}")


def check(text: bytes, fingerprint: Fingerprint, signer: _Signer, *, name: str) -> Claim:
    """What a bundle says, once it is that of this identity and fingerprint."""
    with translated(name, "a Sigstore bundle", got="none"):
        bundle = Bundle.from_json(text)
    with translated(name, f"a signature by {signer.identity}"):
        policy = Identity(identity=signer.identity, issuer=signer.issuer)
        kind, payload = Verifier(trusted_root=signer.root).verify_dsse(bundle, policy)
    if kind != _IN_TOTO:
        raise BadFileError(name, f"expected a payload of type {_IN_TOTO}, got {kind}")
    statement = parse_json(Statement, payload, name=name)
    said, (subject,) = statement.predicate, statement.subject
    check_claim(said, fingerprint, name=name)
    if f"sha256:{subject.digest.sha256}" != said.fingerprint:
        raise BadFileError(name, f"expected {said.fingerprint}, got another one", field="subject")
    return said


def find_token(signer: _Signer, given: str | Path | None) -> str:
    """A token or that in a file, or of the environment, the CI, or who logs in in a browser."""
    if isinstance(given, Path):
        return _read_token(given)
    if found := given or os.environ.get(TOKEN):
        return found
    with translated("Sigstore", "an identity token"):
        host = detect_credential()
    if host is not None:
        return host
    if signer.config is None or sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgumentError(
            f"expected an identity token from a file, {TOKEN}, a CI that gives one, or a terminal "
            "to log in from, got none",
            field="identity_token",
        )
    with translated("Sigstore", "an identity token"):
        return str(Issuer(signer.config.signing_config.get_oidc_url()).identity_token())


def _read_token(file: Path) -> str:
    # Whoever gives the token itself shall not find it in a log.
    if file.name.startswith("eyJ"):
        problem = "expected a file with an identity token, got a token"
        raise InvalidArgumentError(problem, field="identity_token")
    try:
        return read_bytes(file, most=_MAX_TOKEN_BYTES).decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise BadFileError(file, "expected an identity token, got something else") from error


@contextmanager
def translated(name: str, wanted: str, *, got: str = "", secret: str = "") -> Iterator[None]:
    """Makes one sentence of whatever the library raises: its errors have no common base."""
    try:
        yield
    except Exception as error:  # whatever is raised, a signature is not taken
        said = got or _reason(error)
        shown = said.replace(secret, "***") if secret else said
        cut = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
        raise BadFileError(
            name, f"expected {wanted}, got {'' if got else 'an error: '}{cut}"
        ) from error


def _reason(error: BaseException) -> str:
    """What an error says, on one line; an error without a word passes on its cause."""
    if host := _unreachable_host(error):
        return f"{host} cannot be reached"
    text = " ".join(str(error).split())
    if not text and error.__cause__ is not None:
        return _reason(error.__cause__)
    return text or type(error).__name__


def _unreachable_host(error: BaseException | None) -> str:
    while error is not None:
        for each in (error, *error.args):
            if isinstance(each, MaxRetryError) and each.pool:
                return each.pool.host
        error = error.__cause__ or error.__context__
    return ""
