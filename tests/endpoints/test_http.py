import asyncio
import contextlib
import socket
import ssl
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quickest import quickest

from modelseal.endpoints import http
from modelseal.endpoints.http import LONGEST_WAIT, Connection, check_url, read_retry_after
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError


@pytest.fixture
def fetch(canned):
    """Asks for an address of the server with canned answers."""

    def get(answer, *, seconds=60.0):
        canned.routes[("GET", "/x")] = answer
        with closing(Connection(canned.root, seconds=seconds)) as connection:
            return connection.exchange("GET", f"{canned.root}/x")

    return get


def test_body_and_headers_come_as_they_were_sent(fetch, reply):
    answer = fetch(reply(b"\0\1\2", X_Thing="Yes"))
    assert answer.body == b"\0\1\2"
    assert answer.headers["x-thing"] == "Yes"


@pytest.mark.parametrize(
    ("status", "body", "content_type", "message"),
    [
        (404, {"error": "Request for unknown model"}, "application/json", ": Request for unknown"),
        (400, {"detail": [{"msg": "bad"}]}, "application/json", r": \[{'msg': 'bad'}\]$"),
        (500, {"message": "boom\nat line 3"}, "application/json", ": boom at line 3$"),
        (500, {"other": 1}, "application/json", "status 500$"),
        (500, {"error": ""}, "application/json", "status 500$"),
        (500, b"Internal Server Error", "text/plain; charset=utf-8", ": Internal Server Error$"),
        (503, b"\xff\x1b[31mred", "text/plain", r": \ufffd \[31mred$"),
        (503, b" ", "text/plain", "status 503$"),
        (502, b"<html>bad gateway</html>", "text/html", "status 502$"),
        (304, b"", "text/plain", "a redirect to nowhere$"),
        (101, b"", "text/plain", "status 101$|got none"),
    ],
)
def test_what_is_no_success_is_an_error_with_the_servers_own_words(
    fetch, reply, status, body, content_type, message
):
    with pytest.raises(EndpointError, match=message) as caught:
        fetch(reply(body, status=status, Content_Type=content_type))
    assert str(caught.value).isprintable()


def test_the_servers_own_words_are_cut_short(fetch, reply):
    with pytest.raises(EndpointError, match=r"status 500: x{200}…$"):
        fetch(reply({"error": "x" * 10_000}, status=500))


