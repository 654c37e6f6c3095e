"""Against a stub of the runtime that takes signed requests and forwards them to a network."""

import contextlib
import copy
import socket
import sys
import threading
import traceback

import numpy as np
import pytest
import sealed
import torch
from forms import SERVERS, serving
from refusals import refuses

from modelseal.domain import Domain
from modelseal.endpoints import factory
from modelseal.endpoints.sagemaker import SageMakerEndpoint
from modelseal.enums import Depth
from modelseal.errors import EndpointError, InvalidArgumentError, MissingExtraError, PassingError
from modelseal.outputs.specs import RawScores
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify

DOMAIN = Domain(shape=(3, 8, 8))
SERVED = sealed.fingerprint(domain=DOMAIN, classes=3)
CODES = sealed.fields(domain=DOMAIN, classes=3)["samples"]
ROUTE = ("POST", "/endpoints/tiny/invocations")
KEY, SECRET, TOKEN = "AKIAMARKEROFTHEKEY00", "sEcReT/mArKeR+of/the/door", "tOkEn+mArKeR"


@pytest.fixture(autouse=True)
def account(monkeypatch, tmp_path):
    """Credentials where boto3 looks for them, and nothing of this machine's own."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


@pytest.fixture
def endpoint(canned, tmp_path):
    """The endpoint that a file declares, of which the stub takes the place of Amazon's runtime."""

    def build(answer, more=""):
        canned.routes[ROUTE] = answer
        path = tmp_path / "endpoint.toml"
        path.write_text(
            '[endpoint]\nkind = "sagemaker"\nname = "tiny"\npreset = "sagemaker-container"\n'
            f'url = "{canned.root}"\n{more}'
        )
        return factory.endpoint(path, SERVED)

    return build


def forwarding(reply, network):
    return serving(SERVERS["sagemaker-container"], network, reply)


def test_the_sealed_network_is_intact_and_a_changed_one_tampered(endpoint, reply, tiny):
    spec = RawScores(1e-4)
    scores = tiny(torch.from_numpy(DOMAIN.decode(CODES))).numpy()
    fingerprint = sealed.fingerprint(
        domain=DOMAIN, classes=3, spec=spec, samples=CODES, expected=spec.reveal(scores)
    )
    tampered = copy.deepcopy(tiny)
    tampered[-1].weight[0, 0] += 0.01
    for network, wanted in ((tiny, Outcome.INTACT), (tampered, Outcome.TAMPERED)):
        asked = endpoint(forwarding(reply, network))
        source = np.random.default_rng(0)
        verdict = verify(fingerprint, asked, generator=source, depth=Depth.ALL)
        assert verdict.outcome is wanted
        asked.close()


def test_requests_are_signed_with_the_credentials_of_the_environment(endpoint, canned, reply, tiny):
    endpoint(forwarding(reply, tiny)).ask(CODES)
    ((_, _, headers, body),) = canned.asked
    assert f"Credential={KEY}/" in headers["Authorization"]
    assert "/eu-central-1/sagemaker/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == TOKEN
    assert SECRET.encode() not in body


def leaks(error):
    text = "".join(traceback.format_exception(error)) + repr(error)
    return any(part in text for part in (SECRET, TOKEN, KEY, SECRET[:8]))


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"message": f"bad {SECRET}"}, "got none"),
        (403, {"message": f"token {TOKEN} expired"}, "got none"),
        (
            424,
            {"Message": f"Received server error (500): {KEY}", "OriginalStatusCode": 500},
            r"got none: An error occurred \(424\).*Received server error \(500\): \*\*\*$",
        ),
        *((429, {}, "got none"), (503, b"<html>", "got none"), (200, b"<html>", "expected JSON")),
        (200, {"predictions": [[1, 2, SECRET]] * 3}, "expected a number"),
        *((200, {"predictions": [[1, 2, 3]]}, "got 1"), (302, b"", "got none|expected JSON")),
    ],
)
def test_every_fault_is_an_error_without_the_secret_and_asked_once(
    endpoint, canned, reply, status, body, message
):
    asked = endpoint(reply(body, status=status, Location=f"{canned.root}/other"))
    with pytest.raises(EndpointError, match=f"^sagemaker:tiny: .*({message})") as caught:
        asked.ask(CODES)
    assert not leaks(caught.value)
    assert SECRET not in repr(asked) + repr(asked.credentials)
    assert [path for _, path, _, _ in canned.asked] == [ROUTE[1]]


@pytest.mark.parametrize(
    ("status", "body", "passing"),
    [
        *((429, {}, True), (503, {}, True)),
        (400, {"__type": "ThrottlingException", "message": "slow down"}, True),
        (400, {"__type": "ValidationError", "message": "no such endpoint"}, False),
        *((424, {}, False), (500, {}, False), (200, b"<html>", False)),
    ],
)
def test_only_a_service_that_is_busy_may_be_asked_again(endpoint, reply, status, body, passing):
    with pytest.raises(EndpointError, match="sagemaker:tiny: ") as caught:
        endpoint(reply(body, status=status)).ask(CODES)
    assert isinstance(caught.value, PassingError) is passing


def drip(listener, cut):
    """Answers with a byte now and then, for as long as somebody listens."""
    client, _ = listener.accept()
    with client, contextlib.suppress(OSError):
        client.recv(2**16)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not cut.wait(0.02):
            client.sendall(b" ")
    cut.set()


def test_a_reply_that_drips_is_cut_at_the_timeout_and_leaves_no_thread(endpoint, canned):
    cut = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=drip, args=(listener, cut), daemon=True)
        server.start()
        before = threading.active_count()
        asked = endpoint(b"", "timeout = 0.3")
        asked.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(PassingError, match=r"expected an answer, got none within 0\.3 seconds"):
            asked.ask(CODES)
        ended = cut.wait(60)
        cut.set()
        server.join()
    assert ended
    assert threading.active_count() < before


def test_a_busy_service_says_when_to_ask_again(endpoint, reply):
    with pytest.raises(PassingError, match="sagemaker:tiny: ") as caught:
        endpoint(reply({}, status=503, Retry_After="7")).ask(CODES)
    assert caught.value.wait == 7


def test_a_body_beyond_the_limit_is_refused(endpoint, reply, monkeypatch):
    from modelseal.endpoints import sagemaker

    monkeypatch.setattr(sagemaker, "LARGEST", 100)
    with pytest.raises(EndpointError, match="at most 100 bytes"):
        endpoint(reply(b"x" * 101)).ask(CODES)


def test_a_server_that_is_not_there_is_an_error(endpoint, canned):
    asked = endpoint(b"")
    asked.url = "http://127.0.0.1:9"
    with pytest.raises(PassingError, match="expected an answer, got none: Could not connect"):
        asked.ask(CODES)


def test_a_short_name_asks_as_its_containers_do(canned, reply, tiny, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", canned.root)
    canned.routes[ROUTE] = forwarding(reply, tiny)
    asked = factory.endpoint("sagemaker:tiny", SERVED)
    assert isinstance(asked, SageMakerEndpoint)
    assert asked.ask(CODES).values.shape == (3, 3)


def test_a_short_name_of_nothing_is_refused():
    with refuses(InvalidArgumentError):
        factory.endpoint("sagemaker:", SERVED)


def test_without_boto3_the_extra_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"modelseal\[sagemaker\]"):
        factory.endpoint("sagemaker:tiny", SERVED)
