"""Exchanges over HTTP that end in time, and the endpoint that is asked by a template."""

import asyncio
import os
import re
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import PROTOCOL_TLS_CLIENT, SSLCertVerificationError, SSLContext, create_default_context
from typing import Any, TypeVar
from weakref import finalize

import httpx2

from modelseal.endpoints.auth import NO_CREDENTIALS, Credentials, read_address
from modelseal.endpoints.endpoint import ConnectedEndpoint
from modelseal.endpoints.requests import RequestTemplate
from modelseal.endpoints.responses import AnswerFormat
from modelseal.endpoints.strict_json import read_object, read_value, shorten
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers
from modelseal.timeouts import TIMEOUT
from modelseal.types import Codes

LONGEST_WAIT = 60.0  # nobody is waited for longer than this many seconds, whatever a server says
LARGEST = 64 * 2**20  # the largest body that is read, in bytes
BUSY = {429, 502, 503, 504}  # the statuses that may be another one in a moment

# What may go as it came, unless a certificate is to blame.
_PASSING = (httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.ProxyError)

# What comes of a kept connection that the server has dropped meanwhile.
_DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)

_ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1)

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A successful reply: its body, and its headers under names in lower case."""

    body: bytes
    headers: Mapping[str, str]


class Connection:
    """Connections to one server that are kept for several exchanges.

    Every thread that asks at the same time has one of its own. It follows no redirects, since
    another server than the one that was named would answer, and asks for no compression, so that
    a small body cannot become a large one. Proxies and certificates come from the environment, as
    they do for other programs. If it is never closed, it closes itself with its last use.
    """

    def __init__(
        self, url: str, *, seconds: float, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self._seconds = seconds
        self._credentials = credentials
        self._idle: deque[_Lane] = deque()
        self._release = finalize(self, _close_all, self._idle)
        try:
            self._certificates = _trusted(url, credentials)
            self._idle.append(self._open_lane())
        except httpx2.InvalidURL:
            # What is malformed is a proxy, and the error and its chain show a part of it, which
            # may be of its password.
            raise EndpointError("the environment's proxies cannot be used: malformed") from None
        except (OSError, ValueError, ImportError) as error:
            reason = f"the environment's proxies or certificates cannot be used: {error}"
            raise EndpointError(reason) from error

    def _open_lane(self) -> "_Lane":
        headers = {**self._credentials.headers, "Accept-Encoding": "identity"}
        client = httpx2.AsyncClient(
            verify=self._certificates, timeout=None, headers=headers, limits=_ONE
        )
        return _Lane(client)

    def close(self) -> None:
        """Closes the connections."""
        self._release()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Sends a request and reads its reply."""
        try:
            lane = self._idle.pop()
        except IndexError:  # all are in use
            lane = self._open_lane()
        try:
            work = lane.exchange(method, url, content, headers, seconds=self._seconds)
            response, body = lane.run(work)
        except TimeoutError as error:
            raise PassingError(
                f"expected an answer, got none within {self._seconds:g} seconds"
            ) from error
        # A host's name that the resolver cannot spell is a UnicodeError.
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            kind = PassingError if may_pass(error) else EndpointError
            raise kind(f"expected an answer, got none: {shorten(_reason(error))}") from error
        finally:
            self._idle.append(lane)
            if not self._release.alive:  # it was closed meanwhile
                _close_all(self._idle)
        body = self._credentials.clean(body)
        _check_status(response, body)
        return Reply(
            body=body, headers={key.lower(): text for key, text in response.headers.items()}
        )


class _Lane:
    """One connection in an event loop of its own, kept for one thread at a time.

    The synchronous client bounds every wait for a byte, but not all of them together; a task of
    the asynchronous one is cancelled at its deadline, wherever it waits.
    """

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs a coroutine; in another thread where a loop is running, as in a notebook."""
        if not _is_in_loop():
            return self._run(work)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._run, work).result()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(task)
        finally:
            if not task.done():  # we were interrupted
                task.cancel()
                self._loop.run_until_complete(asyncio.wait([task]))

    def close(self) -> None:
        """Closes the connection."""
        self.run(self._client.aclose())
        self._loop.close()

    async def exchange(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str] | None,
        *,
        seconds: float,
    ) -> tuple[httpx2.Response, bytes]:
        """Sends a request and reads its reply, or is cancelled at the deadline."""
        request = self._client.build_request(method, url, content=content, headers=headers)
        opened: list[Any] = []

        async def note_connection(event: str, info: Mapping[str, object]) -> None:
            if event.endswith("connect_tcp.complete"):
                opened.append(info["return_value"])

        request.extensions = {**request.extensions, "trace": note_connection}
        try:
            async with asyncio.timeout(seconds):
                response = await self._send(request, opened)
                try:
                    return response, await _read_body(response)
                finally:
                    await response.aclose()
        except BaseException:
            # The client leaves a connection open whose handshake is cancelled.
            for stream in opened:
                await stream.aclose()
            raise

    async def _send(self, request: httpx2.Request, opened: list[Any]) -> httpx2.Response:
        """Sends a request, and again if it was lost with a connection that had been kept."""
        while True:
            try:
                return await self._client.send(request, stream=True)
            except _DROPPED:
                if opened:
                    raise


def _is_in_loop() -> bool:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


def _close_all(lanes: deque[_Lane]) -> None:
    while lanes:
        lanes.pop().close()


def _trusted(url: str, credentials: Credentials) -> SSLContext:
    """Whose certificates are trusted; a server's is always verified."""
    if not url.startswith("https:"):
        # Reading all certificates takes longer than a question; without TLS none are needed.
        return SSLContext(PROTOCOL_TLS_CLIENT)
    if credentials.ca_file is not None:
        return create_default_context(cafile=credentials.ca_file)
    return httpx2.create_ssl_context()


