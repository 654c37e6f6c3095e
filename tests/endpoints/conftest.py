"""A server with canned answers, for the faults that a real one does not show on demand."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from programs import DOMAIN

from modelseal.endpoints.requests import InputFormat
from modelseal.endpoints.responses import AnswerFormat, LabelFormat, Rows
from modelseal.endpoints.subprocess import CommandEndpoint

Reply = bytes | Callable[[dict[str, str], bytes], bytes]


def reply(body: object, *, status: int = 200, **headers: str) -> bytes:
    """A whole HTTP answer; a body that is not bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    fields["Connection"] = "close"
    fields |= {key.replace("_", "-"): value for key, value in headers.items()}
    lines = [f"HTTP/1.1 {status} X", *(f"{key}: {value}" for key, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        headers, body = dict(self.headers.items()), self.rfile.read(size)
        self.server.asked.append((self.command, self.path, headers, body))
        canned = self.server.routes.get((self.command, self.path), reply({}, status=404))
        answer = canned(headers, body) if callable(canned) else canned
        self.server.clients.append(self.client_address)
        self.wfile.write(answer)
        self.close_connection = b"Connection: keep-alive" not in answer

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Keeps the test's output clean."""


class CannedServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[tuple[str, str], Reply] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.clients: list[tuple[str, int]] = []
        self.ended = threading.Event()
        self.root = f"http://127.0.0.1:{self.server_port}"
        self.url = f"{self.root}/v2/models/m"

    def serves(self, metadata: object, infer: Reply, *, server: object | None = None) -> str:
        """Says what the three addresses answer, and gives the model's."""
        self.routes[("GET", "/v2/models/m")] = (
            metadata if isinstance(metadata, bytes) else reply(metadata)
        )
        self.routes[("POST", "/v2/models/m/infer")] = infer
        if server is not None:
            self.routes[("GET", "/v2")] = reply(server)
        return self.url

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up in the middle is part of the tests."""


@pytest.fixture
def canned() -> Iterator[CannedServer]:
    server = CannedServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="reply")
def reply_fixture() -> Callable[..., bytes]:
    return reply


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., CommandEndpoint]]:
    """A program of some lines of Python as an endpoint."""
    made: list[CommandEndpoint] = []

    def build(
        program: str, *, arguments: list[str] | None = None, **settings: Any
    ) -> CommandEndpoint:
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        sending = settings.pop("inputs", InputFormat(domain=DOMAIN))
        made.append(
            CommandEndpoint(
                arguments or [sys.executable, "-I", "program.py"],
                inputs=sending,
                answers=AnswerFormat(labels=LabelFormat(classes=3), select="output", rows=Rows.ONE),
                folder=tmp_path,
                **{"timeout": 20.0, **settings},
            )
        )
        return made[-1]

    yield build
    for endpoint in made:
        endpoint.close()
