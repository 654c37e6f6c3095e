"""An endpoint of Amazon SageMaker, through boto3."""

from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any

from modelseal.endpoints.auth import Credentials
from modelseal.endpoints.endpoint import ConnectedEndpoint
from modelseal.endpoints.http import BUSY, LARGEST, read_retry_after
from modelseal.endpoints.requests import Message, RequestTemplate
from modelseal.endpoints.responses import AnswerFormat
from modelseal.endpoints.strict_json import read_value, shorten
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError, import_extra
from modelseal.outputs.answers import Answers
from modelseal.timeouts import TIMEOUT, within
from modelseal.types import Codes

# How many seconds a reply that is given up may still keep its connection without a byte.
_SOON = 1e-3

# What Amazon's services call it when they are busy, whatever the status.
_THROTTLED = {"ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"}


class SageMakerEndpoint(ConnectedEndpoint[Any]):
    """Answers with what the container behind a SageMaker endpoint answers.

    Region and credentials are found as boto3 finds them: in the environment, in its files, or
    from the machine. An answer is never asked for twice.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        template: RequestTemplate,
        answers: AnswerFormat,
        url: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        if not endpoint:
            raise InvalidArgumentError("expected the name of a SageMaker endpoint, got none")
        super().__init__(f"sagemaker:{shorten(endpoint)}", template.inputs.domain, timeout=timeout)
        self.endpoint = endpoint
        self.template = template
        self.answers = answers
        self.url = url
        self._boto = import_extra("boto3", purpose="Asking SageMaker", extra="sagemaker")

    def _batch_size(self) -> int:
        return self.template.size

    def _ask_batch(self, codes: Codes) -> Answers:
        reply = _Reply()
        invoke = partial(self._invoke, self.template.render(codes), reply)
        try:
            body = within(self.timeout, invoke, give_up=reply.cut)
        except _errors() as error:
            reason = f"expected an answer, got none: {shorten(str(error))}"
            if _may_pass(error):
                raise PassingError(reason, wait=_asked_wait(error)) from error
            raise EndpointError(reason) from error
        return self.answers.read(read_value(self.credentials.clean(body)), count=len(codes))

    def _invoke(self, message: Message, reply: "_Reply") -> bytes:
        response = self._connect().invoke_endpoint(
            EndpointName=self.endpoint,
            ContentType=message.content_type,
            Accept="application/json",
            Body=message.body,
        )
        with closing(response["Body"]) as stream:
            reply.hold(stream)
            content: bytes = stream.read(LARGEST)
            # At the end boto3 also finds out whether all that was announced came.
            content += stream.read(1)
        if len(content) > LARGEST:
            raise EndpointError(f"expected a body of at most {LARGEST} bytes, got more")
        return content

    def _open(self) -> Any:  # noqa: ANN401 (boto3 has no types)
        session = self._boto.Session()
        config = import_module("botocore.config").Config(
            retries={"total_max_attempts": 1},
            connect_timeout=self.timeout,
            read_timeout=self.timeout,
        )
        client = session.client("sagemaker-runtime", endpoint_url=self.url, config=config)
        if (credentials := session.get_credentials()) is not None:
            frozen = credentials.get_frozen_credentials()
            found = (frozen.access_key, frozen.secret_key, frozen.token)
            self.credentials = Credentials(secrets=frozenset(filter(None, found)))
        return client


class _Reply:
    """A reply whose body is being read by a thread, for another one to cut it off.

    While its headers come, boto3 gives nothing to hold: each byte of them may take the timeout.
    """

    def __init__(self) -> None:
        self._streams: list[Any] = []
        self._late = False

    def hold(self, stream: Any) -> None:  # noqa: ANN401 (boto3 has no types)
        self._streams.append(stream)
        if self._late:
            self.cut()

    def cut(self) -> None:
        """Lets the reading end with the next byte that comes, or without one."""
        self._late = True
        for stream in self._streams:
            # A close would wait for the reading. A reply that has ended has no socket.
            with suppress(AttributeError, OSError):
                stream.set_socket_timeout(_SOON)


def _errors() -> tuple[type[Exception], ...]:
    """All that boto3 raises of its own, of the network and of addresses."""
    exceptions = import_module("botocore.exceptions")
    network = import_module("urllib3.exceptions").HTTPError
    own = (exceptions.BotoCoreError, exceptions.ClientError)
    return (*own, network, OSError, ValueError, LookupError)


def _may_pass(error: Exception) -> bool:
    """Whether what boto3 raised may go as it came: a lost connection, or a service that is busy."""
    exceptions = import_module("botocore.exceptions")
    if isinstance(error, exceptions.ClientError):
        response: dict[str, dict[str, object]] = error.response
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in BUSY or response.get("Error", {}).get("Code") in _THROTTLED
    lost = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.ReadTimeoutError,
        exceptions.IncompleteReadError,
    )
    return isinstance(error, lost) and not isinstance(error, exceptions.SSLError)


def _asked_wait(error: Exception) -> float | None:
    """How many seconds the service asks to wait; None if it says nothing of it."""
    response: dict[str, Any] = getattr(error, "response", {})
    headers: dict[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return read_retry_after(headers.get("retry-after", ""), now=datetime.now(UTC))
