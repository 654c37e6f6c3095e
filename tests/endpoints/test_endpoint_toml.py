import json
import sys
from base64 import b64encode

import jmespath
import numpy as np
import pytest
import sealed
from refusals import refuses

from modelseal.domain import Domain, encode_png
from modelseal.endpoints.endpoint_toml import (
    PRESETS,
    is_endpoint_toml,
    list_endpoint_files,
    preset_of,
    read_endpoint_toml,
)
from modelseal.endpoints.factory import endpoint, endpoint_name
from modelseal.endpoints.oip.grpc import OipGrpcEndpoint
from modelseal.endpoints.oip.rest import OipEndpoint
from modelseal.endpoints.requests import Carrier, Form, InputFormat, RequestTemplate, Unit
from modelseal.endpoints.responses import Layout, Naming, Numbers
from modelseal.endpoints.subprocess import CommandEndpoint
from modelseal.errors import BadFileError, InvalidArgumentError, MissingExtraError
from modelseal.outputs.answers import Kind
from modelseal.outputs.specs import Probabilities

DOMAIN = Domain(shape=(1, 2, 2))
HTTP = '[endpoint]\nkind = "http"\nurl = "https://host/x"\n'
MARKER = "mArKeR"


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "endpoint.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def test_a_whole_declaration_is_read_as_values_of_the_right_types(write):
    declared = read_endpoint_toml(
        write(
            HTTP
            + """
            preset = "mlflow"
            method = "PUT"
            headers = {Host = "model.example"}
            header_from_env = {Authorization = "MODELSEAL_TOKEN"}
            header_from_file = {X-Other = "other.txt"}
            ca_file = "ca.pem"
            timeout = 5
            [request]
            form = "png"
            values = "levels"
            carrier = "json"
            template = '["$input"]'
            [answer]
            select = "a.b"
            layout = "map"
            numbers = "percent"
            labels = "name"
            first = 1
            names = ["cat", "dog"]
            [check]
            images = "few.npz"
            labels = [0, 1]
            at_least = 0.75
            """
        )
    )
    assert (declared.endpoint.kind, declared.endpoint.timeout) == ("http", 5.0)
    assert declared.endpoint.header_from_env == {"Authorization": "MODELSEAL_TOKEN"}
    request, answer = declared.request, declared.answer
    assert (request.form, request.values, request.carrier) == (Form.PNG, Unit.LEVELS, Carrier.JSON)
    assert (answer.layout, answer.numbers, answer.labels) == (
        Layout.MAP,
        Numbers.PERCENT,
        Naming.NAME,
    )
    assert (declared.check.labels, declared.check.at_least) == ([0, 1], 0.75)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        *((HTTP, True), ('[model]\nfactory = "x:y"\n', False), ("[model]\n[endpoint]\n", False)),
        *(("[endpoint]\n[model]\n", True), ("", False), ("[", False), ("\ufeff", False)),
    ],
)
def test_a_file_whose_first_table_is_endpoint_declares_one(write, text, wanted):
    assert is_endpoint_toml(write(text)) is wanted


OIP = HTTP.replace("http", "oip", 1)
COMMAND = '[endpoint]\nkind = "command"\n'


