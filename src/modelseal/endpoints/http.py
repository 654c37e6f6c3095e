"""One HTTP exchange, in which every fault becomes an EndpointError."""

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from time import monotonic
from weakref import finalize

import httpx2

from modelseal.endpoints.access import NO_ACCESS, Access
from modelseal.endpoints.reading import read_object, shorten
from modelseal.errors import EndpointError, InvalidArgumentError

LARGEST = 64 * 2**20
"""The largest body that is read, in bytes."""

DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""What comes of a kept connection that the server has dropped meanwhile."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A successful reply: its body, and its headers under names in lower case."""

    body: bytes
    headers: Mapping[str, str]


class Connection:
    """A connection that is kept for several exchanges with one server.

    It follows no redirects, since another server than the one that was named would answer, and
    asks for no compression, so that a small body cannot become a large one. Proxies and
    certificates come from the environment, as they do for other programs. If it is never closed,
    it closes itself with its last use.

    Args:
        url: An address of the server.
        seconds: How long to wait for a whole exchange. A server that dribbles can stretch it to
            twice that.
        access: What is sent with every request, and whom to trust. Secrets in it are taken out
            of whatever comes back.

    Raises:
        EndpointError: The environment names proxies or certificates that cannot be used.
    """

    def __init__(self, url: str, *, seconds: float, access: Access = NO_ACCESS) -> None:
        self.seconds = seconds
        self.access = access
        self.kept = False
        headers = {**access.headers, "Accept-Encoding": "identity"}
        try:
            self.client = httpx2.Client(verify=access.trust(url), timeout=seconds, headers=headers)
        except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:
            reason = f"the environment's proxies or certificates cannot be used: {error}"
            raise EndpointError(reason) from error
        self.release = finalize(self, self.client.close)

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
            EndpointError: Nothing came in time, or too much, or not a success.
        """
        try:
            request = self.client.build_request(method, url, content=content, headers=headers)
            response, body = self.send(request)
        except httpx2.TimeoutException as error:
            raise EndpointError(f"no answer came within {self.seconds:g} seconds") from error
        # A host's name that the resolver cannot spell is a UnicodeError.
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise EndpointError(f"no answer came: {shorten(str(error))}") from error
        body = self.access.clean(body)
        check_status(response, body)
        return Reply(
            body=body, headers={key.lower(): text for key, text in response.headers.items()}
        )

    def send(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes]:
        """Sends a request; once more if it was lost with a connection that had been kept."""
        try:
            return self.send_once(request)
        except DROPPED:
            if not self.kept:
                raise
            self.kept = False
            return self.send_once(request)

    def send_once(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes]:
        """Sends a request, on the connection that was kept if there is one."""
        deadline = monotonic() + self.seconds
        with closing(self.client.send(request, stream=True)) as response:
            body = read_body(response, deadline=deadline)
        self.kept = True
        return response, body


def check_address(url: str) -> None:
    """Makes sure that a request can be addressed so.

    Raises:
        InvalidArgumentError: The host or another part is malformed, or all of it is too long.
    """
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidArgumentError(f"a URL was wanted, but this is none: {error}") from error


def read_body(response: httpx2.Response, *, deadline: float) -> bytes:
    """A response's body.

    Raises:
        EndpointError: It is compressed or too large, or still not complete at the deadline.
    """
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        raise EndpointError(f"a body without compression was wanted, but {shorten(coding)} came")
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > LARGEST:
            raise EndpointError(f"a body of at most {LARGEST} bytes was wanted, but more came")
        if monotonic() > deadline:
            raise EndpointError("no complete answer came in time")
    return bytes(body)


def check_status(response: httpx2.Response, body: bytes) -> None:
    """Makes sure that a response is a success.

    Raises:
        EndpointError: It is not; the text holds what the server says of it.
    """
    if response.is_redirect:
        target = shorten(response.headers.get("location", "nowhere"))
        raise EndpointError(f"an answer was wanted, but a redirect to {target} came")
    if not response.is_success:
        reason = complaint(body, response.headers.get("content-type", ""))
        raise EndpointError(f"an answer was wanted, but status {response.status_code} came{reason}")


def complaint(body: bytes, content_type: str) -> str:
    """What a server says of a fault, ready to follow a sentence; empty if it is of no use."""
    with suppress(EndpointError):
        content = read_object(body)
        said = next((content[key] for key in ("error", "detail", "message") if key in content), "")
        return f": {shorten(str(said))}" if said else ""
    if content_type.startswith("text/plain") and body.strip():
        return f": {shorten(body.decode(errors='replace'))}"
    return ""
