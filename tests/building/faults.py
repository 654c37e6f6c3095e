"""Every fault of a server that the documents name."""

import json
import time
from typing import Any

from faulty import Fault, Handler, Play


def changed(**changes: Any) -> Play:
    """Answers with an output that is changed."""
    return lambda handler: handler.reply(handler.right(**changes))


def named(**names: str) -> Play:
    """Answers rightly, but under other names."""
    return lambda handler: handler.reply(handler.right() | names)


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
NONE_IN_TIME = r"no answer came within [\d.]+ seconds"
FAULTS = {
    "refused": Fault(refused=True, passing=True, reason="no answer came: .*[Rr]efused"),
    "reset in mid-answer": Fault(
        play=reset_in_the_middle, passing=True, reason="no answer came: .*[Rr]eset"
    ),
    "cut in mid-answer": Fault(
        play=cut_in_the_middle, passing=True, reason="no answer came: .*without sending complete"
    ),
    "slow drip of the body": Fault(play=drip_the_body, passing=True, reason=NONE_IN_TIME),
    "slow drip of the headers": Fault(play=drip_the_headers, passing=True, reason=NONE_IN_TIME),
    "timeout": Fault(play=say_nothing, passing=True, reason=NONE_IN_TIME),
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
    "an answer of another model": Fault(
        play=named(model_name="n"), reason='model_name: m was wanted, but "n" came'
    ),
    "an answer of another version": Fault(
        play=named(model_version="2"), reason='model_version: 1 was wanted, but "2" came'
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
    "metadata under another name": Fault(
        metadata={"name": "n"}, reason='name: m was wanted, but "n" came'
    ),
    "metadata of another output": Fault(
        metadata={"outputs": [{"name": "z"}]}, reason='outputs: "z" was wanted'
    ),
}
"""Every fault that the documents name, by what it is called there."""
