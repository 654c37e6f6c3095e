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

from modelseal.fingerprint.record import Fingerprint

Play = Callable[["Handler"], None]
"""Does in the place of an answer whatever the fault is."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Args:
        reason: What the verdict says of it, as a regular expression.
        play: Does it, in the place of an answer to a question.
        metadata: What the server says of its model, in the place of the truth.
        passing: Whether it may pass, so that the same question is asked again.
        refused: Whether the server does not even listen.
    """

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
        metadata = self.server.metadata()
        self.reply(metadata if self.path == "/v2/models/m" else {"name": "s", "extensions": []})

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.count()
        play = self.server.next_fault()
        if play is not None:
            play(self)
        else:
            self.reply(self.right())

    def right(self, **changes: Any) -> dict[str, Any]:
        """The expected answer, but for what is changed."""
        request = json.loads(self.body)
        label = self.server.label(request["inputs"][0]["data"])
        output = {"name": "y", "datatype": "INT64", "shape": [1, 1], "data": [label]}
        return {"id": request["id"], "outputs": [output | changes]}

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
        """Ends the connection as a crash does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        """Keeps the test's output clean."""


class FaultyServer(ThreadingHTTPServer):
    """The server; it listens as soon as it is healed, or at once if its fault lets it.

    Args:
        fingerprint: Whose samples it answers.
        fault: What it does wrong.
        times: How often, before it is well.
    """

    daemon_threads = True

    def __init__(self, fingerprint: Fingerprint, fault: Fault | None, *, times: float = inf):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.fingerprint = fingerprint
        self.fault = fault
        self.left = times
        self.posts = 0
        self.moments: list[float] = []
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.server_bind()
        self.url = f"http://127.0.0.1:{self.server_port}/v2/models/m"
        self.thread: threading.Thread | None = None
        if not (fault and fault.refused):
            self.listen()

    def listen(self) -> None:
        self.server_activate()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def heal(self) -> None:
        """Makes the server well."""
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
        """What the sealed model answers."""
        inputs = self.fingerprint.domain.decode(self.fingerprint.samples)
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        (number,) = np.flatnonzero((flat == np.array(data)).all(axis=1))
        return int(self.fingerprint.expected.labels[number, 0])

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up in the middle is part of the tests."""


@contextmanager
def serving(
    fingerprint: Fingerprint, fault: Fault | None = None, *, times: float = inf
) -> Iterator[FaultyServer]:
    """Starts the server, and ends it."""
    server = FaultyServer(fingerprint, fault, times=times)
    try:
        yield server
    finally:
        server.close()


def changed(**changes: Any) -> Play:
    """Answers with an output that is changed."""
    return lambda handler: handler.reply(handler.right(**changes))


def text(body: bytes, **headers: str) -> Play:
    """Answers with this body."""
    return lambda handler: handler.reply(body, **headers)


def status(code: int, **headers: str) -> Play:
    """Answers with an error."""
    return lambda handler: handler.reply({"error": "sorry"}, status=code, **headers)


def reset_in_the_middle(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"outputs": [')
    handler.wfile.flush()
    time.sleep(0.05)
    handler.reset()


def cut_in_the_middle(handler: Handler) -> None:
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"outputs": [')


def drip_the_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.drip(b" " * 100_000)


def drip_the_headers(handler: Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 90_000)


def say_nothing(handler: Handler) -> None:
    handler.close_connection = True
    handler.server.ended.wait(30)


def flood(handler: Handler) -> None:
    """A gigabyte, a piece at a time: neither side ever holds all of it."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    for _ in range(2**30 // 2**20):
        handler.wfile.write(b" " * 2**20)


def twice(handler: Handler) -> None:
    """Two outputs of one name, and a key that comes twice."""
    output = json.dumps(handler.right()["outputs"][0])
    handler.reply(f'{{"outputs": [{output}], "outputs": [{output}]}}'.encode())


