"""An endpoint of Amazon SageMaker, through boto3."""

from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from math import isfinite
from typing import Any

from modelseal.endpoints.auth import Access
from modelseal.endpoints.endpoint import ask_in_groups
from modelseal.endpoints.http import BUSY, LARGEST, read_retry_after
from modelseal.endpoints.responses import AnswerMapping
from modelseal.endpoints.strict_json import read_value, shorten
from modelseal.endpoints.template import Template
from modelseal.errors import EndpointError, InvalidArgumentError, MissingExtraError, PassingError
from modelseal.outputs.answers import Answers
from modelseal.timeouts import within
from modelseal.types import Codes

SOON = 1e-3
"""How many seconds a reply that is given up may still keep its connection without a byte."""

THROTTLED = {"ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"}
"""What Amazon's services call it when they are busy, whatever the status."""


class Held:
    """A reply whose body is being read by a thread, for another one to cut it off.

    While its headers come, boto3 gives nothing to hold: each byte of them may take the timeout.
    """

    def __init__(self) -> None:
        self.streams: list[Any] = []
        self.late = False

    def take(self, stream: Any) -> None:  # noqa: ANN401 (boto3 has no types)
        """Holds a reply's body; what comes after the cut is cut at once."""
        self.streams.append(stream)
        if self.late:
            self.cut()

    def cut(self) -> None:
        """Lets the reading end with the next byte that comes, or without one."""
        self.late = True
        for stream in self.streams:
            # A close would wait for the reading. A reply that has ended has no socket.
            with suppress(AttributeError, OSError):
                stream.set_socket_timeout(SOON)


class SageMakerEndpoint:
    """Answers with what the container behind a SageMaker endpoint answers.

    Region and credentials are found as boto3 finds them: in the environment, in its files, or
    from the machine. An answer is never asked for twice.

    Args:
        name: The endpoint's name.
        template: How a request's body is made.
        mapping: How its answer is read.
        url: Another runtime than Amazon's own.
        timeout: How many seconds to wait for each answer.

    Raises:
        InvalidArgumentError: The name is empty or the timeout not positive.
        MissingExtraError: boto3 is not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        template: Template,
        mapping: AnswerMapping,
        url: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        if not name:
            raise InvalidArgumentError("the name of a SageMaker endpoint was wanted, not nothing")
        if not (isfinite(timeout) and timeout > 0):
            raise InvalidArgumentError(f"timeout needs positive seconds, but is {timeout}")
        self.boto = load_boto()
        self.name = name
        self.template = template
        self.mapping = mapping
        self.url = url
        self.timeout = timeout
        self.access = Access()
        self.client: Any = None

    def ask(self, codes: Codes) -> Answers:
        """Invokes the endpoint once with the batch, or once for each input.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain, or there are none.
            PassingError: The endpoint cannot be reached, is busy, or took too long.
            EndpointError: There are no credentials, or no usable answer came.
        """
        self.template.sending.domain.check(codes)
        try:
            return ask_in_groups(self.ask_once, codes, size=self.template.size)
        except EndpointError as error:
            # The chain would tell in a traceback what is hidden here.
            raise self.access.hidden(error.at(f"sagemaker:{shorten(self.name)}")) from None

    def ask_once(self, codes: Codes) -> Answers:
        """Invokes the endpoint.

        Raises:
            PassingError: The endpoint cannot be reached, is busy, or took too long.
            EndpointError: No usable answer came.
        """
        message = self.template.render(codes)
        held = Held()
        act = partial(self.invoke, message.body, message.content_type, held)
        try:
            body = within(self.timeout, act, give_up=held.cut)
        except faults() as error:
            reason = f"no answer came: {shorten(str(error))}"
            if may_pass(error):
                raise PassingError(reason, wait=asked_wait(error)) from error
            raise EndpointError(reason) from error
        return self.mapping.read(read_value(self.access.clean(body)), count=len(codes))

    def invoke(self, body: bytes, content_type: str, held: Held) -> bytes:
        """Sends one request and reads its reply.

        Args:
            body: The request's body.
            content_type: What it is.
            held: Takes the reply while it is read.

        Raises:
            EndpointError: It is too large.
        """
        if self.client is None:
            self.client = self.connect()
        reply = self.client.invoke_endpoint(
            EndpointName=self.name, ContentType=content_type, Accept="application/json", Body=body
        )
        with closing(reply["Body"]) as stream:
            held.take(stream)
            content: bytes = stream.read(LARGEST)
            # At the end boto3 also finds out whether all that was announced came.
            content += stream.read(1)
        if len(content) > LARGEST:
            raise EndpointError(f"a body of at most {LARGEST} bytes was wanted, but more came")
        return content

    def connect(self) -> Any:  # noqa: ANN401 (boto3 has no types)
        """A client, and what of its credentials must not be told."""
        session = self.boto.Session()
        config = import_module("botocore.config").Config(
            retries={"total_max_attempts": 1},
            connect_timeout=self.timeout,
            read_timeout=self.timeout,
        )
        client = session.client("sagemaker-runtime", endpoint_url=self.url, config=config)
        if (credentials := session.get_credentials()) is not None:
            frozen = credentials.get_frozen_credentials()
            found = (frozen.access_key, frozen.secret_key, frozen.token)
            self.access = Access(secrets=frozenset(filter(None, found)))
        return client

    def close(self) -> None:
        """Gives the connection up; a later question opens a new one."""
        if self.client is not None:
            self.client.close()
            self.client = None


def load_boto() -> Any:  # noqa: ANN401 (boto3 has no types)
    """The client of Amazon's services.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module("boto3")
    except ModuleNotFoundError as error:
        raise MissingExtraError("Asking SageMaker", "sagemaker") from error


def faults() -> tuple[type[Exception], ...]:
    """Everything that boto3 raises of its own, of the network and of addresses."""
    exceptions = import_module("botocore.exceptions")
    network = import_module("urllib3.exceptions").HTTPError
    own = (exceptions.BotoCoreError, exceptions.ClientError)
    return (*own, network, OSError, ValueError, LookupError)


def may_pass(error: Exception) -> bool:
    """Whether what boto3 raised may go as it came: a lost connection, or a service that is busy."""
    exceptions = import_module("botocore.exceptions")
    if isinstance(error, exceptions.ClientError):
        response: dict[str, dict[str, object]] = error.response
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in BUSY or response.get("Error", {}).get("Code") in THROTTLED
    lost = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.ReadTimeoutError,
        exceptions.IncompleteReadError,
    )
    return isinstance(error, lost) and not isinstance(error, exceptions.SSLError)


def asked_wait(error: Exception) -> float | None:
    """How many seconds the service asks to wait; None if it says nothing of it."""
    response: dict[str, Any] = getattr(error, "response", {})
    headers: dict[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return read_retry_after(headers.get("retry-after", ""), now=datetime.now(UTC))
