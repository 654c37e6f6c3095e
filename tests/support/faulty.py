"""A small server of the Open Inference Protocol that fails on demand, in every way there is.

It answers the samples of a fingerprint as the sealed model would, and shows one fault as often as
it is told to before that.
"""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Any

import numpy as np

from modelseal.fingerprint.fingerprint import Fingerprint

Play = Callable[["Handler"], None]
"""Does in the place of an answer whatever the fault is."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault."""

    reason: str
    play: Play | None = None
    metadata: dict[str, Any] | None = None
    passing: bool = False
    refused: bool = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FaultyServer"

    def do_GET(self) -> None:
        model = self.path == "/v2/models/m/versions/1"
        play = self.server.next_fault() if model and self.server.early else None
        if play is not None:
            play(self)
        else:
            self.reply(self.server.metadata() if model else {"name": "s", "extensions": []})

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.count()
        play = self.server.next_fault()
        if play is not None:
            play(self)
        else:
            self.reply(self.right())

    def right(self, **changes: Any) -> dict[str, Any]:
        request = json.loads(self.body)
        label = self.server.label(request["inputs"][0]["data"])
        output = {"name": "y", "datatype": "INT64", "shape": [1, 1], "data": [label]}
        named = {"model_name": "m", "model_version": "1", "id": request["id"]}
        return {**named, "outputs": [output | changes]}

    def reply(self, content: object, *, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, data: bytes) -> None:
        """Sends a byte now and then, for as long as the client listens."""
        self.close_connection = True
        for byte in data:
            if self.server.ended.wait(0.02):
                return
            self.wfile.write(bytes([byte]))

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        """Keeps the test's output clean."""


class FaultyServer(ThreadingHTTPServer):
    """The server; it listens as soon as it is healed, or at once if its fault lets it."""

    daemon_threads = True

    def __init__(
        self,
        fingerprint: Fingerprint,
        fault: Fault | None,
        *,
        times: float = inf,
        early: bool = False,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.fingerprint, self.fault, self.left, self.early = fingerprint, fault, times, early
        self.posts, self.moments = 0, list[float]()
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.server_bind()
        self.url = f"http://127.0.0.1:{self.server_port}/v2/models/m/versions/1"
        self.thread: threading.Thread | None = None
        if not (fault and fault.refused):
            self.listen()

    def listen(self) -> None:
        self.server_activate()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def heal(self) -> None:
        self.fault = None
        if self.thread is None:
            self.listen()

    def close(self) -> None:
        self.ended.set()
        if self.thread is not None:
            self.shutdown()
            self.thread.join()
        self.server_close()

    def metadata(self) -> dict[str, Any]:
        shape = [-1, *self.fingerprint.domain.shape]
        inputs = [{"name": "x", "datatype": "FP64", "shape": shape}]
        right = {"name": "m", "inputs": inputs, "outputs": [{"name": "y"}]}
        return right | ((self.fault and self.fault.metadata) or {})

    def count(self) -> None:
        with self.lock:
            self.posts += 1
            self.moments.append(time.monotonic())

    def next_fault(self) -> Play | None:
        with self.lock:
            if self.fault is None or self.fault.play is None or self.left <= 0:
                return None
            self.left -= 1
            return self.fault.play

    def label(self, data: list[float]) -> int:
        inputs = self.fingerprint.domain.decode(self.fingerprint.samples)
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        (number,) = np.flatnonzero((flat == np.array(data)).all(axis=1))
        return int(self.fingerprint.expected.labels[number, 0])

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up in the middle is part of the tests."""


@contextmanager
def serving(
    fingerprint: Fingerprint, fault: Fault | None = None, **settings: Any
) -> Iterator[FaultyServer]:
    server = FaultyServer(fingerprint, fault, **settings)
    try:
        yield server
    finally:
        server.close()
