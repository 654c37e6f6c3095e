"""Doing something when a deadline passes."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Protocol, runtime_checkable

import httpx2


class Watchdog:
    """Does something at a deadline, unless it was called off before.

    To start a thread takes longer than all else that is done for a question. So one watches over
    all deadlines that follow one another: it looks again when the one that it slept towards has
    come, and ends if there is no other by then.

    Args:
        seconds: How long after the call for it the deadline is.
        act: What is done, in a thread of its own.
    """

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self.seconds = seconds
        self.act = act
        self._deadline: float | None = None
        self._watching = False
        self._lock = Lock()

    def call(self) -> None:
        """Sets the deadline."""
        with self._lock:
            self._deadline = monotonic() + self.seconds
            if not self._watching:
                self._watching = True
                Thread(target=self._watch, daemon=True).start()

    def call_off(self) -> None:
        """Takes the deadline back; what it led to is done by then, or is never done."""
        with self._lock:
            self._deadline = None

    def _watch(self) -> None:
        while left := self._look():
            sleep(left)

    def _look(self) -> float:
        """Acts if it is time, and gives for how long to sleep; for 0 seconds at the end."""
        with self._lock:
            left = 0.0 if self._deadline is None else self._deadline - monotonic()
            if left > 0:
                return left
            if self._deadline is not None:
                self.act()
            self._watching = False
            return 0.0


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
