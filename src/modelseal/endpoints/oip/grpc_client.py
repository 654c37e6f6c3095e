"""One exchange over gRPC, in which every fault becomes an EndpointError."""

import os
import re
from functools import partial
from importlib import import_module
from math import isfinite
from pathlib import Path
from ssl import get_default_verify_paths
from typing import Any
from urllib.parse import unquote
from uuid import uuid4
from weakref import finalize

from modelseal.domain import Domain
from modelseal.endpoints.auth import NO_ACCESS, Access
from modelseal.endpoints.endpoint import Keeping, ask_in_groups
from modelseal.endpoints.http import LARGEST, LONGEST
from modelseal.endpoints.oip.grpc_codec import (
    SERVICE,
    decode_metadata,
    decode_response,
    encode_question,
    encode_request,
    messages,
)
from modelseal.endpoints.oip.rest_codec import Contract, Target, read_contract
from modelseal.endpoints.responses import answer, check_shows
from modelseal.endpoints.strict_json import shorten
from modelseal.errors import EndpointError, InvalidArgumentError, MissingExtraError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Codes

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


ADDRESS = re.compile(
    r"grpc(?P<secure>s?)://(?P<host>([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5}))"
    r"/(?P<name>[^/?#\s]+)(/(?P<version>[^/?#\s]+))?/?"
)


METADATA = re.compile("[a-z0-9_.-]+")
"""The name of what is sent with a call."""

OWN = frozenset({"content-type", "te", "user-agent"})
"""Names of what gRPC itself sends with every call."""


class OipGrpcEndpoint(Keeping[Channel]):
    """Answers with the first output of a served model.

    Before the first question it reads the model's metadata and checks them against the domain, as
    `OipEndpoint` does over HTTP: one input of FP32, FP64 or UINT8, whose
    shape is the domain's with a batch axis in front or the same with channels last. A model that
    declares no inputs is asked with FP32 under the name `input`. Inputs travel as bytes; outputs
    may come as bytes or as numbers of their type.

    What answers for another model, or for another version than the address names, is no answer.

    One connection is kept for all questions, and opened anew after a fault that may pass. `close`
    gives it up, as does the end of a `with` block or of the endpoint itself.

    Args:
        address: `grpc://host:port/NAME`, or `grpcs://` for TLS; with `/VERSION` behind it, that
            version is asked. Characters may be escaped as in a URL.
        domain: What a valid input is.
        shows: What outputs of numbers with a fraction are: scores or probabilities. Whole numbers
            are always labels.
        timeout: How many seconds to wait for each answer.
        access: What is sent as metadata with every call, and whom to trust.

    Raises:
        InvalidArgumentError: The address is none of these, `shows` is labels, the timeout is not
            positive, or gRPC has no metadata of such a name.
        MissingExtraError: gRPC or protobuf is not installed.
    """

    def __init__(
        self,
        address: str,
        domain: Domain,
        *,
        shows: Kind = Kind.SCORES,
        timeout: float = 30.0,
        access: Access = NO_ACCESS,
    ) -> None:
        check_shows(shows)
        if not (isfinite(timeout) and timeout > 0):
            raise InvalidArgumentError(f"timeout needs positive seconds, but is {timeout}")
        check_names(access)
        found = match_address(address)
        self.address = address
        self.host = found["host"]
        self.secure = bool(found["secure"])
        self.target = Target(name=unquote(found["name"]), version=unquote(found["version"] or ""))
        self.domain = domain
        self.shows = shows
        self.timeout = timeout
        self.access = access
        self.contract: Contract | None = None
        self.model_version = self.target.version
        """The version that answered last, or the one asked for; empty if neither is known."""
        # What is missing is said at once, not at the first question.
        load_grpc()
        messages()

    def ask(self, codes: Codes) -> Answers:
        """Sends the batch in one request, or in groups if the model's batch size is fixed.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain, or there are none.
            PassingError: The server cannot be reached, is busy, or took too long.
            EndpointError: It takes other inputs, or gave no usable answer.
        """
        self.domain.check(codes)
        try:
            channel = self.connect()
            contract = self.learn(channel)
            ask = partial(self.ask_once, channel, contract)
            return ask_in_groups(ask, codes, size=contract.form.batch)
        except EndpointError as error:
            if isinstance(error, PassingError):
                # A channel that lost its server waits ever longer before it looks again. Others
                # may be using this one: it closes with the last use.
                self.connection = None
            # The chain would tell in a traceback what is hidden here.
            raise self.access.hidden(error.at(self.address)) from None

    def open(self) -> Channel:
        """A new connection.

        Raises:
            EndpointError: The environment names proxies or certificates that cannot be used.
        """
        return Channel(self.host, secure=self.secure, seconds=self.timeout, access=self.access)

    def learn(self, channel: Channel) -> Contract:
        """Reads the metadata, once.

        Raises:
            EndpointError: They cannot be had, are malformed, or are for other inputs.
        """
        if self.contract is None:
            reply = channel.call("ModelMetadata", encode_question(self.target))
            metadata = decode_metadata(reply, target=self.target)
            self.contract = read_contract(metadata, {}, self.domain)
            self.model_version = self.model_version or self.access.hide(self.contract.version)
        return self.contract

    def ask_once(self, channel: Channel, contract: Contract, codes: Codes) -> Answers:
        """Sends one request.

        Raises:
            EndpointError: The server gave no usable answer.
        """
        form, request = contract.form, uuid4().hex
        message = encode_request(
            form.arrange(codes, self.domain),
            target=self.target,
            name=form.name,
            datatype=form.datatype,
            request=request,
        )
        reply = channel.call("ModelInfer", message)
        response = decode_response(
            reply, target=self.target, request=request, output=contract.output
        )
        self.model_version = self.access.hide(response.version) or self.model_version
        return answer(response.output, count=len(codes), shows=self.shows)


def check_names(access: Access) -> None:
    """Makes sure that what is sent with every call can be sent as metadata.

    Raises:
        InvalidArgumentError: gRPC takes no such name, keeps it for itself, or wants bytes for it.
    """
    for name in access.headers:
        small = name.lower()
        own = small in OWN or small.startswith("grpc-") or small.endswith("-bin")
        if own or not METADATA.fullmatch(small):
            raise InvalidArgumentError(
                "gRPC takes names of letters, digits, _, - and . that are not its own "
                f"({', '.join(sorted(OWN))}, grpc-…) and do not end with -bin, but got "
                f"{shorten(name)}"
            )


def match_address(address: str) -> re.Match[str]:
    """The parts of an address.

    Raises:
        InvalidArgumentError: It is none. Credentials in it are not repeated.
    """
    wanted = "a gRPC address is grpc(s)://host:port/NAME or the same with /VERSION"
    if "@" in address:
        raise InvalidArgumentError(f"{wanted}, without user and password, but got one with @")
    found = ADDRESS.fullmatch(address)
    if not found or not 1 <= int(found["port"]) <= 65535:
        raise InvalidArgumentError(f"{wanted}, but got {shorten(address)}")
    return found