@pytest.mark.parametrize(
    ("text", "field"),
    [
        *(("[endpoint]\n", "endpoint.kind"), ('[endpoint]\nkind = "ftp"\n', "endpoint.kind")),
        ('[endpoint]\nkind = "http"\n', "endpoint.url"),
        ('[endpoint]\nkind = "sagemaker"\n', "endpoint.name"),
        (COMMAND + "command = []\n", "endpoint.command"),
        (COMMAND + 'command = ["x"]\nurl = "http://h"\n', "endpoint.url"),
        ('[endpoint]\nkind = "grpc"\nurl = "h:1"\npreset = "mlflow"\n', "endpoint.preset"),
        (HTTP + 'preset = "mflow"\n', "endpoint.preset"),
        (HTTP + 'methods = "PUT"\n', "endpoint.methods"),
        (HTTP + 'method = "GET"\n', "endpoint.method"),
        (HTTP + 'timeout = "5"\n', "endpoint.timeout"),
        (HTTP + "timeout = nan\n", "endpoint.timeout"),
        (HTTP + 'headers = {x = "1"}\nheader_from_env = {X = "Y"}\n', "endpoint"),
        (HTTP + '[request]\nform = "jpeg"\n', "request.form"),
        (HTTP + '[answer]\nnumbers = "logits"\n', "answer.numbers"),
        (HTTP + "[answer]\nlayout = []\n", "answer.layout"),
        (HTTP + '[answer]\nfirst = "1"\n', "answer.first"),
        (HTTP + '[answer]\nnames = ["a"]\nnames_file = "b"\n', "answer"),
        (HTTP + "[check]\n", "check.images"),
        (HTTP + '[check]\nimages = "x"\nlabels = [1.5]\n', "check.labels"),
        (HTTP + '[check]\nimages = "x"\nlabels = [1]\nlabels_file = "y"\n', "check"),
        (HTTP + '[check]\nimages = "x"\nat_least = 0\n', "check.at_least"),
        (HTTP + '[check]\nimages = "x"\ncount = 0\n', "check.count"),
        *((OIP + '[answer]\nnumbers = "percent"\n', ""), (OIP + '[request]\nform = "png"\n', "")),
        (COMMAND + 'command = ["x"]\n[request]\ntemplate = "x"\n', "request.template"),
        ("[endpoint", ""),
    ],
)
def test_a_wrong_declaration_is_refused_at_its_place(write, text, field):
    with refuses(BadFileError, field=field):
        read_endpoint_toml(write(text))


@pytest.mark.parametrize(
    "line",
    [
        *(f'url = "https://user:{MARKER}@host/x"', f'url = "https://user:{MARKER}/@host/x"'),
        *(f'url = ["https://user:{MARKER}@host/x"]', f'url = "https://[{MARKER}@host/x"'),
        *(f'headers = {{Authorization = "{MARKER}"}}', f'headers = {{X-Api-Key = "{MARKER}"}}'),
        *(f'headers = {{Cookie = "{MARKER}"}}', f'headers = {{Authorization = ["{MARKER}"]}}'),
        f'headers = "{MARKER}"',
        f'header_from_env = {{Authorization = ["{MARKER}"]}}',
        *(f'header_from_file = ["{MARKER}"]', f'token = "{MARKER}"'),
        f'header_from_env = "Bearer {MARKER}"',
    ],
)
def test_a_credential_in_the_file_is_refused_and_never_shown(write, line):
    given = f'[endpoint]\nkind = "http"\n{line}\n'
    if not line.startswith("url"):
        given += 'url = "https://host/x"\n'
    with refuses(BadFileError) as caught:
        read_endpoint_toml(write(given))
    assert MARKER not in str(caught.value)


