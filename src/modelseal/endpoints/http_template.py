"""A server that is asked by plain HTTP, in whatever way a template says, as an endpoint."""

from math import isfinite

from modelseal.endpoints.access import NO_ACCESS, Access, read_address
from modelseal.endpoints.grouping import ask_in_groups
from modelseal.endpoints.http import Connection, check_address
from modelseal.endpoints.kept import Keeping
from modelseal.endpoints.mapping import Mapping
from modelseal.endpoints.reading import read_value, shorten
from modelseal.endpoints.template import Template
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers
from modelseal.shapes import Codes

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
        mapping: Mapping,
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
