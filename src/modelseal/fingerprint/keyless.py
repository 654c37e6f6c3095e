"""Signatures by an identity instead of a key: Sigstore bundles about fingerprints.

Whoever logs in, or a job that its host vouches for, gets a certificate for minutes, signs with a
key that is then thrown away, and a public log keeps that it was so. What is signed is an in-toto
statement in a DSSE envelope: its subject is the canonical plain bytes of the fingerprint, its
predicate is what every signature says of one. The public log gets digests, the certificate and so
the identity, and nothing else.

Needs the extra `sigstore`, which does all of the cryptography and all of the asking.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from modelseal.errors import BadFileError, MissingExtraError
from modelseal.fingerprint.parsing import Strict, parse
from modelseal.fingerprint.reading import read_bytes
from modelseal.fingerprint.record import Fingerprint
from modelseal.fingerprint.statement import Claim, Hex, ModelFiles, check_claim, claim
from modelseal.validating import Section, read_settings

try:
    from sigstore.dsse import StatementBuilder, Subject
    from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
    from sigstore.oidc import IdentityToken, Issuer, detect_credential
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity
except ModuleNotFoundError as error:
    raise MissingExtraError("A signature by an identity", "sigstore") from error

IN_TOTO = "application/vnd.in-toto+json"
"""The type of what an envelope holds."""

TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot"
"""What the media type of a trusted root begins with."""

PREDICATE = "urn:modelseal:signature:1"
"""The type of the predicate."""

MAX_BYTES = 2**23
"""The largest bundle that is read: room for twenty thousand files of a model, in base64."""

LONGEST = 300
"""How many characters of a problem that the library tells are shown."""


class Signer(Section):
    """Who shall have signed, as a `.toml` file says it.

    Args:
        identity: The name in the certificate: an address of mail, or the URI of a workflow.
        issuer: The URL of whoever vouches for the identity.
        instance: The file that says where Sigstore is and what it is trusted by, as JSON: a client
            trust configuration, or, to verify without a network, a trusted root. Relative to the
            file that names it. By default the public service, which is asked for its own.
    """

    identity: Annotated[str, Field(min_length=1)]
    issuer: Annotated[str, Field(min_length=1)]
    instance: str | None = None


class Named(Strict):
    """The subject of an in-toto statement."""

    name: str
    digest: dict[Literal["sha256"], Hex]


class InToto(Strict):
    """An in-toto statement about a fingerprint."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: tuple[Named]
    predicate_type: Annotated[Literal["urn:modelseal:signature:1"], Field(alias="predicateType")]
    predicate: Claim


def read_signer(path: Path) -> Signer:
    """Reads who shall have signed.

    Args:
        path: The `.toml` file.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong.
    """
    signer = read_settings(path, Signer)
    if signer.instance is None:
        return signer
    return signer.model_copy(update={"instance": str(path.parent / signer.instance)})


def sign(
    fingerprint: Fingerprint,
    signer: Signer,
    *,
    token: str | None,
    name: str,
    model: ModelFiles | None = None,
) -> bytes:
    """Signs a fingerprint, and makes sure that the bundle is by whom it shall be.

    Args:
        fingerprint: What is signed.
        signer: Who signs.
        token: The OIDC token that says so. By default the one that the job's host gives; a person
            at a terminal is sent to a browser to log in.
        name: What the signer's file is called in errors.
        model: The files of the model, from `list_model_files`.

    Returns:
        The bundle, as JSON of Sigstore's bundle format.

    Raises:
        BadFileError: There is no token, Sigstore gave no signature, or it is somebody else's.
    """
    config = read_instance(signer)
    if not isinstance(config, ClientTrustConfig):
        raise BadFileError(
            signer.instance, "a client trust configuration was wanted, but a trusted root came"
        )
    said = claim(fingerprint, model)
    digest = said.fingerprint.removeprefix("sha256:")
    wanted = f"a signature by {signer.identity} was wanted"
    with told(name, wanted):
        proof = find_token(token, config)
    with (
        told(name, wanted, secret=str(proof)),
        SigningContext.from_trust_config(config).signer(proof) as signing,
    ):
        subject = Subject.model_validate({"name": "fingerprint", "digest": {"sha256": digest}})
        statement = StatementBuilder([subject], PREDICATE, said.model_dump(mode="json")).build()
        text = signing.sign_dsse(statement).to_json().encode()
    check(text, fingerprint, signer, name=name)
    return text + b"\n"


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
        BadFileError: It is no bundle, of another identity or fingerprint, does not fit, or it is
            not known what Sigstore is trusted by.
    """
    config = read_instance(signer)
    root = config.trusted_root if isinstance(config, ClientTrustConfig) else config
    with told(name, f"a signature by {signer.identity} was wanted"):
        policy = Identity(identity=signer.identity, issuer=signer.issuer)
        kind, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(text), policy)
    if kind != IN_TOTO:
        raise BadFileError(name, f"a payload of type {IN_TOTO} was wanted, but {kind} came")
    statement = parse(InToto, payload, name=name)
    (subject,) = statement.subject
    said = statement.predicate
    check_claim(said, fingerprint, name=name)
    if f"sha256:{subject.digest['sha256']}" != said.fingerprint:
        raise BadFileError(name, "the subject of the statement is another than its predicate says")
    return said


def read_instance(signer: Signer) -> ClientTrustConfig | TrustedRoot:
    """Where Sigstore is and what it is trusted by: the public service's own, or of a file.

    Raises:
        BadFileError: The file is neither of the two, or the public service does not say.
    """
    if signer.instance is None:
        with told("Sigstore", "the roots of trust of the public service were wanted"):
            return ClientTrustConfig.production()
    text = read_bytes(Path(signer.instance), most=MAX_BYTES)
    with told(signer.instance, "a client trust configuration or a trusted root was wanted"):
        if str(json.loads(text)["mediaType"]).startswith(TRUSTED_ROOT):
            return TrustedRoot.from_file(signer.instance)
        return ClientTrustConfig.from_json(text.decode())


def find_token(given: str | None, config: ClientTrustConfig) -> IdentityToken:
    """The token that says who signs: the given one, the host's, or what a browser brings."""
    text = given if given is not None else detect_credential()
    if text is not None:
        return IdentityToken(text)
    if not sys.stdin.isatty():
        raise LookupError("there is no identity token, and no terminal to log in from")
    return Issuer(config.signing_config.get_oidc_url()).identity_token()


@contextmanager
def told(name: str, wanted: str, *, secret: str = "") -> Iterator[None]:
    """Tells whatever the library raises in one sentence: its errors have no common base.

    Args:
        name: The file that it is about.
        wanted: What was wanted.
        secret: What the sentence must not hold.

    Raises:
        BadFileError: Something was raised.
    """
    try:
        yield
    except Exception as error:
        reason = why(error)
        shown = reason.replace(secret, "***") if secret else reason
        raise BadFileError(name, f"{wanted}, but {shown[:LONGEST]}") from error


def why(error: BaseException) -> str:
    """What an error says, on one line; an error without a word passes on its cause."""
    text = " ".join(str(error).split())
    if not text and error.__cause__ is not None:
        return why(error.__cause__)
    return text or type(error).__name__