@pytest.mark.parametrize("coding", ["gzip", "br", "nonsense"])
def test_a_compressed_body_is_refused_unread(fetch, reply, coding):
    with pytest.raises(EndpointError, match=f"got {coding}"):
        fetch(reply(b"zzzz", Content_Encoding=coding))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        *(b"HTTP/1.1 two hundred\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"\0" * 100),
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_http_answer_is_refused(fetch, answer):
    with pytest.raises(EndpointError, match=r"expected an answer, got none: \w+"):
        fetch(answer)


def test_a_body_beyond_the_limit_is_refused_while_it_comes(fetch, reply, monkeypatch):
    monkeypatch.setattr(http, "LARGEST", 1000)
    assert len(fetch(reply(b"x" * 1000)).body) == 1000
    with pytest.raises(EndpointError, match="at most 1000 bytes"):
        fetch(reply(b"x" * 1001))
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5000
    with pytest.raises(EndpointError, match="at most 1000 bytes"):
        fetch(endless)


def test_a_silent_server_is_given_up_in_time(fetch, canned):
    def wait(*_):
        canned.ended.wait(60)
        return b""

    start = time.monotonic()
    with pytest.raises(EndpointError, match=r"expected an answer, got none within 0\.2 seconds"):
        fetch(wait, seconds=0.2)
    assert time.monotonic() - start < 30


@pytest.fixture
def dribbling():
    """A server that sends what it is given byte by byte, for ever."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def dribble(start, more):
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            client.sendall(start)
            while not ended.wait(0.02):
                client.sendall(more)

    def begin(start, more=b" "):
        thread = threading.Thread(target=dribble, args=(start, more))
        thread.start()
        threads.append(thread)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    threads = []
    yield begin
    ended.set()
    listener.close()
    for thread in threads:
        thread.join()


def ask_in_vain(url):
    """Asks, with half a second for the answer, which does not come."""
    with (
        closing(Connection(url, seconds=0.5)) as connection,
        pytest.raises(PassingError, match=r"expected an answer, got none within 0\.5 seconds"),
    ):
        connection.exchange("GET", url)


@pytest.mark.parametrize(
    "start",
    [
        *(b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n{"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{",
        b"HTTP/1.1 503 X\r\nContent-Length: 99999\r\n\r\n{",
    ],
)
def test_a_server_that_only_dribbles_is_cut_exactly_in_time(dribbling, start):
    assert 0.5 <= quickest(lambda: ask_in_vain(dribbling(start)), below=0.95) < 0.95


def test_a_handshake_that_only_dribbles_is_cut_exactly_in_time(dribbling):
    # A server hello that is sixteen kilobytes long.
    hello = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"

    def ask():
        ask_in_vain(dribbling(hello, b"\0").replace("http", "https"))

    assert 0.5 <= quickest(ask, below=0.95) < 0.95


@pytest.mark.parametrize(
    ("status", "passing"),
    [(400, False), (401, False), (403, False), (404, False), (408, False), (500, False)]
    + [(status, True) for status in (429, 502, 503, 504)],
)
def test_only_a_busy_server_is_a_fault_that_may_pass(fetch, reply, status, passing):
    with pytest.raises(EndpointError, match=f"status {status}") as caught:
        fetch(reply({}, status=status))
    assert isinstance(caught.value, PassingError) is passing


@pytest.mark.parametrize(("text", "wait"), [("2", 2.0), ("9999", 60.0), ("soon", None)])
def test_a_busy_server_says_how_long_it_asks_to_wait(fetch, reply, text, wait):
    with pytest.raises(PassingError, match="status 429") as caught:
        fetch(reply({}, status=429, Retry_After=text))
    assert caught.value.wait == wait


def test_a_certificate_that_is_wrong_is_no_fault_that_may_pass():
    error = httpx2.ConnectError("certificate verify failed")
    assert http.may_pass(error)
    error.__context__ = OSError()
    error.__context__.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    assert not http.may_pass(error)


def test_threads_that_ask_at_once_have_a_connection_each_and_keep_it(canned, reply):
    together = threading.Barrier(3)

    def answer(*_):
        together.wait(60)
        return reply({}, Connection="keep-alive")

    canned.routes[("GET", "/x")] = answer
    url = f"{canned.root}/x"
    with closing(Connection(url, seconds=60.0)) as connection, ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            replies = list(pool.map(lambda _: connection.exchange("GET", url), range(3)))
            assert [each.body for each in replies] == [b"{}"] * 3
    assert len(canned.clients) == 6
    assert len(set(canned.clients)) == 3


def test_it_works_where_a_loop_is_running_as_in_a_notebook(fetch, reply):
    async def cell():
        return fetch(reply(b"abc")).body

    assert asyncio.run(cell()) == b"abc"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:1", "nowhere.invalid", f"{'a' * 64}.invalid", "127.0.0.1:0"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_is_not_there_is_an_error(host, scheme):
    url = f"{scheme}://{host}/x"
    with (
        closing(Connection(url, seconds=60.0)) as connection,
        pytest.raises(EndpointError, match=r"expected an answer, got none: .+"),
    ):
        connection.exchange("GET", url)


@pytest.mark.parametrize("url", ["http://256.1.1.1/x", "http://h/" + "x" * 70_000])
def test_an_address_that_cannot_be_used_is_an_error(url):
    with pytest.raises(InvalidArgumentError, match="url: "):
        check_url(url)
    with (
        closing(Connection(url, seconds=60.0)) as connection,
        pytest.raises(EndpointError, match="got none"),
    ):
        connection.exchange("GET", url)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("HTTPS_PROXY", "nonsense://x"), ("HTTPS_PROXY", "http://[bad]")),
        *(("HTTPS_PROXY", "socks5://host"), ("SSL_CERT_FILE", "/nowhere/at/all")),
    ],
)
def test_what_the_environment_names_and_cannot_be_used_is_an_error(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(EndpointError, match=r"proxies( or certificates)? cannot be used"):
        Connection("https://host", seconds=60.0)


@pytest.mark.parametrize("proxy", ["http://me:marker/x@host", "h://me:marker@host"])
def test_a_malformed_proxy_is_refused_without_its_password(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(EndpointError, match="cannot be used") as caught:
        Connection("https://host", seconds=60.0)
    assert "marker" not in "".join(traceback.format_exception(caught.value))


NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("0", 0.0), (" 7 ", 7.0), ("60", 60.0), ("61", 60.0), ("9" * 5000, 60.0)),
        *(("Thu, 26 Nov 2026 12:00:05 GMT", 5.0), ("Thursday, 26-Nov-26 12:00:05 GMT", 5.0)),
        *(("Thu Nov 26 12:00:05 2026", 5.0), ("Thu, 26 Nov 2026 13:00:05 +0100", 5.0)),
        *(("Thu, 26 Nov 2026 11:59:00 GMT", 0.0), ("Fri, 27 Nov 2026 12:00:00 GMT", 60.0)),
        *(("", None), ("-1", None), ("1.5", None), ("²", None), ("soon", None)),
        ("Thu, 99 Nov 2026 12:00:05 GMT", None),
    ],
)
def test_seconds_and_dates_are_read_and_held_within_bounds(text, seconds):
    assert read_retry_after(text, now=NOW) == seconds


@given(st.text())
def test_no_text_breaks_it_or_is_waited_for_beyond_the_limit(text):
    assert 0 <= (read_retry_after(text, now=NOW) or 0.0) <= LONGEST_WAIT
