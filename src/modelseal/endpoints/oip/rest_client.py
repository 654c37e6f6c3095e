"""A server of the Open Inference Protocol, version 2 over HTTP, as an endpoint.

MLServer, NVIDIA Triton and KServe speak it. Import this module only to ask a server: it brings
the HTTP client.
"""

import re
from functools import partial
from math import isfinite
from urllib.parse import unquote
from uuid import uuid4

from modelseal.domain import Domain
from modelseal.endpoints.auth import NO_ACCESS, Access, read_address
from modelseal.endpoints.endpoint import Keeping, ask_in_groups
from modelseal.endpoints.http import Connection, check_address
from modelseal.endpoints.oip.rest_codec import (
    JSON_LENGTH,
    Contract,
    Target,
    decode,
    encode_binary,
    encode_json,
    read_contract,
)
from modelseal.endpoints.responses import answer, check_shows
from modelseal.endpoints.strict_json import JsonObject, read_object, shorten
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Codes

WANTED = "an Open Inference Protocol URL is http(s)://host/v2/models/NAME"
"""What an address is here, as the beginning of a sentence."""

ADDRESS = re.compile(
    r"(?P<server>https?://[^/?#\s]+(/[^?#\s]*)?/v2)"
    r"/models/(?P<name>[^/?#\s]+)(/versions/(?P<version>[^/?#\s]+))?"
)


class OipEndpoint(Keeping[Connection]):
    """Answers with the first output of a served model.

    Before the first question it reads the model's metadata and checks them against the domain:
    one input of FP32, FP64 or UINT8, whose shape is the domain's with a batch axis in front (of
    any or of a fixed size) or the same with channels last. A model that declares no inputs, as
    KServe's often do, is asked with FP32 under the name `input`. Tensors travel as JSON, or as
    bytes where the metadata list the extension `binary_tensor_data`.

    What answers for another model, or for another version than the address names, is no answer.

    One connection is kept for all questions, and opened anew where it breaks. `close` gives it
    up, as does the end of a `with` block or of the endpoint itself.

    Args:
        url: `http(s)://host/v2/models/NAME` or the same with `/versions/VERSION`; a prefix before
            `/v2` is allowed. User and password in it are sent and never shown.
        domain: What a valid input is.
        shows: What outputs of numbers with a fraction are: scores or probabilities. Whole numbers
            are always labels.
        timeout: How many seconds to wait for each answer.
        access: What is sent with every request, and whom to trust.

    Raises:
        InvalidArgumentError: The URL is none of these, `shows` is labels, or the timeout is not
            positive.
    """

    def __init__(
        self,
        url: str,
        domain: Domain,
        *,
        shows: Kind = Kind.SCORES,
        timeout: float = 30.0,
        access: Access = NO_ACCESS,
    ) -> None:
        check_shows(shows)
        if not (isfinite(timeout) and timeout > 0):
            raise InvalidArgumentError(f"timeout needs positive seconds, but is {timeout}")
        address = read_address(url, wanted=WANTED)
        self.access = address.admit(access)
        self.url = address.url.rstrip("/")
        self.shown_url = address.shown
        found = ADDRESS.fullmatch(self.url)
        if not found:
            raise InvalidArgumentError(f"{WANTED}, but got {shorten(self.shown_url)}")
        check_address(f"{self.url}/infer")
        self.server_url = found["server"]
        self.target = Target(name=unquote(found["name"]), version=unquote(found["version"] or ""))
        self.domain = domain
        self.shows = shows
        self.timeout = timeout
        self.contract: Contract | None = None
        self.model_version = self.target.version
        """The version that answered last, or the one asked for; empty if neither is known."""

    def ask(self, codes: Codes) -> Answers:
        """Sends the batch in one request, or in groups if the model's batch size is fixed.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain, or there are none.
            EndpointError: The server cannot be reached, takes other inputs, or gave no usable
                answer.
        """
        self.domain.check(codes)
        try:
            connection = self.connect()
            contract = self.learn(connection)
            ask = partial(self.ask_once, connection, contract)
            return ask_in_groups(ask, codes, size=contract.form.batch)
        except EndpointError as error:
            # The chain would tell in a traceback what is hidden here.
            raise self.access.hidden(error.at(self.shown_url)) from None

    def open(self) -> Connection:
        """A new connection.

        Raises:
            EndpointError: The environment names proxies or certificates that cannot be used.
        """
        return Connection(self.url, seconds=self.timeout, access=self.access)

    def learn(self, connection: Connection) -> Contract:
        """Reads the metadata, once.

        Raises:
            EndpointError: They cannot be had, are malformed, another model's, or for other
                inputs.
        """
        if self.contract is None:
            model = read_object(connection.get(self.url).body)
            self.target.check_metadata(model.get("name"))
            server = self.read_server(connection)
            self.contract = read_contract(model, server, self.domain)
            self.model_version = self.model_version or self.contract.version
        return self.contract

    def read_server(self, connection: Connection) -> JsonObject:
        """The server's own metadata; empty if it gives none, as behind many gateways."""
        try:
            return read_object(connection.get(self.server_url).body)
        except EndpointError:
            return {}

    def ask_once(self, connection: Connection, contract: Contract, codes: Codes) -> Answers:
        """Sends one request.

        Raises:
            EndpointError: The server gave no usable answer.
        """
        form, request = contract.form, uuid4().hex
        encode = encode_binary if contract.binary else encode_json
        inputs = form.arrange(codes, self.domain)
        message = encode(inputs, name=form.name, datatype=form.datatype, request=request)
        reply = connection.post(f"{self.url}/infer", message.body, message.headers)
        length = reply.headers.get(JSON_LENGTH.lower(), "")
        response = decode(
            reply.body,
            length=length,
            target=self.target,
            request=request,
            output=contract.output,
        )
        self.model_version = response.version or self.model_version
        return answer(response.output, count=len(codes), shows=self.shows)
