"""One connection to a server, which is cut at a deadline.

The client's own timeouts count from the last byte, so that a server that sends one now and then
holds it for ever. Here the socket itself is shut down when the time for an exchange is over,
wherever it stands then: in a handshake, in the headers, in the body.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Protocol, runtime_checkable

import httpx2

from modelseal.endpoints.watchdog import Watchdog

DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""What comes of a kept connection that the server has dropped meanwhile."""

ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1)


@runtime_checkable
class Stream(Protocol):
    """What the client reads from and writes to."""

    def get_extra_info(self, info: str) -> object:
        """What lies below, by name."""
        ...


class LateError(Exception):
    """The time for an exchange was over."""


class Lane:
    """One connection, kept from one exchange to the next; for one thread at a time.

    Args:
        client: An HTTP client that holds no more than one connection.
        seconds: How long an exchange may take.
    """

    def __init__(self, client: httpx2.Client, *, seconds: float) -> None:
        self.client = client
        self.kept = False
        self.late = False
        self.stream: Stream | None = None
        self.handle: socket.socket | None = None
        self.watchdog = Watchdog(seconds, self.cut)

    def exchange(
        self, request: httpx2.Request, read: Callable[[httpx2.Response], bytes]
    ) -> tuple[httpx2.Response, bytes]:
        """Sends a request and reads its response.

        Args:
            request: The request.
            read: Reads the body.

        Raises:
            LateError: It took longer.
            HTTPError: Something else went wrong.
        """
        request.extensions = {**request.extensions, "trace": self.watch}
        with self.hurrying():
            try:
                result = self.send(request, read)
            except httpx2.TimeoutException as error:
                raise LateError from error
            except httpx2.HTTPError as error:
                if self.late:
                    raise LateError from error
                raise
        if self.late:  # a body that was cut may look like one that has ended
            raise LateError
        return result

    def send(
        self, request: httpx2.Request, read: Callable[[httpx2.Response], bytes]
    ) -> tuple[httpx2.Response, bytes]:
        """Sends a request; once more if it was lost with a connection that had been kept."""
        try:
            response = self.client.send(request, stream=True)
        except DROPPED:
            if not self.kept or self.late:
                raise
            response = self.client.send(request, stream=True)
        with closing(response):
            body = read(response)
        self.kept = True
        return response, body

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """Shuts the connection down if what is done meanwhile takes too long."""
        self.late = False
        self.hold()
        self.watchdog.call()
        try:
            yield
        finally:
            self.watchdog.call_off()
            self.release()

    def watch(self, event: str, info: Mapping[str, object]) -> None:
        """Is told by the client what it does, and so learns of every connection it opens."""
        stream = info.get("return_value")
        if event.endswith(("connect_tcp.complete", "start_tls.complete")) and isinstance(
            stream, Stream
        ):
            self.stream, self.kept = stream, False
            self.hold()
            if self.late:
                self.cut()

    def hold(self) -> None:
        """Takes a handle of its own on the connection, which survives its wrapping in TLS."""
        self.release()
        below = self.stream.get_extra_info("socket") if self.stream else None
        if isinstance(below, socket.socket) and below.fileno() >= 0:
            self.handle = socket.fromfd(below.fileno(), below.family, below.type)

    def release(self) -> None:
        """Gives the handle up: with one left, the other end would not learn of a closing."""
        handle, self.handle = self.handle, None
        if handle is not None:
            handle.close()

    def cut(self) -> None:
        """Shuts the connection down; the watchdog's thread does so."""
        self.late = True
        handle = self.handle
        if handle is not None:
            with suppress(OSError):  # it has ended meanwhile
                handle.shutdown(socket.SHUT_RDWR)
