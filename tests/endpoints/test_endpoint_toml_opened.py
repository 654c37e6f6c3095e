import json
import sys
from base64 import b64encode

import numpy as np
import pytest
import sealed

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.factory import endpoint
from modelseal.endpoints.http import HttpEndpoint
from modelseal.endpoints.oip.grpc_client import OipGrpcEndpoint
from modelseal.endpoints.oip.rest_client import OipEndpoint
from modelseal.endpoints.responses import Numbers
from modelseal.endpoints.subprocess import CommandEndpoint
from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities

DOMAIN = Domain(shape=(1, 2, 2))
CODES = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
NAMES = ("cat", "dog", "elk")
SERVED = sealed.fingerprint(domain=DOMAIN, classes=3, names=NAMES)
PROBABLE = sealed.fingerprint(domain=DOMAIN, classes=3, spec=Probabilities(3))


@pytest.fixture
def declared(tmp_path, monkeypatch):
    def build(text, *, served=SERVED, environment=None, **times):
        path = tmp_path / "endpoint.toml"
        path.write_text(text, encoding="utf-8")
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        return endpoint(path, served, **times)

    return build


def http(canned, more=""):
    return f'[endpoint]\nkind = "http"\nurl = "{canned.root}/x"\n{more}'


def test_everything_that_a_file_says_is_done(declared, canned, reply, tmp_path):
    canned.routes[("PUT", "/x")] = reply({"out": [{"l": "Hund", "p": 75}, {"l": "Katze", "p": 25}]})
    (tmp_path / "names.txt").write_text("Katze\nHund\nElch\n", encoding="utf-8")
    opened = declared(
        http(
            canned,
            """method = "PUT"
            headers = {Host = "model.example"}
            header_from_env = {Authorization = "TOKEN"}
            timeout = 5
            [request]
            form = "png"
            template = '{"image": {"b64": "$input"}}'
            [answer]
            select = "out[].[l, p]"
            layout = "pairs"
            numbers = "percent"
            names_file = "names.txt"
            """,
        ),
        environment={"TOKEN": "Bearer abcd"},
    )
    shown = opened.ask(CODES)
    assert (shown.labels.tolist(), shown.values.tolist()) == ([[1, 0]] * 2, [[0.75, 0.25]] * 2)
    bodies = [json.loads(body) for *_, body in canned.asked]
    pictures = [b64encode(encode_png(code)).decode() for code in CODES]
    assert bodies == [{"image": {"b64": picture}} for picture in pictures]
    headers = canned.asked[0][2]
    assert (headers["Host"], headers["Authorization"]) == ("model.example", "Bearer abcd")
    assert opened.timeout == 5


def test_without_more_a_server_takes_a_nested_list_and_answers_with_one(declared, canned, reply):
    canned.routes[("POST", "/x")] = reply([[1.5, 2, 3], [4.5, 5, 6]])
    assert declared(http(canned)).ask(CODES).values.tolist() == [[1.5, 2, 3], [4.5, 5, 6]]
    assert json.loads(canned.asked[0][3]) == DOMAIN.decode(CODES).tolist()


def test_a_file_changes_what_a_preset_says(declared, canned):
    mapping = declared(http(canned, 'preset = "litserve"\n[answer]\nselect = "other"\n')).mapping
    assert mapping.select == "other"
    asked = declared(http(canned, 'preset = "litserve"\n[request]\ntemplate = "$inputs"\n'))
    assert (asked.template.text, asked.mapping.select) == ("$inputs", "logits")


@pytest.mark.parametrize(
    ("served", "more", "numbers"),
    [
        (SERVED, "", Numbers.SCORES),
        (PROBABLE, "", Numbers.PROBABILITIES),
        (PROBABLE, '[answer]\nnumbers = "scores"\n', Numbers.SCORES),
        (SERVED, '[answer]\nnumbers = "percent"\n', Numbers.PERCENT),
    ],
)
def test_numbers_are_what_the_file_says_or_else_what_is_expected(
    declared, canned, served, more, numbers
):
    assert declared(http(canned, more), served=served).mapping.numbers is numbers


@pytest.mark.parametrize(
    ("own", "times", "wanted"),
    [
        ("", {"timeout": 7.0}, 7.0),
        ("timeout = 5", {"timeout": 7.0}, 5.0),
        ("timeout = 90", {"timeout": 7.0}, 90.0),
        ("timeout = 90", {"timeout": 7.0, "time_limit": 60.0}, 60.0),
        ("", {"timeout": 70.0, "time_limit": 60.0}, 60.0),
    ],
)
def test_a_file_says_how_long_to_wait_but_never_longer_than_for_all(declared, own, times, wanted):
    opened = declared(f'[endpoint]\nkind = "http"\nurl = "http://host/x"\n{own}\n', **times)
    assert opened.timeout == wanted


def test_a_short_name_waits_as_long_as_is_said():
    opened = endpoint("http://host/invocations", SERVED, timeout=70.0, time_limit=60.0)
    assert opened.timeout == 60.0


