import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from canned_grpc import canned_server, failing
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from serving import free_ports

from modelseal.endpoints.auth import NO_ACCESS, Access
from modelseal.endpoints.oip import grpc_client
from modelseal.endpoints.oip.grpc_client import PASSING, Channel, fault, read_certificates
from modelseal.errors import EndpointError, MissingExtraError, PassingError


@pytest.fixture
def server():
    with canned_server() as found:
        yield found


def call(server, answer=b"", *, seconds=60.0, request=b"q", secure=False, access=NO_ACCESS):
    server.serves(answer)
    with closing(Channel(server.address, secure=secure, seconds=seconds, access=access)) as channel:
        return channel.call("ModelInfer", request)


def test_a_message_is_sent_and_another_comes_back_as_they_are(server):
    assert call(server, lambda request, context: request[::-1], request=b"\0\1abc") == b"cba\1\0"
    assert server.asked == [("ModelInfer", b"\0\1abc")]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]], ids=str)
def test_every_status_is_an_error_with_the_servers_own_words_and_some_may_pass(server, code):
    with pytest.raises(EndpointError, match=f"status {code.name} came: boom at line 3$") as caught:
        call(server, failing(code, "boom\nat line 3"))
    assert isinstance(caught.value, PassingError) == (code.name in PASSING)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("pushback", "passing", "wait"),
    [
        ("1500", True, 1.5),
        ("0", True, 0.0),
        ("999999999", True, 60.0),
        ("-1", False, None),
        ("soon", False, None),
    ],
)
def test_a_busy_server_says_when_or_that_it_is_not_to_be_asked_again(
    server, pushback, passing, wait
):
    def refuse(request, context):
        context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
        context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    with pytest.raises(EndpointError, match="status UNAVAILABLE came: busy") as caught:
        call(server, refuse)
    assert isinstance(caught.value, PassingError) == passing
    assert getattr(caught.value, "wait", None) == wait


def test_a_status_without_words_is_told_alone():
    assert str(fault("INTERNAL", " ")) == "an answer was wanted, but status INTERNAL came"


def test_the_servers_own_words_are_cut_short(server):
    with pytest.raises(EndpointError, match=r"status INTERNAL came: x{200}…$"):
        call(server, failing(grpc.StatusCode.INTERNAL, "x" * 5_000))


