"""`modelseal verify` with endpoints that a file or a short name declares."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import sealed

from modelseal.domain import Domain
from modelseal.endpoints import factory

DOMAIN = Domain(shape=(1, 2, 2))
NAMES = ("ant", "bee", "cat", "dog", "elk")
MARKER = "mArKeR-of-the-door"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((dict(self.headers.items()), body))
        status, content = self.server.answer(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Keeps the test's output clean."""


@pytest.fixture
def server(folder):
    """A server that answers each sample as expected, and every other input with its first level."""
    made = sealed.fingerprint(domain=DOMAIN, count=4, names=NAMES)
    made.save(folder / "out.seal")
    known = dict(
        zip(
            map(bytes, DOMAIN.decode(made.samples)),
            made.expected.labels[:, 0].tolist(),
            strict=True,
        )
    )

    def label(row):
        values = np.array(row, np.float32)
        return known.get(bytes(values), int(np.rint(values.ravel()[0] * 255)) % 5)

    def answer(body):
        rows = json.loads(body)["inputs"]
        return 200, json.dumps({"predictions": [running.read(label(row)) for row in rows]}).encode()

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.answer, running.asked, running.read = answer, [], lambda index: index
    running.made, running.known = made, known
    running.url = f"http://127.0.0.1:{running.server_port}/invocations"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def few(folder):
    """Natural images whose first level is their class."""
    images = np.repeat(np.arange(8, dtype=np.uint8)[:, None, None] % 5, 4, axis=1).reshape(8, 2, 2)
    np.savez(folder / "few.npz", images=images, labels=np.arange(8) % 5)
    return folder / "few.npz"


@pytest.fixture
def declare(folder, server):
    def put(more="", *, kind="http", url=""):
        text = (
            f'[endpoint]\nkind = "{kind}"\nurl = "{url or server.url}"\npreset = "mlflow"\n{more}'
        )
        (folder / "endpoint.toml").write_text(text, encoding="utf-8")

    return put


def samples_asked(server):
    sent = [np.array(json.loads(body)["inputs"], np.float32) for _, body in server.asked]
    return sum(bytes(row) in server.known for rows in sent for row in rows)


def test_a_declared_endpoint_is_verified_and_its_changed_model_found(server, declare, run):
    declare()
    assert run("verify", "out.seal", "endpoint.toml").exit_code == 0
    first = next(iter(server.known))
    server.known[first] = (server.known[first] + 1) % 5
    assert run("verify", "out.seal", "endpoint.toml", "--all").exit_code == 1


def test_a_record_is_not_gone_on_with_after_the_declared_address_has_changed(
    server, declare, folder, run
):
    declare()
    assert run("verify", "out.seal", "endpoint.toml", "--record", "r.jsonl").exit_code == 0
    again = ("verify", "out.seal", "endpoint.toml", "--resume", "r.jsonl", "--json", "v.json")
    assert run(*again).exit_code == 0
    name = f"endpoint.toml ({server.url})"
    assert json.loads((folder / "v.json").read_text())["endpoint"] == name
    declare(url=server.url.replace("127.0.0.1", "localhost"))
    result = run(*again)
    assert result.exit_code == 2
    assert name in result.stderr


def test_a_file_that_is_edited_while_it_is_opened_is_refused(
    server, declare, folder, run, monkeypatch
):
    declare()
    usual = factory.endpoint

    def edit_and_open(*arguments, **settings):
        declare(url="http://127.0.0.1:9/elsewhere")
        return usual(*arguments, **settings)

    monkeypatch.setattr(factory, "endpoint", edit_and_open)
    result = run("verify", "out.seal", "endpoint.toml", "--json", "v.json")
    assert result.exit_code == 2
    assert "endpoint.toml: was edited while it was being opened; try again" in result.stderr
    assert server.asked == []
    assert not (folder / "v.json").exists()


def test_natural_images_are_asked_first_and_then_the_samples(server, declare, few, run):
    declare('[check]\nimages = "few.npz"\n')
    assert run("verify", "out.seal", "endpoint.toml").exit_code == 0
    assert len(server.asked) == 8 + 4
    assert [
        bytes(np.array(json.loads(body)["inputs"], np.float32)[0]) in server.known
        for _, body in server.asked
    ] == [False] * 8 + [True] * 4


@pytest.fixture(params=["file", "option"])
def checked(request, server, declare, few):
    """What names an endpoint and natural images: a file, or an address and an option."""
    if request.param == "option":
        return [server.url, "--check", "few.npz"]
    declare('[check]\nimages = "few.npz"\n')
    return ["endpoint.toml"]


@pytest.mark.parametrize(
    "read",
    [
        lambda index: (index + 1) % 5,
        lambda index: index + 1,
        lambda index: NAMES[index - 1],
        lambda index: NAMES[index].title(),
        lambda index: [0.1] * 4,
        lambda index: None,
    ],
)
def test_a_wrong_mapping_is_undecided_before_any_sample_is_asked(server, checked, run, read):
    server.read = read
    result = run("verify", "out.seal", *checked, "--json", "-")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["outcome"], document["asked"]) == (3, "undecided", 0)
    assert "natural image" in document["reason"]
    assert server.asked
    assert samples_asked(server) == 0


def test_files_that_an_endpoint_names_are_never_replaced_by_the_document(
    server, declare, folder, few, run
):
    (folder / "token.txt").write_text(MARKER)
    declare('header_from_file = {Authorization = "token.txt"}\n[check]\nimages = "few.npz"\n')
    for name in ("endpoint.toml", "token.txt", "few.npz"):
        result = run("verify", "out.seal", "endpoint.toml", "--json", name)
        assert result.exit_code == 2
        assert "is read as well" in result.stderr


STATUSES = [401, 403, 404, 429, 500, 503]


@pytest.mark.parametrize("status", STATUSES)
def test_a_secret_is_sent_and_told_nowhere(server, declare, folder, run, status):
    server.answer = lambda body: (status, json.dumps({"error": f"{MARKER} is unknown"}).encode())
    declare('header_from_env = {Authorization = "MODELSEAL_TOKEN"}\n')
    environment = {"MODELSEAL_TOKEN": f"Bearer {MARKER}"}
    result = run("verify", "out.seal", "endpoint.toml", "--json", "v.json", env=environment)
    assert result.exit_code == 3
    assert server.asked[0][0]["Authorization"] == f"Bearer {MARKER}"
    assert "*** is unknown" in result.stdout
    assert MARKER not in result.output + (folder / "v.json").read_text()
