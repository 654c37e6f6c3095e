"""How long a server asks to wait before the next question."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from ssl import PROTOCOL_TLS_CLIENT, SSLCertVerificationError, SSLContext, create_default_context
from weakref import finalize

import httpx2

from modelseal.endpoints.auth import NO_ACCESS, Access, read_address
from modelseal.endpoints.endpoint import Keeping, ask_in_groups
from modelseal.endpoints.responses import AnswerMapping
from modelseal.endpoints.strict_json import read_object, read_value, shorten
from modelseal.endpoints.template import Template
from modelseal.endpoints.timeouts import ONE, Lane, LateError
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers
from modelseal.types import Codes

LONGEST = 60.0
"""Nobody is waited for longer than this many seconds, whatever a server says."""


def read_retry_after(text: str, *, now: datetime) -> float | None:
    """The header `Retry-After`: seconds, or a date of HTTP (RFC 9110, section 10.2.3).

    Args:
        text: The header's value.
        now: What time it is, with its zone.

    Returns:
        Seconds from 0 to 60, or nothing if the header says nothing that is known.

    Examples:
        >>> read_retry_after("120", now=datetime.now(UTC))
        60.0
    """
    word = text.strip()
    if word.isascii() and word.isdigit():
        return min(float(word), LONGEST)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        moment = parsedate_to_datetime(word)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max((moment - now).total_seconds(), 0.0), LONGEST)
    return None


LARGEST = 64 * 2**20
"""The largest body that is read, in bytes."""

PASSING = (httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.ProxyError)
"""What may go as it came, unless a certificate is to blame."""

BUSY = {429, 502, 503, 504}
"""The statuses that may be another one in a moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A successful reply: its body, and its headers under names in lower case."""

    body: bytes
    headers: Mapping[str, str]


class Connection:
    """A connection that is kept for several exchanges with one server.

    Every thread that asks at the same time has one of its own. It follows no redirects, since
    another server than the one that was named would answer, and asks for no compression, so that
    a small body cannot become a large one. Proxies and certificates come from the environment, as
    they do for other programs. If it is never closed, it closes itself with its last use.

    Args:
        url: An address of the server.
        seconds: How long to wait for a whole exchange, however slowly it goes on; only the look-up
            of the host's name is not counted.
        access: What is sent with every request, and whom to trust. Secrets in it are taken out
            of whatever comes back.

    Raises:
        EndpointError: The environment names proxies or certificates that cannot be used.
    """

    def __init__(self, url: str, *, seconds: float, access: Access = NO_ACCESS) -> None:
        self.seconds = seconds
        self.access = access
        self.clients: list[httpx2.Client] = []
        self.release = finalize(self, close_all, self.clients)
        try:
            self.certificates = trusted(url, access)
            self.idle = deque([self.open()])
        except httpx2.InvalidURL:
            # What is malformed is a proxy, and the error and its chain show a part of it, which
            # may be of its password.
            raise EndpointError("the environment's proxies cannot be used: malformed") from None
        except (OSError, ValueError, ImportError) as error:
            reason = f"the environment's proxies or certificates cannot be used: {error}"
            raise EndpointError(reason) from error

    def open(self) -> Lane:
        """A new connection, which is not yet opened."""
        headers = {**self.access.headers, "Accept-Encoding": "identity"}
        client = httpx2.Client(
            verify=self.certificates, timeout=self.seconds, headers=headers, limits=ONE
        )
        self.clients.append(client)
        return Lane(client, seconds=self.seconds)

    def close(self) -> None:
        """Gives the connection up."""
        self.release()

    def get(self, url: str) -> Reply:
        """Fetches an address.

        Raises:
            EndpointError: Nothing usable came in time.
        """
        return self.exchange("GET", url)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Sends a body to an address.

        Raises:
            EndpointError: Nothing usable came in time.
        """
        return self.exchange("POST", url, content=body, headers=headers)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Sends a request and reads its reply.

        Raises:
            PassingError: Nothing came in time, or the server is busy or not there.
            EndpointError: Too much came, or no success.
        """
        try:
            lane = self.idle.pop()
        except IndexError:  # all are in use
            lane = self.open()
        try:
            request = lane.client.build_request(method, url, content=content, headers=headers)
            response, body = lane.exchange(request, read_body)
        except LateError as error:
            raise PassingError(f"no answer came within {self.seconds:g} seconds") from error
        # A host's name that the resolver cannot spell is a UnicodeError.
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            kind = PassingError if may_pass(error) else EndpointError
            raise kind(f"no answer came: {shorten(str(error))}") from error
        finally:
            self.idle.append(lane)
        body = self.access.clean(body)
        check_status(response, body)
        return Reply(
            body=body, headers={key.lower(): text for key, text in response.headers.items()}
        )


def trusted(url: str, access: Access) -> SSLContext:
    """Whose certificates are trusted; a server's is always verified.

    Raises:
        OSError: A file of certificates cannot be used.
    """
    if not url.startswith("https:"):
        # Reading all certificates takes longer than a question; without TLS none are needed.
        return SSLContext(PROTOCOL_TLS_CLIENT)
    if access.ca_file is not None:
        return create_default_context(cafile=access.ca_file)
    return httpx2.create_ssl_context()


def close_all(clients: list[httpx2.Client]) -> None:
    """Closes every client."""
    for client in clients:
        client.close()


def may_pass(error: BaseException) -> bool:
    """Whether what went wrong may go as it came; a wrong certificate does not."""
    certificate = any(isinstance(each, SSLCertVerificationError) for each in causes(error))
    return isinstance(error, PASSING) and not certificate


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def check_address(url: str) -> None:
    """Makes sure that a request can be addressed so.

    Raises:
        InvalidArgumentError: The host or another part is malformed, or all of it is too long.
    """
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidArgumentError(f"a URL was wanted, but this is none: {error}") from error


def read_body(response: httpx2.Response) -> bytes:
    """A response's body.

    Raises:
        EndpointError: It is compressed or too large.
    """
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        raise EndpointError(f"a body without compression was wanted, but {shorten(coding)} came")
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > LARGEST:
            raise EndpointError(f"a body of at most {LARGEST} bytes was wanted, but more came")
    return bytes(body)


def check_status(response: httpx2.Response, body: bytes) -> None:
    """Makes sure that a response is a success.

    Raises:
        PassingError: It is not, but the server may be well in a moment.
        EndpointError: It is not; the text holds what the server says of it.
    """
    if response.is_redirect:
        # What follows may repeat a key of our own query.
        target = shorten(re.split("[?#]", response.headers.get("location", "nowhere"))[0])
        raise EndpointError(f"an answer was wanted, but a redirect to {target} came")
    if response.is_success:
        return
    said = complaint(body, response.headers.get("content-type", ""))
    reason = f"an answer was wanted, but status {response.status_code} came{said}"
    if response.status_code in BUSY:
        asked = response.headers.get("retry-after", "")
        raise PassingError(reason, wait=read_retry_after(asked, now=datetime.now(UTC)))
    raise EndpointError(reason)


def complaint(body: bytes, content_type: str) -> str:
    """What a server says of a fault, ready to follow a sentence; empty if it is of no use."""
    with suppress(EndpointError):
        content = read_object(body)
        said = next((content[key] for key in ("error", "detail", "message") if key in content), "")
        return f": {shorten(str(said))}" if said else ""
    if content_type.startswith("text/plain") and body.strip():
        return f": {shorten(body.decode(errors='replace'))}"
    return ""


WANTED = "the address of a server is http(s)://host/path"
"""What an address is here, as the beginning of a sentence."""


class HttpEndpoint(Keeping[Connection]):
    """Answers with what a server replies to a request that a template makes.

    One connection is kept for all questions. `close` gives it up, as does the end of the endpoint.

    Args:
        url: The address to ask. User and password in it are sent and never shown, and its query
            is never shown.
        template: How a request's body is made.
        mapping: How its answer is read.
        access: What is sent with every request, and whom to trust.
        timeout: How many seconds to wait for each answer.
        method: `POST` or `PUT`.

    Raises:
        InvalidArgumentError: The URL is no such address, or the timeout is not positive.
    """

    def __init__(
        self,
        url: str,
        *,
        template: Template,
        mapping: AnswerMapping,
        access: Access = NO_ACCESS,
        timeout: float = 30.0,
        method: str = "POST",
    ) -> None:
        if not (isfinite(timeout) and timeout > 0):
            raise InvalidArgumentError(f"timeout needs positive seconds, but is {timeout}")
        address = read_address(url, wanted=WANTED)
        self.url, self.shown_url = address.url, address.shown
        if not self.url.startswith(("http://", "https://")) or "#" in self.url:
            raise InvalidArgumentError(f"{WANTED}, but got {shorten(self.shown_url)}")
        check_address(self.url)
        self.access = address.admit(access)
        self.template = template
        self.mapping = mapping
        self.timeout = timeout
        self.method = method

    def ask(self, codes: Codes) -> Answers:
        """Sends the batch in one request, or one input in each if the template takes one.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain, or there are none.
            PassingError: The server cannot be reached, is busy, or took too long.
            EndpointError: It gave no usable answer.
        """
        self.template.sending.domain.check(codes)
        try:
            return ask_in_groups(self.ask_once, codes, size=self.template.size)
        except EndpointError as error:
            # The chain would tell in a traceback what is hidden here.
            raise self.access.hidden(error.at(self.shown_url)) from None

    def ask_once(self, codes: Codes) -> Answers:
        """Sends one request.

        Raises:
            EndpointError: The server gave no usable answer.
        """
        message = self.template.render(codes)
        headers = {"Content-Type": message.content_type, "Accept": "application/json"}
        reply = self.connect().exchange(
            self.method, self.url, content=message.body, headers=headers
        )
        return self.mapping.read(read_value(reply.body), count=len(codes))

    def open(self) -> Connection:
        """A new connection.

        Raises:
            EndpointError: The environment names proxies or certificates that cannot be used.
        """
        return Connection(self.url, seconds=self.timeout, access=self.access)
