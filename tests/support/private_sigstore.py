"""A Sigstore of one's own: it certifies who a token names, and logs what is signed.

It does what the official client asks of one, with real keys, certificates and proofs: Fulcio's
`signingCert`, with the timestamp of a certificate log in each certificate, and `log/entries` of
Rekor v1. Who is named in a token is believed, and every entry is a log of its own.
"""

import base64
import datetime
import hashlib
import json
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from certificates import running
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER = "https://login.example"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "modelseal tests")])
START = "2020-01-01T00:00:00Z"
TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
OIDC_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, spki)


def key_name(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(key_bytes(key)).digest()


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def token(identity: str, *, issuer: str = ISSUER, minutes: float = 10) -> str:
    now = time.time()
    claims = {"iss": issuer, "sub": identity, "aud": "sigstore", "iat": int(now)}
    claims["exp"] = int(now + 60 * minutes)
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


@dataclass
class Sigstore:
    """The keys of a private Sigstore, and what it has logged."""

    authority: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    certificates: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    log: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    entries: list[bytes] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    """All that came, in the order of coming."""
    fault: str = ""
    """What every request is refused with, if there is something."""

    def __post_init__(self) -> None:
        public = self.authority.public_key()
        self.root = (
            self.begin(NAME, public, days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(certifies=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def begin(self, subject: x509.Name, public: Any, *, days: float) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(NAME)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def certify(self, request: Mapping[str, str], proof: str) -> dict[str, object]:
        """Gives a certificate of ten minutes for whom the token names."""
        claims = jwt.decode(proof, options={"verify_signature": False})
        asked = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
        issued = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key())
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        called = x509.RFC822Name if "@" in claims["sub"] else x509.UniformResourceIdentifier
        name = x509.SubjectAlternativeName([called(claims["sub"])])
        builder = (
            self.begin(x509.Name([]), asked.public_key(), days=10 / 60 / 24)
            .add_extension(usage(certifies=False), critical=True)
            .add_extension(purpose, critical=False)
            .add_extension(issued, critical=False)
            .add_extension(name, critical=True)
            .add_extension(
                x509.UnrecognizedExtension(OIDC_ISSUER, claims["iss"].encode()), critical=False
            )
        )
        plain = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        stamp = x509.UnrecognizedExtension(TIMESTAMPS, self.stamp(plain))
        made = builder.add_extension(stamp, critical=False).sign(self.authority, hashes.SHA256())
        chain = [
            each.public_bytes(serialization.Encoding.PEM).decode() for each in (made, self.root)
        ]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def stamp(self, plain: bytes) -> bytes:
        """The certificate log's timestamp of a certificate, as RFC 6962 has it in an extension."""
        moment = struct.pack("!Q", 1000 * int(time.time()))
        entry = key_name(self.authority) + struct.pack("!I", len(plain))[1:] + plain
        # Version 1 of a certificate's timestamp, for a certificate to come, without extensions.
        made = sign(self.certificates, b"\0\0" + moment + b"\0\1" + entry + b"\0\0")
        stamp = b"\0" + key_name(self.certificates) + moment + b"\0\0\4\3"
        stamp += struct.pack("!H", len(made)) + made
        listed = struct.pack("!HH", len(stamp) + 2, len(stamp)) + stamp
        return b"\4" + bytes([len(listed)]) + listed

    def enter(self, proposed: Mapping[str, Any]) -> dict[str, object]:
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = base64.b64decode(envelope["payload"])
        spec = {
            "envelopeHash": digest_of(content["envelope"].encode()),
            "payloadHash": digest_of(payload),
            "signatures": [
                {"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}
            ],
        }
        body = compact({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        self.entries.append(body)
        root = hashlib.sha256(b"\0" + body).digest()
        entry: dict[str, object] = {
            "body": text64(body),
            "integratedTime": int(time.time()),
            "logID": key_name(self.log).hex(),
            "logIndex": len(self.entries),
        }
        note = f"modelseal tests\n1\n{text64(root)}\n"
        mark = text64(key_name(self.log)[:4] + sign(self.log, note.encode()))
        proof = {
            "logIndex": 0,
            "rootHash": root.hex(),
            "treeSize": 1,
            "hashes": [],
            "checkpoint": f"{note}\n\u2014 modelseal-tests {mark}\n",
        }
        promise = text64(sign(self.log, compact(entry)))
        entry["verification"] = {"inclusionProof": proof, "signedEntryTimestamp": promise}
        return {root.hex(): entry}

    def trusted_root(self, url: str) -> dict[str, object]:
        root = {"rawBytes": text64(self.root.public_bytes(serialization.Encoding.DER))}
        authority = {
            "subject": {"organization": "modelseal", "commonName": "modelseal tests"},
            "uri": url,
            "certChain": {"certificates": [root]},
            "validFor": {"start": START},
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log_of(self.log, url)],
            "certificateAuthorities": [authority],
            "ctlogs": [log_of(self.certificates, url)],
            "timestampAuthorities": [],
        }

    def trust_config(self, url: str) -> dict[str, object]:
        service = {"url": url, "majorApiVersion": 1, "validFor": {"start": START}}
        service["operator"] = "modelseal tests"
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(url),
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
            },
        }


def usage(*, certifies: bool) -> x509.KeyUsage:
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    others = dict.fromkeys((*names, "crl_sign", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not certifies, key_cert_sign=certifies, **others)


def digest_of(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def compact(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def log_of(key: ec.EllipticCurvePrivateKey, url: str) -> dict[str, object]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": text64(key_bytes(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": START},
        },
        "logId": {"keyId": text64(key_name(key))},
    }


@contextmanager
def serve(sigstore: Sigstore) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            sigstore.asked.append(content)
            request = json.loads(content)
            if sigstore.fault:
                answer: dict[str, object] = {"message": sigstore.fault}
            elif self.path.endswith("/signingCert"):
                proof = self.headers["Authorization"].removeprefix("Bearer ")
                answer = sigstore.certify(request, proof)
            else:
                answer = sigstore.enter(request)
            content = json.dumps(answer).encode()
            self.send_response(403 if sigstore.fault else 201)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keeps the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}"