OTHER_INPUT = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 224, 224]}]}
HTML = b"<html><body>It works!</body></html>"
FAULTS = {
    "refused": Fault(refused=True, passing=True, reason="no answer came: .*[Rr]efused"),
    "reset in mid-answer": Fault(
        play=reset_in_the_middle, passing=True, reason="no answer came: .*[Rr]eset"
    ),
    "cut in mid-answer": Fault(
        play=cut_in_the_middle, passing=True, reason="no answer came: .*without sending complete"
    ),
    "slow drip of the body": Fault(
        play=drip_the_body, passing=True, reason=r"no answer came within 0\.3 seconds"
    ),
    "slow drip of the headers": Fault(
        play=drip_the_headers, passing=True, reason=r"no answer came within 0\.3 seconds"
    ),
    "timeout": Fault(play=say_nothing, passing=True, reason=r"no answer came within 0\.3 seconds"),
    **{
        f"status {code}": Fault(
            play=status(code), passing=code in {429, 502, 503, 504}, reason=f"status {code} came"
        )
        for code in (400, 401, 403, 404, 429, 500, 502, 503, 504)
    },
    "429 with Retry-After": Fault(
        play=status(429, Retry_After="0"), passing=True, reason="status 429 came: sorry"
    ),
    "a redirect": Fault(
        play=status(307, Location="http://127.0.0.1:1/"), reason="a redirect to .* came"
    ),
    "truncated JSON": Fault(play=text(b'{"outputs": [{"name"'), reason="JSON was wanted"),
    "an empty body": Fault(play=text(b""), reason="JSON was wanted"),
    "a list in place of an object": Fault(play=text(b"[]"), reason="a JSON object was wanted"),
    "wrong types": Fault(play=changed(data=["3"]), reason='a whole number was wanted, but "3"'),
    "true in place of a label": Fault(play=changed(data=[True]), reason="but true came"),
    "nothing in place of a label": Fault(play=changed(data=[None]), reason="but nothing came"),
    "NaN": Fault(play=text(b'{"outputs": [{"name": "y", "data": [NaN]}]}'), reason="but NaN came"),
    "infinity": Fault(
        play=text(b'{"outputs": [{"name": "y", "data": [-Infinity]}]}'), reason="but -Infinity"
    ),
    "a number that is too large": Fault(
        play=changed(datatype="FP32", shape=[1, 5], data=[1e300] * 5),
        reason="finite numbers within float32",
    ),
    "wrong shape": Fault(play=changed(shape=[5], data=[1] * 5), reason="labels of shape .* wanted"),
    "data of another length": Fault(
        play=changed(data=[1, 2]), reason="data: 1 numbers were wanted"
    ),
    "unknown label": Fault(play=changed(data=[5]), reason="labels 0 to 4 were wanted, but 5 came"),
    "negative label": Fault(play=changed(data=[-1]), reason="labels 0 to 4 were wanted, but -1"),
    "too many answers": Fault(
        play=changed(shape=[2, 1], data=[1, 1]), reason=r"shape \(1, at least 1\) were wanted"
    ),
    "too many labels": Fault(
        play=changed(shape=[1, 6], data=[1, 2, 3, 4, 0, 1]), reason="one row of 1 to 5 labels"
    ),
    "duplicate keys": Fault(play=twice, reason="the key comes twice"),
    "an answer to another question": Fault(
        play=text(b'{"id": "other", "outputs": []}'), reason='but "other" came'
    ),
    "HTML in place of JSON": Fault(
        play=text(HTML, Content_Type="text/html"), reason="JSON was wanted, but other text came"
    ),
    "a gigabyte": Fault(play=flood, reason="a body of at most 67108864 bytes was wanted"),
    "a compressed answer": Fault(
        play=text(b"zz", Content_Encoding="gzip"), reason="a body without compression was wanted"
    ),
    "another model's metadata": Fault(
        metadata=OTHER_INPUT, reason=r"takes shape \[-1, 2, 3\] was wanted"
    ),
    "metadata of another output": Fault(
        metadata={"outputs": [{"name": "z"}]}, reason='outputs: "z" was wanted'
    ),
}
"""Every fault that the documents name, by what it is called there."""
