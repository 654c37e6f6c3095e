"""What goes wrong in Sigstore's client, as one sentence.

Needs the extra `sigstore`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.files import read_bytes
from modelseal.fingerprint.record import Fingerprint
from modelseal.fingerprint.signatures import Claim, Hex, ModelFiles, check_claim, claim
from modelseal.settings import Section, parse_json, read_settings

try:
    from urllib3.exceptions import MaxRetryError
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature by an identity", "sigstore") from error

LONGEST = 300
"""How many characters of a problem that the library tells are shown."""


@contextmanager
def told(name: str, wanted: str, *, reason: str = "", secret: str = "") -> Iterator[None]:
    """Tells whatever the library raises in one sentence: its errors have no common base.

    Args:
        name: The file that it is about.
        wanted: What was wanted.
        reason: What is said in place of the library's own words.
        secret: What the sentence must not hold.

    Raises:
        BadFileError: Something was raised.
    """
    try:
        yield
    except Exception as error:  # whatever is raised, a signature is not taken
        said = reason or why(error)
        shown = said.replace(secret, "***") if secret else said
        raise BadFileError(name, f"{wanted}, but {shorten(shown)}") from error


def why(error: BaseException) -> str:
    """What an error says, on one line; an error without a word passes on its cause."""
    if host := unreachable_host(error):
        return f"{host} cannot be reached"
    text = " ".join(str(error).split())
    if not text and error.__cause__ is not None:
        return why(error.__cause__)
    return text or type(error).__name__


def unreachable_host(error: BaseException | None) -> str:
    """The host that could not be reached, if that is the reason; else empty."""
    while error is not None:
        for each in (error, *error.args):
            if isinstance(each, MaxRetryError) and each.pool:
                return each.pool.host
        error = error.__cause__ or error.__context__
    return ""


def shorten(text: str) -> str:
    """The beginning of a text that is too long to be shown."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


try:
    from sigstore.dsse import StatementBuilder
    from sigstore.dsse import Subject as SigstoreSubject
    from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature by an identity", "sigstore") from error

IN_TOTO = "application/vnd.in-toto+json"
"""The type of what an envelope holds."""

TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot"
"""What the media type of a trusted root begins with."""

MAX_BYTES = 2**23
"""The largest bundle that is read."""

MAX_STATEMENT = 2**22
"""The largest statement that is signed: room for twenty thousand files of a model."""

Name = Annotated[str, Field(min_length=1)]
PredicateType = Literal["urn:modelseal:signature:1"]
(PREDICATE,) = get_args(PredicateType)


