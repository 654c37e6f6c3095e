"""A server of the Open Inference Protocol, version 2 over gRPC, as an endpoint.

MLServer, NVIDIA Triton and KServe speak it. It needs the extra `grpc`.
"""

import re
from functools import partial
from math import isfinite
from urllib.parse import unquote
from uuid import uuid4

from modelseal.domain import Domain
from modelseal.endpoints.access import NO_ACCESS, Access
from modelseal.endpoints.answering import answer, check_shows
from modelseal.endpoints.grouping import ask_in_groups
from modelseal.endpoints.kept import Keeping
from modelseal.endpoints.oip_contract import Contract, read_contract
from modelseal.endpoints.oip_grpc_channel import Channel, load_grpc
from modelseal.endpoints.oip_grpc_codec import (
    decode_metadata,
    decode_response,
    encode_question,
    encode_request,
)
from modelseal.endpoints.oip_grpc_messages import messages
from modelseal.endpoints.oip_target import Target
from modelseal.endpoints.reading import shorten
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.shapes import Codes

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
    `modelseal.endpoints.oip.OipEndpoint` does over HTTP: one input of FP32, FP64 or UINT8, whose
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