def may_pass(error: BaseException) -> bool:
    """Whether what went wrong may go as it came; a wrong certificate does not."""
    certificate = any(isinstance(each, SSLCertVerificationError) for each in _causes(error))
    return isinstance(error, _PASSING) and not certificate


def _reason(error: BaseException) -> str:
    """What the system says of the fault, such as that a connection was refused, or the client."""
    said = [
        os.strerror(each.errno)
        if isinstance(each, ConnectionError) and each.errno
        else each.strerror
        for each in _causes(error)
        if isinstance(each, OSError)
    ]
    return next(filter(None, reversed(said)), str(error)) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):  # one for each address that was tried
            cause = cause.exceptions[0]
        yield cause
        cause = cause.__cause__ or cause.__context__


async def _read_body(response: httpx2.Response) -> bytes:
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        raise EndpointError(f"expected a body without compression, got {shorten(coding)}")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > LARGEST:
            raise EndpointError(f"expected a body of at most {LARGEST} bytes, got more")
    return bytes(body)


def _check_status(response: httpx2.Response, body: bytes) -> None:
    if response.is_redirect:
        # What follows may repeat a key of our own query.
        target = shorten(re.split("[?#]", response.headers.get("location", "nowhere"))[0])
        raise EndpointError(f"expected an answer, got a redirect to {target}")
    if response.is_success:
        return
    said = _complaint(body, response.headers.get("content-type", ""))
    reason = f"expected an answer, got status {response.status_code}{said}"
    if response.status_code in BUSY:
        asked = response.headers.get("retry-after", "")
        raise PassingError(reason, wait=read_retry_after(asked, now=datetime.now(UTC)))
    raise EndpointError(reason)


def _complaint(body: bytes, content_type: str) -> str:
    """What a server says of a fault, ready to follow a sentence; empty if it is of no use."""
    with suppress(EndpointError):
        content = read_object(body)
        said = next((content[key] for key in ("error", "detail", "message") if key in content), "")
        return f": {shorten(str(said))}" if said else ""
    if content_type.startswith("text/plain") and body.strip():
        return f": {shorten(body.decode(errors='replace'))}"
    return ""


def read_retry_after(text: str, *, now: datetime) -> float | None:
    """The header `Retry-After`: seconds, or a date of HTTP (RFC 9110, section 10.2.3).

    Examples:
        >>> read_retry_after("120", now=datetime.now(UTC))
        60.0
    """
    word = text.strip()
    if word.isascii() and word.isdigit():
        return min(float(word), LONGEST_WAIT)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        moment = parsedate_to_datetime(word)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT)
    return None


def check_url(url: str) -> None:
    """Makes sure that a request can be sent to an address."""
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidArgumentError(f"expected a URL, got none: {error}", field="url") from error


_EXPECTED = "the address of a server, http(s)://host/path"


class HttpEndpoint(ConnectedEndpoint[Connection]):
    """Answers with what a server replies to a request that a template makes."""

    def __init__(
        self,
        url: str,
        *,
        template: RequestTemplate,
        answers: AnswerFormat,
        credentials: Credentials = NO_CREDENTIALS,
        timeout: float = TIMEOUT,
        method: str = "POST",
    ) -> None:
        address = read_address(url, expected=_EXPECTED)
        if not address.url.startswith(("http://", "https://")) or "#" in address.url:
            raise InvalidArgumentError(
                f"expected {_EXPECTED}, got {shorten(address.shown)}", field="url"
            )
        check_url(address.url)
        super().__init__(
            address.shown,
            template.inputs.domain,
            timeout=timeout,
            credentials=address.add_to(credentials),
        )
        self.url = address.url
        self.template = template
        self.answers = answers
        self.method = method

    def _open(self) -> Connection:
        return Connection(self.url, seconds=self.timeout, credentials=self.credentials)

    def _batch_size(self) -> int:
        return self.template.size

    def _ask_batch(self, codes: Codes) -> Answers:
        message = self.template.render(codes)
        headers = {"Content-Type": message.content_type, "Accept": "application/json"}
        reply = self._connect().exchange(
            self.method, self.url, content=message.body, headers=headers
        )
        return self.answers.read(read_value(reply.body), count=len(codes))