def test_a_server_whose_code_fails_is_an_error(server):
    with pytest.raises(EndpointError, match=r"status UNKNOWN came: .*division"):
        call(server, lambda request, context: 1 // 0)


def test_nobody_listening_may_pass():
    (port,) = free_ports(1)
    with (
        closing(Channel(f"127.0.0.1:{port}", secure=False, seconds=60.0)) as channel,
        pytest.raises(PassingError, match=r"status UNAVAILABLE came: .*refused"),
    ):
        channel.call("ModelInfer", b"")


def test_a_host_that_is_called_as_a_scheme_of_addresses_is_a_host():
    with (
        closing(Channel("unix:80", secure=False, seconds=60.0)) as channel,
        pytest.raises(PassingError, match=r"status UNAVAILABLE came: .*unix:80"),
    ):
        channel.call("ModelInfer", b"")


def test_a_server_that_speaks_something_else_is_an_error(canned):
    address = canned.root.removeprefix("http://")
    with (
        closing(Channel(address, secure=False, seconds=60.0)) as channel,
        pytest.raises(EndpointError, match="an answer was wanted, but status UNAVAILABLE came"),
    ):
        channel.call("ModelInfer", b"")


def test_a_silent_server_is_given_up_in_time(server):
    def wait(request, context):
        time.sleep(1)
        return b""

    with pytest.raises(PassingError, match="status DEADLINE_EXCEEDED came"):
        call(server, wait, seconds=0.2)


def test_a_message_beyond_the_limit_is_refused_and_does_not_pass(server, monkeypatch):
    assert len(call(server, b"x" * 5_000_000)) == 5_000_000  # beyond gRPC's own limit
    options = (("grpc.max_receive_message_length", 1000), *grpc_client.OPTIONS[1:])
    monkeypatch.setattr(grpc_client, "OPTIONS", options)
    assert len(call(server, b"x" * 1000)) == 1000
    with pytest.raises(EndpointError, match="an answer of at most 67108864 bytes was") as caught:
        call(server, b"x" * 1001)
    assert not isinstance(caught.value, PassingError)


def test_the_limit_is_that_of_answers_over_http(server):
    with pytest.raises(EndpointError, match="an answer of at most 67108864 bytes was wanted"):
        call(server, b"x" * (64 * 2**20 + 1), seconds=30.0)


def test_a_compressed_message_is_refused_unread():
    with (
        canned_server(compression=grpc.Compression.Gzip) as server,
        pytest.raises(EndpointError, match=r"status INTERNAL came: .*ompression") as caught,
    ):
        call(server, b"\0" * 10_000)
    assert not isinstance(caught.value, PassingError)


@pytest.fixture
def certificate(tmp_path):
    """A key, and a certificate of this machine that it signed itself, in a file and as text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "certificate.pem").write_bytes(text)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return tmp_path / "certificate.pem", grpc.ssl_server_credentials([(secret, text)])


def test_a_servers_certificate_is_verified(certificate, monkeypatch):
    file, credentials = certificate
    with canned_server(credentials) as server:
        with pytest.raises(EndpointError, match="status UNAVAILABLE came") as distrusted:
            call(server, b"a", secure=True)
        assert not isinstance(distrusted.value, PassingError)
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert call(server, b"a", secure=True) == b"a"
        server.address = server.address.replace("localhost", "127.0.0.1")
        with pytest.raises(EndpointError, match="status UNAVAILABLE came") as misnamed:
            call(server, b"a", secure=True)
        assert not isinstance(misnamed.value, PassingError)


def test_the_certificates_to_trust_may_be_named(certificate):
    file, credentials = certificate
    with canned_server(credentials) as server:
        assert call(server, b"a", secure=True, access=Access(ca_file=file)) == b"a"


def test_credentials_go_along_with_every_call(server):
    access = Access(headers={"X-Token": "secret-word"}, secrets=frozenset({"secret-word"}))
    seen = []

    def note(request, context):
        seen.append(dict(context.invocation_metadata())["x-token"])
        return b"a"

    assert call(server, note, access=access) == b"a"
    assert seen == ["secret-word"]


def test_a_server_without_tls_is_not_asked_where_tls_is_wanted(server):
    with pytest.raises(EndpointError, match="status UNAVAILABLE came") as caught:
        call(server, b"a", secure=True)
    assert not isinstance(caught.value, PassingError)
    assert server.asked == []


def test_certificates_that_cannot_be_read_are_said(tmp_path, monkeypatch):
    class Nowhere:
        cafile = str(tmp_path)

    monkeypatch.setattr(grpc_client, "get_default_verify_paths", Nowhere)
    with pytest.raises(EndpointError, match="the environment's certificates cannot be used"):
        Channel("host:1", secure=True, seconds=1.0)
    Nowhere.cafile = None
    assert read_certificates(NO_ACCESS) is None


def test_without_grpc_the_extra_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match=r"over gRPC needs an extra: .*modelseal\[grpc\]"):
        Channel("host:1", secure=False, seconds=1.0)


FAILING = """
from modelseal.endpoints.oip.grpc_client import Channel
from modelseal.errors import EndpointError
try:
    Channel("{address}", secure=True, seconds=60.0).call("ModelInfer", b"")
except EndpointError:
    print("refused")
"""


def test_nothing_is_written_to_the_terminal(server):
    ended = subprocess.run(
        [sys.executable, "-c", FAILING.format(address=server.address)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "refused\n", "")