class SignerFile(Section):
    """A `.toml` file that says who shall have signed.

    Args:
        identity: The name in the certificate: an e-mail address, or the URI of a workflow.
        issuer: The URL of whoever vouches for the identity.
        instance: The file that says where Sigstore is and what it is trusted by, as JSON: a client
            trust configuration, or, to verify without a network, a trusted root. Relative to the
            file that names it. By default the public service, which is asked for its own.
    """

    identity: Name
    issuer: Name
    instance: Name | None = None

    @field_validator("issuer")
    @classmethod
    def _is_url(cls, issuer: str) -> str:
        if not issuer.startswith(("https://", "http://")):
            raise ValueError(f"needs a URL such as https://accounts.google.com, but is {issuer!r}")
        return issuer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signer:
    """Who shall have signed, and what Sigstore is trusted by.

    Args:
        identity: The name in the certificate.
        issuer: The URL of whoever vouches for it.
        root: The roots of trust.
        config: Where Sigstore is; None if nobody can sign there.
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
    predicate_type: Annotated[PredicateType, Field(alias="predicateType")]
    predicate: Claim


def signer_files(path: Path) -> tuple[Path, ...]:
    """The file of a signer, and the one that it names.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong.
    """
    instance = read_settings(path, SignerFile).instance
    return (path,) if instance is None else (path, path.parent / instance)


def read_signer(path: Path) -> Signer:
    """Reads who shall have signed, and what Sigstore is trusted by.

    Args:
        path: The `.toml` file.

    Raises:
        BadFileError: It or the file that it names cannot be used, or the public service does not
            say what it is trusted by.
    """
    file = read_settings(path, SignerFile)
    trust = read_instance(path.parent / file.instance) if file.instance else ask_public_service()
    return Signer(identity=file.identity, issuer=file.issuer, root=trust[0], config=trust[1])


def read_instance(path: Path) -> tuple[TrustedRoot, ClientTrustConfig | None]:
    """What a Sigstore is trusted by, and where it is, if the file says so.

    Raises:
        BadFileError: The file is neither of the two.
    """
    text = read_bytes(path, most=MAX_BYTES)
    wanted = "a client trust configuration or a trusted root was wanted"
    with told(str(path), wanted, reason="this is neither"):
        if str(json.loads(text)["mediaType"]).startswith(TRUSTED_ROOT):
            return TrustedRoot.from_file(str(path)), None
        config = ClientTrustConfig.from_json(text.decode())
        return config.trusted_root, config


def ask_public_service() -> tuple[TrustedRoot, ClientTrustConfig]:
    """What the public service is trusted by now, and where it is.

    Raises:
        BadFileError: It does not say.
    """
    with told("Sigstore", "the roots of trust of the public service were wanted"):
        config = ClientTrustConfig.production()
        return config.trusted_root, config


def sign(
    fingerprint: Fingerprint,
    signer: Signer,
    *,
    token: str,
    name: str,
    model: ModelFiles | None = None,
) -> bytes:
    """Signs a fingerprint, and makes sure that the bundle is by whom it shall be.

    Args:
        fingerprint: What is signed.
        signer: Who signs.
        token: The OIDC token that says so.
        name: What the signer's file is called in errors.
        model: The files of the model, from `list_model_files`.

    Returns:
        The bundle, as JSON of Sigstore's bundle format.

    Raises:
        BadFileError: The token is none or somebody else's, Sigstore gave no signature or one by
            somebody else, or nobody can sign by what the signer's file names.
        InvalidArgumentError: There are too many files.
    """
    if signer.config is None:
        raise BadFileError(
            name, "a client trust configuration was wanted to sign, but a trusted root came"
        )
    wanted = f"a signature by {signer.identity} was wanted"
    with told("the identity token", "one for sigstore that is valid now was wanted", secret=token):
        identity = IdentityToken(token)
    expect(identity, signer, name=name)
    said = claim(fingerprint, model)
    digest = said.fingerprint.removeprefix("sha256:")
    predicate = said.model_dump(mode="json")
    if len(json.dumps(predicate)) > MAX_STATEMENT:
        raise InvalidArgumentError(
            f"a statement of at most {MAX_STATEMENT} bytes was wanted: name fewer files"
        )
    with (
        told(name, wanted, secret=token),
        SigningContext.from_trust_config(signer.config).signer(identity) as signing,
    ):
        subject = {"name": "fingerprint", "digest": {"sha256": digest}}
        subjects = [SigstoreSubject.model_validate(subject)]
        statement = StatementBuilder(subjects, PREDICATE, predicate).build()
        text = signing.sign_dsse(statement).to_json().encode()
    check(text, fingerprint, signer, name=name)
    return text + b"\n"


def expect(token: IdentityToken, signer: Signer, *, name: str) -> None:
    """Makes sure, before anything is logged for ever, that a token is of whom it shall be.

    Only the certificate has the last word: the identity of a workflow is another in a token.

    Raises:
        BadFileError: It is somebody else's.
    """
    found = (token.identity, token.federated_issuer)
    mails = "@" in signer.identity and "@" in token.identity
    if found[1] != signer.issuer or (mails and found[0] != signer.identity):
        raise BadFileError(
            name,
            f"{signer.identity} of {signer.issuer} was wanted, but the identity token is of "
            f"{found[0]} of {found[1]}",
        )


def check(text: bytes, fingerprint: Fingerprint, signer: Signer, *, name: str) -> Claim:
    """Makes sure that an identity has signed a fingerprint.

    Args:
        text: The bundle, as JSON.
        fingerprint: What shall be signed.
        signer: Who shall have signed it.
        name: What the bundle is called in errors.

    Returns:
        What was signed.

    Raises:
        BadFileError: It is no bundle, of another identity or fingerprint, or does not fit.
    """
    with told(name, "a Sigstore bundle was wanted", reason="this is none"):
        bundle = Bundle.from_json(text)
    with told(name, f"a signature by {signer.identity} was wanted"):
        policy = Identity(identity=signer.identity, issuer=signer.issuer)
        kind, payload = Verifier(trusted_root=signer.root).verify_dsse(bundle, policy)
    if kind != IN_TOTO:
        raise BadFileError(name, f"a payload of type {IN_TOTO} was wanted, but {kind} came")
    statement = parse_json(Statement, payload, name=name)
    (subject,) = statement.subject
    said = statement.predicate
    check_claim(said, fingerprint, name=name)
    if f"sha256:{subject.digest.sha256}" != said.fingerprint:
        raise BadFileError(name, "the subject of the statement is another than its predicate says")
    return said
