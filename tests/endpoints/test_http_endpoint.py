import json
import logging
import traceback
from base64 import b64encode

import numpy as np
import pytest
from certificates import tls_server, write_certificate
from refusals import refuses

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.auth import Credentials
from modelseal.endpoints.http import HttpEndpoint
from modelseal.endpoints.requests import Carrier, Form, InputFormat, RequestTemplate
from modelseal.endpoints.responses import AnswerFormat, LabelFormat, Rows
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Kind

DOMAIN = Domain(shape=(1, 2, 2))
CODES = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
SCORES = {"predictions": [[1.5, 2, 3], [6.5, 5, 4]]}
MARKER = "mArKeR-of-the-door"


@pytest.fixture
def endpoint(canned):
    """An endpoint of the server with canned answers, which says what it answers."""

    def build(answer, *, url="", inputs=None, **settings):
        canned.routes[("POST", "/predict")] = answer
        template = settings.pop("template", {"text": '{"instances": "$inputs"}'})
        answers = {"select": "predictions", **settings.pop("answers", {})}
        return HttpEndpoint(
            url or f"{canned.root}/predict",
            template=RequestTemplate(inputs=inputs or InputFormat(domain=DOMAIN), **template),
            answers=AnswerFormat(labels=LabelFormat(classes=3), **answers),
            **{"timeout": 60.0, **settings},
        )

    return build


def test_a_batch_is_asked_in_one_request(endpoint, canned, reply):
    shown = endpoint(reply(SCORES)).ask(CODES)
    assert (shown.kind, shown.values.tolist()) == (Kind.SCORES, SCORES["predictions"])
    ((method, path, headers, body),) = canned.asked
    assert (method, path) == ("POST", "/predict")
    assert json.loads(body) == {"instances": DOMAIN.decode(CODES).tolist()}
    assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "application/json")
    assert headers["Accept-Encoding"] == "identity"


def test_one_input_is_asked_at_a_time_where_the_template_takes_one(endpoint, canned, reply):
    asked = endpoint(
        reply({"label": 2}),
        inputs=InputFormat(domain=DOMAIN, form=Form.PNG),
        template={"carrier": Carrier.BODY},
        answers={"select": "label", "rows": Rows.ONE},
    )
    assert asked.ask(CODES).labels.tolist() == [[2], [2]]
    assert [body for *_, body in canned.asked] == [encode_png(code) for code in CODES]


def test_headers_of_the_user_are_sent_with_every_request(endpoint, canned, reply):
    credentials = Credentials(headers={"Authorization": "Bearer abcd", "Host": "model.example"})
    canned.routes[("PUT", "/predict")] = reply(SCORES)
    endpoint(reply({}), credentials=credentials, method="PUT").ask(CODES)
    ((method, _, headers, _),) = canned.asked
    assert method == "PUT"
    assert (headers["Authorization"], headers["Host"]) == ("Bearer abcd", "model.example")


FAULTS = {
    "401": ({"status": 401, "body": {"error": f"unknown token {MARKER}"}}, "status 401"),
    "500 text": (
        {"status": 500, "body": MARKER.encode(), "Content_Type": "text/plain"},
        "status 500",
    ),
    "redirect": (
        {"status": 302, "body": b"", "Location": f"http://other/{MARKER}"},
        "a redirect to",
    ),
    "redirect cut": ({"status": 302, "body": b"", "Location": "x" * 190 + MARKER}, "a redirect to"),
    "coding": ({"body": b"x", "Content_Encoding": MARKER}, "without compression"),
    "html": ({"body": f"<html>{MARKER}</html>".encode()}, "expected JSON"),
    "key twice": ({"body": f'{{"{MARKER}": 1, "{MARKER}": 1}}'.encode()}, "twice"),
    "nan": ({"body": b'{"predictions": [[NaN, 1, 2], [1, 2, 3]]}'}, "finite numbers"),
    "types": ({"body": {"predictions": [[1, MARKER, 2]] * 2}}, "got "),
    "label": ({"body": {"predictions": [MARKER, MARKER]}}, "a label from 0 to 2"),
    "escaped": (
        {"body": '{"predictions": ["' + "".join(f"\\u{ord(c):04x}" for c in MARKER) + '", 1]}'},
        "a label from 0 to 2",
    ),
    "another key": ({"body": {MARKER: 1}}, "got nothing"),
}
"""What comes in the place of an answer, often with the secret in it."""


