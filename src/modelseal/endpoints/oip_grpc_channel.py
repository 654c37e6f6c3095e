"""One exchange over gRPC, in which every fault becomes an EndpointError."""

import os
import re
from importlib import import_module
from pathlib import Path
from ssl import get_default_verify_paths
from typing import Any
from weakref import finalize

from modelseal.endpoints.access import NO_ACCESS, Access
from modelseal.endpoints.http import LARGEST
from modelseal.endpoints.oip_grpc_messages import SERVICE
from modelseal.endpoints.reading import shorten
from modelseal.endpoints.retry_after import LONGEST
from modelseal.errors import EndpointError, MissingExtraError, PassingError

OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST),
    # Whether a question is asked again is decided elsewhere, and counted there.
    ("grpc.enable_retries", 0),
    # What one channel learned, such as that a server is away, is not for the next one.
    ("grpc.use_local_subchannel_pool", 1),
    # The address alone says whom to ask and how, not what the name service adds to it.
    ("grpc.service_config_disable_resolution", 1),
    # No compression, so that a small message cannot become a large one.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)
"""How a channel behaves, in gRPC's own words."""

PASSING = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})
"""The status codes of faults that may pass."""

PUSHBACK = "grpc-retry-pushback-ms"
"""Where a server says after how many milliseconds to ask again; anything else means never."""

WAIT = re.compile("[0-9]{1,9}")
"""Milliseconds, though nobody waits for all of them: see `LONGEST`."""

DISTRUST = re.compile("TSI_PROTOCOL_FAILURE|Hostname Verification Check failed")
"""What gRPC itself says, under the code of a server that is away, of one that has no TLS or a
certificate that is not trusted or of another name. That does not pass by asking again."""

TOO_LARGE = "larger than max"
"""What gRPC itself says of a message beyond the limit, under the code of a busy server."""


class Channel:
    """A connection that is kept for several exchanges with one server.

    Proxies come from the environment, as they do for other programs. If it is never closed, it
    closes itself with its last use.

    Args:
        host: `host:port`.
        secure: Whether by TLS. The server's certificate is verified by those of the file that
            `SSL_CERT_FILE` names, else of the system, else of gRPC itself.
        seconds: How long to wait for a whole exchange.
        access: What is sent with every call as metadata, whose names gRPC writes in small
            letters, and whom to trust.

    Raises:
        MissingExtraError: gRPC is not installed.
        EndpointError: The file of certificates cannot be read.
    """

    def __init__(
        self, host: str, *, secure: bool, seconds: float, access: Access = NO_ACCESS
    ) -> None:
        self.seconds = seconds
        self.access = access
        self.grpc = load_grpc()
        # Without a scheme, hosts of names such as `unix` would be taken for one.
        target = f"dns:///{host}"
        if secure:
            credentials = self.grpc.ssl_channel_credentials(read_certificates(access))
            self.channel = self.grpc.secure_channel(target, credentials, OPTIONS)
        else:
            self.channel = self.grpc.insecure_channel(target, OPTIONS)
        self.release = finalize(self, self.channel.close)

    def close(self) -> None:
        """Gives the connection up."""
        self.release()

    def call(self, method: str, request: bytes) -> bytes:
        """Sends a message to one of the service's methods and gives what came back.

        Raises:
            EndpointError: Nothing came in time, or too much, or not a success.
        """
        # Messages are taken as bytes: gRPC would log a traceback for one that cannot be read.
        ask = self.channel.unary_unary(f"/{SERVICE}/{method}")
        more = [(name.lower(), value) for name, value in self.access.headers.items()]
        try:
            return bytes(ask(request, timeout=self.seconds, metadata=more))
        except self.grpc.RpcError as error:
            pushback = dict(error.trailing_metadata() or ()).get(PUSHBACK)
            raise fault(error.code().name, error.details() or "", pushback=pushback) from error


def load_grpc() -> Any:  # noqa: ANN401 (gRPC has no types)
    """The package of gRPC.

    Raises:
        MissingExtraError: It is not installed.
    """
    # It writes to the terminal what we raise, unless the user wants to know more.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        return import_module("grpc")
    except ImportError as error:
        raise MissingExtraError("Asking over gRPC", "grpc") from error


def read_certificates(access: Access) -> bytes | None:
    """The certificates that servers are verified by; None for those that gRPC brings.

    Raises:
        EndpointError: The file that should hold them cannot be read.
    """
    file = access.ca_file or get_default_verify_paths().cafile
    try:
        return Path(file).read_bytes() if file else None
    except OSError as error:
        reason = f"the environment's certificates cannot be used: {error}"
        raise EndpointError(reason) from error


def fault(code: str, details: str, *, pushback: str | None = None) -> EndpointError:
    """What a call that failed is to us.

    Args:
        code: The name of gRPC's status code.
        details: What the server, or gRPC in its place, says of it.
        pushback: What the server says of asking again; None if it says nothing.

    Examples:
        >>> fault("NOT_FOUND", "no such model")
        EndpointError('an answer was wanted, but status NOT_FOUND came: no such model')
    """
    if code == "RESOURCE_EXHAUSTED" and TOO_LARGE in details:
        return EndpointError(f"an answer of at most {LARGEST} bytes was wanted, but more came")
    said = f": {shorten(details)}" if details.strip() else ""
    reason = f"an answer was wanted, but status {code} came{said}"
    refused = pushback is not None and not WAIT.fullmatch(pushback)
    if code not in PASSING or refused or DISTRUST.search(details):
        return EndpointError(reason)
    wait = None if pushback is None else min(int(pushback) / 1000, LONGEST)
    return PassingError(reason, wait=wait)
