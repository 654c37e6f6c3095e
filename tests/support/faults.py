"""Every fault of a server that the documents name."""

import json
import time
from typing import Any

from faulty import Fault, Handler, Play


def changed(**changes: Any) -> Play:
    return lambda handler: handler.reply(handler.right(**changes))


def named(**names: str) -> Play:
    return lambda handler: handler.reply(handler.right() | names)


def text(body: bytes, **headers: str) -> Play:
    return lambda handler: handler.reply(body, **headers)


def status(code: int, **headers: str) -> Play:
    return lambda handler: handler.reply({"error": "sorry"}, status=code, **headers)


def begin_and(then: Play) -> Play:
    """Begins an answer, and does something in the middle of it."""

    def play(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"outputs": [')
        handler.wfile.flush()
        time.sleep(0.05)
        then(handler)

    return play


def cut_off(handler: Handler) -> None:
    handler.close_connection = True


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
    output = json.dumps(handler.right()["outputs"][0])
    handler.reply(f'{{"outputs": [{output}], "outputs": [{output}]}}'.encode())


OTHER_INPUT = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 224, 224]}]}
HTML = b"<html><body>It works!</body></html>"
NONE_IN_TIME = r"got none within [\d.]+ seconds"
FAULTS = {
    "refused": Fault(refused=True, passing=True, reason="got none: .*refused"),
    "reset in mid-answer": Fault(
        play=begin_and(Handler.reset), passing=True, reason="got none: .*reset"
    ),
    "cut in mid-answer": Fault(
        play=begin_and(cut_off), passing=True, reason="got none: .*without sending complete"
    ),
    "slow drip of the body": Fault(play=drip_the_body, passing=True, reason=NONE_IN_TIME),
    "slow drip of the headers": Fault(play=drip_the_headers, passing=True, reason=NONE_IN_TIME),
    "timeout": Fault(play=say_nothing, passing=True, reason=NONE_IN_TIME),
    **{
        f"status {code}": Fault(
            play=status(code), passing=code in {429, 502, 503, 504}, reason=f"got status {code}"
        )
        for code in (400, 401, 403, 404, 429, 500, 502, 503, 504)
    },
    "429 with Retry-After": Fault(
        play=status(429, Retry_After="0"), passing=True, reason="got status 429: sorry"
    ),
    "a redirect": Fault(
        play=status(307, Location="http://127.0.0.1:1/"), reason="got a redirect to "
    ),
    "truncated JSON": Fault(play=text(b'{"outputs": [{"name"'), reason="expected JSON"),
    "an empty body": Fault(play=text(b""), reason="expected JSON"),
    "a list in place of an object": Fault(play=text(b"[]"), reason="expected a JSON object"),
    "wrong types": Fault(play=changed(data=["3"]), reason='expected a whole number, got "3"'),
    "true in place of a label": Fault(play=changed(data=[True]), reason="got true"),
    "nothing in place of a label": Fault(play=changed(data=[None]), reason="got nothing"),
    "NaN": Fault(play=text(b'{"outputs": [{"name": "y", "data": [NaN]}]}'), reason="got NaN"),
    "infinity": Fault(
        play=text(b'{"outputs": [{"name": "y", "data": [-Infinity]}]}'), reason="got -Infinity"
    ),
    "a number that is too large": Fault(
        play=changed(datatype="FP32", shape=[1, 5], data=[1e300] * 5),
        reason="finite numbers within float32",
    ),
    "wrong shape": Fault(play=changed(shape=[5], data=[1] * 5), reason="expected labels of shape"),
    "data of another length": Fault(play=changed(data=[1, 2]), reason="data: expected 1 numbers"),
    "unknown label": Fault(play=changed(data=[5]), reason="got 5"),
    "negative label": Fault(play=changed(data=[-1]), reason="got -1"),
    "too many answers": Fault(
        play=changed(shape=[2, 1], data=[1, 1]), reason=r"expected labels of shape \(1, 1 or more\)"
    ),
    "too many labels": Fault(
        play=changed(shape=[1, 6], data=[1, 2, 3, 4, 0, 1]), reason="one row of 1 to 5 labels"
    ),
    "duplicate keys": Fault(play=twice, reason="got the key twice"),
    "an answer to another question": Fault(
        play=text(b'{"id": "other", "outputs": []}'), reason='got "other"'
    ),
    "an answer of another model": Fault(
        play=named(model_name="n"), reason='model_name: expected m, got "n"'
    ),
    "an answer of another version": Fault(
        play=named(model_version="2"), reason='model_version: expected 1, got "2"'
    ),
    "HTML in place of JSON": Fault(
        play=text(HTML, Content_Type="text/html"), reason="expected JSON, got other text"
    ),
    "a gigabyte": Fault(play=flood, reason="expected a body of at most 67108864 bytes"),
    "a compressed answer": Fault(
        play=text(b"zz", Content_Encoding="gzip"), reason="expected a body without compression"
    ),
    "another model's metadata": Fault(
        metadata=OTHER_INPUT, reason=r"expected a model that takes shape \[-1, 2, 3\]"
    ),
    "metadata under another name": Fault(
        metadata={"name": "n"}, reason='name: expected m, got "n"'
    ),
    "metadata of another output": Fault(
        metadata={"outputs": [{"name": "z"}]}, reason='outputs: expected "z"'
    ),
}
"""Every fault that the documents name, by what it is called there."""