@pytest.fixture
def faulty(endpoint, reply):
    """An endpoint with a secret, whose server answers one of the faults."""

    def build(name, **settings):
        answer, _ = FAULTS[name]
        if isinstance(answer, dict):
            body = answer["body"]
            content = body.encode() if isinstance(body, str) else body
            answer = reply(content, **{key: answer[key] for key in answer if key != "body"})
        return endpoint(answer, **settings)

    return build


def leaks(text):
    """Whether a text tells the secret, its beginning, or how it is sent."""
    encoded = b64encode(f"user:{MARKER}".encode()).decode()
    return any(part in text for part in (MARKER, MARKER[:6], encoded, encoded[:10]))


def shown_by(error):
    """Everything that an error can tell whoever writes it into a log."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("place", ["header", "address"])
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_an_error_without_the_secret(name, place, faulty, canned, caplog):
    caplog.set_level(logging.INFO)
    if place == "header":
        secrets = frozenset({MARKER, f"Bearer {MARKER}"})
        headers = {"Authorization": f"Bearer {MARKER}"}
        asked = faulty(name, credentials=Credentials(headers=headers, secrets=secrets))
    else:
        asked = faulty(name, url=f"{canned.root}/predict".replace("//", f"//user:{MARKER}@"))
    with pytest.raises(EndpointError, match=FAULTS[name][1]) as caught:
        asked.ask(CODES)
    assert canned.asked[0][2]["Authorization"].startswith(("Bearer ", "Basic "))
    shown = shown_by(caught.value) + repr(asked) + repr(asked.credentials)
    assert not leaks(shown + caplog.text)
    assert str(caught.value).startswith(f"{canned.root}/predict: ")


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{MARKER}@127.0.0.1:9/predict?key={MARKER}",
        f"https://user:{MARKER}@127.0.0.1:9/predict",
        f"http://{MARKER}@nowhere.invalid/predict",
    ],
)
def test_a_server_that_is_not_there_is_an_error_without_the_secret(url, endpoint):
    with pytest.raises(EndpointError, match="got none") as caught:
        endpoint(b"", url=url).ask(CODES)
    assert not leaks(shown_by(caught.value))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_no_credential_goes_with_it(
    status, endpoint, canned, reply
):
    canned.routes[("POST", "/other")] = reply(SCORES)
    there = reply(b"", status=status, Location=f"{canned.root}/other")
    with pytest.raises(EndpointError, match=r"a redirect to http://.*/other$"):
        endpoint(there).ask(CODES)
    assert [path for _, path, _, _ in canned.asked] == ["/predict"]


@pytest.mark.parametrize(
    "url",
    ["", "host/x", f"ftp://u:{MARKER}@host/x", f"http://u:{MARKER}@h/#x", f"http://u:{MARKER}/x@h"],
)
def test_an_address_of_another_form_is_the_callers_mistake(url):
    with refuses(InvalidArgumentError, field="url") as no:
        HttpEndpoint(
            url,
            template=RequestTemplate(inputs=InputFormat(domain=DOMAIN)),
            answers=AnswerFormat(labels=LabelFormat(classes=3)),
        )
    assert not leaks(str(no.value))


def test_a_server_is_trusted_only_if_somebody_vouches_for_it(endpoint, tmp_path):
    with tls_server(write_certificate(tmp_path)) as url:
        asked = {"url": url, "template": {}, "answers": {"select": "@"}}
        with pytest.raises(EndpointError, match="certificate verify failed"):
            endpoint(b"", **asked).ask(CODES[:1])
        vouched = endpoint(b"", credentials=Credentials(ca_file=tmp_path / "ca.pem"), **asked)
        assert vouched.ask(CODES[:1]).values.tolist() == [[1.5, 2, 3]]
        vouched.close()


def test_a_certificate_for_another_host_is_not_trusted(endpoint, tmp_path):
    with tls_server(write_certificate(tmp_path, host="127.0.0.2")) as url:
        credentials = Credentials(ca_file=tmp_path / "ca.pem")
        asked = endpoint(b"", url=url, template={}, credentials=credentials)
        with pytest.raises(EndpointError, match="certificate verify failed: IP address mismatch"):
            asked.ask(CODES[:1])


@pytest.mark.parametrize("status", [307, 404])
def test_a_key_in_the_query_is_not_told_where_the_server_repeats_it(
    status, endpoint, canned, reply
):
    path = f"/predict?key={MARKER}"
    canned.routes[("POST", path)] = reply({"error": f"no {path}"}, status=status, Location=path)
    with pytest.raises(EndpointError, match=r"/predict: .*(redirect|404)") as caught:
        endpoint(b"", url=f"{canned.root}{path}").ask(CODES)
    assert not leaks(str(caught.value))
