import pytest

from modelseal.endpoints.encoding import Form, Unit
from modelseal.endpoints.endpoint_toml import is_endpoint, list_endpoint_files, read_endpoint
from modelseal.endpoints.responses import Layout, Naming, Numbers
from modelseal.endpoints.template import Carrier
from modelseal.errors import BadFileError

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
    declared = read_endpoint(
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
        (HTTP, True),
        ('[model]\nfactory = "x:y"\n', False),
        ("[model]\n[endpoint]\n", False),
        ("[endpoint]\n[model]\n", True),
        ("", False),
        ("[", False),
        ("\ufeff", False),
    ],
)
def test_a_file_whose_first_table_is_endpoint_declares_one(write, text, wanted):
    assert is_endpoint(write(text)) is wanted


def test_a_missing_file_and_one_of_other_bytes_declare_none(tmp_path):
    assert not is_endpoint(tmp_path / "missing.toml")
    (tmp_path / "x.toml").write_bytes(b"[endpoint]\xff")
    assert not is_endpoint(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[endpoint]\n", "endpoint.kind: is missing"),
        (
            '[endpoint]\nkind = "ftp"\n',
            "kind: expected 'http', 'oip', 'grpc', 'sagemaker'",
        ),
        ('[endpoint]\nkind = "http"\n', "endpoint: url is needed for http"),
        ('[endpoint]\nkind = "sagemaker"\n', "endpoint: name is needed for sagemaker"),
        ('[endpoint]\nkind = "command"\ncommand = []\n', "command is needed for command"),
        (
            '[endpoint]\nkind = "command"\ncommand = ["x"]\nurl = "http://h"\n',
            "url is not for c",
        ),
        ('[endpoint]\nkind = "grpc"\nurl = "h:1"\npreset = "mlflow"\n', "preset is not for grpc"),
        (HTTP + 'preset = "mflow"\n', "preset needs one of mlflow, .*, but is 'mflow'"),
        (HTTP + 'methods = "PUT"\n', "endpoint.methods: unknown key, expected one of kind, url"),
        (HTTP + 'method = "GET"\n', "endpoint.method: expected 'POST' or 'PUT', got 'GET'"),
        (HTTP + 'timeout = "5"\n', "endpoint.timeout: expected a valid number"),
        (HTTP + "timeout = nan\n", "endpoint.timeout: expected a finite number"),
        (
            HTTP + 'headers = {x = "1"}\nheader_from_env = {X = "Y"}\n',
            "the header x is wanted",
        ),
        (
            HTTP + '[request]\nform = "jpeg"\n',
            "form: needs one of nested, flat, png, bytes",
        ),
        (
            HTTP + '[answer]\nnumbers = "logits"\n',
            "numbers: needs one of scores, probabilities",
        ),
        (HTTP + "[answer]\nlayout = []\n", r"answer.layout: needs one of scores, .*but is \[\]"),
        (HTTP + '[answer]\nfirst = "1"\n', "answer.first: expected a valid integer"),
        (HTTP + '[answer]\nnames = ["a"]\nnames_file = "b"\n', "either names or names_file"),
        (HTTP + "[check]\n", "check.images: is missing"),
        (HTTP + '[check]\nimages = "x"\nlabels = [1.5]\n', "labels needs whole numbers or names"),
        (HTTP + '[check]\nimages = "x"\nlabels = [1]\nlabels_file = "y"\n', "and not both"),
        (
            HTTP + '[check]\nimages = "x"\nat_least = 0\n',
            "check.at_least: expected a number greater than 0",
        ),
        (
            HTTP + '[check]\nimages = "x"\ncount = 0\n',
            "count: expected a number greater than or equal",
        ),
        (
            HTTP.replace("http", "oip", 1) + '[answer]\nnumbers = "percent"\n',
            "oip needs nothing",
        ),
        (HTTP.replace("http", "oip", 1) + '[request]\nform = "png"\n', "oip needs nothing"),
        (
            '[endpoint]\nkind = "command"\ncommand = ["x"]\n[request]\ntemplate = "x"\n',
            "request: template is not for command",
        ),
        ("[endpoint", "expected TOML"),
    ],
)
def test_a_wrong_declaration_is_one_sentence_with_its_place(write, text, problem):
    with pytest.raises(BadFileError, match=problem) as caught:
        read_endpoint(write(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        f'url = "https://user:{MARKER}@host/x"',
        f'url = "https://user:{MARKER}/@host/x"',
        f'url = ["https://user:{MARKER}@host/x"]',
        f'url = "https://[{MARKER}@host/x"',
        f'headers = {{Authorization = "{MARKER}"}}',
        f'headers = {{X-Api-Key = "{MARKER}"}}',
        f'headers = {{Cookie = "{MARKER}"}}',
        f'headers = {{Authorization = ["{MARKER}"]}}',
        f'headers = "{MARKER}"',
        f'header_from_env = {{Authorization = ["{MARKER}"]}}',
        f'header_from_file = ["{MARKER}"]',
        f'token = "{MARKER}"',
        f'header_from_env = "Bearer {MARKER}"',
    ],
)
def test_a_credential_in_the_file_is_refused_and_never_shown(write, line):
    given = f'[endpoint]\nkind = "http"\n{line}\n'
    if not line.startswith("url"):
        given += 'url = "https://host/x"\n'
    with pytest.raises(BadFileError, match="endpoint") as caught:
        read_endpoint(write(given))
    assert MARKER not in str(caught.value)


def test_the_files_of_a_declaration_are_listed(write, tmp_path):
    path = write(
        HTTP + 'header_from_file = {X = "x.txt"}\nca_file = "ca.pem"\n'
        '[answer]\nnames_file = "names.txt"\n[check]\nimages = "few"\nlabels_file = "few.txt"\n'
    )
    named = ("endpoint.toml", "x.txt", "ca.pem", "names.txt", "few", "few.txt")
    assert list_endpoint_files(path) == tuple(tmp_path / name for name in named)