@pytest.mark.parametrize(
    ("served", "more", "shows"),
    [
        (SERVED, "", Kind.SCORES),
        (PROBABLE, "", Kind.PROBABILITIES),
        (PROBABLE, '[answer]\nnumbers = "scores"\n', Kind.SCORES),
        (SERVED, '[answer]\nnumbers = "probabilities"\n', Kind.PROBABILITIES),
    ],
)
def test_a_server_of_the_open_protocol_is_declared_with_its_credentials(
    declared, served, more, shows
):
    text = '[endpoint]\nkind = "oip"\nurl = "http://host/v2/models/m"\ntimeout = 3\n'
    text += 'header_from_env = {Authorization = "TOKEN"}\n'
    opened = declared(text + more, served=served, environment={"TOKEN": "Bearer abcd"})
    assert isinstance(opened, OipEndpoint)
    assert (opened.shows, opened.timeout) == (shows, 3)
    assert opened.access.headers == {"Authorization": "Bearer abcd"}


def test_a_server_over_grpc_is_made_by_its_own_client(declared, monkeypatch):
    text = '[endpoint]\nkind = "grpc"\nurl = "grpc://host:1/m"\ntimeout = 3\n'
    opened = declared(text, served=PROBABLE)
    assert isinstance(opened, OipGrpcEndpoint)
    assert (opened.host, opened.shows, opened.timeout) == ("host:1", Kind.PROBABILITIES, 3)
    with pytest.raises(BadFileError, match="endpoint: "):
        declared(text.replace("host:1/m", "host"))
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match=r"modelseal\[grpc\]"):
        declared(text)


def test_a_server_over_grpc_gets_credentials_as_metadata(declared):
    text = '[endpoint]\nkind = "grpc"\nurl = "grpcs://host:1/m"\nheader_from_env = {{{}}}\n'
    known = {"TOKEN": "Bearer abcd"}
    opened = declared(text.format('Authorization = "TOKEN"'), environment=known)
    assert opened.access.headers == {"Authorization": "Bearer abcd"}
    for name in ("grpc-token", "Token-Bin", "a!b", "User-Agent"):
        with pytest.raises(BadFileError, match=f"endpoint: gRPC takes names .* got {name}$"):
            declared(text.format(f'"{name}" = "TOKEN"'), environment=known)


def test_a_command_runs_in_the_folder_of_its_file(declared, tmp_path):
    program = (
        "import json, os, sys\nfor line in sys.stdin:\n"
        "    asked = json.loads(line)\n    open('here', 'w').close()\n"
        "    print(json.dumps({'id': asked['id'], 'output': [1.5, 2, 3]}), flush=True)\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = json.dumps([sys.executable, "-I", "program.py"])
    opened = declared(f'[endpoint]\nkind = "command"\ncommand = {command}\n')
    assert isinstance(opened, CommandEndpoint)
    assert opened.ask(CODES).values.tolist() == [[1.5, 2, 3]] * 2
    assert (tmp_path / "here").exists()
    opened.close()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("timeout = 0\n", "endpoint: timeout needs positive seconds"),
        ('[request]\ntemplate = "{"\n', "request: a template is JSON, but"),
        ('[request]\nchannels = "last"\nform = "png"\ncarrier = "body"\n', None),
        ('[request]\ncarrier = "body"\n', "request: png or bytes are wanted for a body"),
        ('[answer]\nselect = "a["\n', "answer: a JMESPath expression was wanted"),
        ('[answer]\nnames = ["a"]\n', "answer: one name for each of 3 classes was wanted, but 1"),
        ('[answer]\nnames_file = "missing"\n', "missing: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_a_fault_of_the_file(declared, canned, more, problem):
    if problem is None:
        assert declared(http(canned, more)).template.size == 1
        return
    with pytest.raises(BadFileError, match=problem):
        declared(http(canned, more))


def test_inputs_that_cannot_be_sent_so_are_refused(declared, canned):
    served = sealed.fingerprint(domain=Domain(shape=(4,)))
    with pytest.raises(BadFileError, match="request: a PNG file needs 256 levels and one or three"):
        declared(http(canned, '[request]\nform = "png"\n'), served=served)


def test_an_address_that_is_none_is_a_fault_of_the_file(declared):
    with pytest.raises(BadFileError, match="endpoint: the address of a server is http"):
        declared('[endpoint]\nkind = "http"\nurl = "ftp://host/x"\n')


@pytest.mark.parametrize(
    ("text", "preset"),
    [
        ("http://host/v1/models/m:predict", '{"instances": "$inputs"}'),
        ("https://me:secret@host/a/invocations?x=1", '{"inputs": "$inputs"}'),
    ],
)
def test_a_short_address_is_asked_as_its_ending_says(text, preset):
    opened = endpoint(text, PROBABLE)
    assert isinstance(opened, HttpEndpoint)
    assert opened.template.text == preset
    assert opened.mapping.numbers is Numbers.PROBABILITIES


@pytest.mark.parametrize("text", ["x:predict", "ftp://h/invocations", "http://[/predict", ""])
def test_another_name_is_no_short_one(text):
    with pytest.raises(InvalidArgumentError):
        endpoint(text, SERVED)


def test_a_malformed_short_address_is_refused():
    with pytest.raises(InvalidArgumentError, match="the host or port is malformed"):
        endpoint("http://host:port/invocations", SERVED)