def test_the_files_of_a_declaration_are_listed(write, tmp_path):
    path = write(
        HTTP + 'header_from_file = {X = "x.txt"}\nca_file = "ca.pem"\n'
        '[answer]\nnames_file = "names.txt"\n[check]\nimages = "few"\nlabels_file = "few.txt"\n'
    )
    named = ("endpoint.toml", "x.txt", "ca.pem", "names.txt", "few", "few.txt")
    assert list_endpoint_files(path) == tuple(tmp_path / name for name in named)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_sends_a_whole_batch_and_says_where_the_answer_stands(preset):
    inputs = InputFormat(domain=DOMAIN)
    assert RequestTemplate(inputs=inputs, text=preset.template).size == 0
    assert jmespath.compile(preset.select)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("/v1/models/m:predict", "kserve-v1"), ("/invocations", "mlflow")),
        *(("/prefix/invocations", "mlflow"), ("/v2/models/m", ""), ("/v1/models/m:explain", "")),
        *(("/invocations/", ""), ("", "")),
    ],
)
def test_the_ending_of_a_path_names_a_preset(path, name):
    assert preset_of(path) == name
    assert not name or name in PRESETS


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ('kind = "http"\nurl = "https://host/x?key=secret"', "https://host/x"),
        ('kind = "grpc"\nurl = "grpc://host:80/m"', "grpc://host:80/m"),
        ('kind = "sagemaker"\nname = "n"', "sagemaker:n"),
        ('kind = "sagemaker"\nname = "n"\nurl = "http://host"', "sagemaker:n at http://host"),
        ('kind = "command"\ncommand = ["ask", "--key", "secret"]', "ask"),
    ],
)
def test_a_declared_endpoint_is_called_by_its_file_and_its_place_without_secrets(
    write, section, place
):
    path = write(f"[endpoint]\n{section}\n")
    assert endpoint_name(str(path)) == f"{path} ({place})"


def test_a_declared_address_that_is_malformed_is_a_fault_of_the_file(write):
    path = write('[endpoint]\nkind = "http"\nurl = "http://host:0/x"\n')
    with refuses(BadFileError, field="endpoint.url"):
        endpoint_name(str(path))


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


def test_a_file_changes_what_a_preset_says(declared, canned):
    mapping = declared(http(canned, 'preset = "litserve"\n[answer]\nselect = "other"\n')).answers
    assert mapping.select == "other"
    asked = declared(http(canned, 'preset = "litserve"\n[request]\ntemplate = "$inputs"\n'))
    assert (asked.template.text, asked.answers.select) == ("$inputs", "logits")


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
    assert declared(http(canned, more), served=served).answers.numbers is numbers


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
    assert opened.credentials.headers == {"Authorization": "Bearer abcd"}


def test_a_server_over_grpc_is_made_by_its_own_client(declared, monkeypatch):
    text = '[endpoint]\nkind = "grpc"\nurl = "grpc://host:1/m"\ntimeout = 3\n'
    opened = declared(text, served=PROBABLE)
    assert isinstance(opened, OipGrpcEndpoint)
    assert (opened.host, opened.shows, opened.timeout) == ("host:1", Kind.PROBABILITIES, 3)
    with refuses(BadFileError, field="endpoint.url"):
        declared(text.replace("host:1/m", "host"))
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match=r"modelseal\[grpc\]"):
        declared(text)


def test_a_server_over_grpc_gets_credentials_as_metadata(declared):
    text = '[endpoint]\nkind = "grpc"\nurl = "grpcs://host:1/m"\nheader_from_env = {{{}}}\n'
    known = {"TOKEN": "Bearer abcd"}
    opened = declared(text.format('Authorization = "TOKEN"'), environment=known)
    assert opened.credentials.headers == {"Authorization": "Bearer abcd"}
    for name in ("grpc-token", "Token-Bin", "a!b", "User-Agent"):
        with pytest.raises(BadFileError, match=f"got {name}$"):
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
    ("more", "field"),
    [
        ("timeout = 0\n", "endpoint.timeout"),
        ('[request]\ntemplate = "{"\n', "request"),
        ('[request]\ncarrier = "body"\n', "request"),
        ('[request]\nchannels = "last"\nvalues = "levels"\ntemplate = "x"\n', "request"),
        ('[answer]\nselect = "a["\n', "answer.select"),
        ('[answer]\nnames = ["a"]\n', "answer.names"),
        ('[answer]\nnames_file = "missing"\n', ""),
    ],
)
def test_what_cannot_be_done_is_a_fault_of_the_file(declared, canned, more, field):
    with refuses(BadFileError, field=field):
        declared(http(canned, more))


def test_a_malformed_short_address_is_refused():
    with refuses(InvalidArgumentError, field="endpoint.url"):
        endpoint("http://host:port/invocations", SERVED)
