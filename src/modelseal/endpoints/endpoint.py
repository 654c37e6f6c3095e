"""What can be asked, and what our own endpoints have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.auth import NO_CREDENTIALS, Credentials
from modelseal.endpoints.responses import array_answers, check_shows, join
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import OutputSpec
from modelseal.timeouts import TIMEOUT, check_timeout
from modelseal.types import Codes, Inputs, Labels, Scores

# The mean of the first wait in seconds, since a connection that was reset is often well at once,
# and the longest one; a server that names a time of its own may have more.
_FIRST, _LONGEST = 0.25, 30.0


@runtime_checkable
class Endpoint(Protocol):
    """Something that answers inputs: a function, a file or a server.

    An endpoint is what a user extends: any class with this one method will do.
    """

    def ask(self, codes: Codes) -> Answers:
        """Sends a batch of inputs and returns what was shown for each, in their order.

        Args:
            codes: Inputs as they are stored, see `modelseal.domain.Domain.encode`.

        Raises:
            EndpointError: No usable answer came.
        """
        ...


@runtime_checkable
class FingerprintLike(Protocol):
    """A fingerprint, as far as endpoints need to know it."""

    @property
    def domain(self) -> Domain:
        """What a valid input is."""

    @property
    def spec(self) -> OutputSpec:
        """What the endpoint shows of its scores."""

    @property
    def classes(self) -> int:
        """How many there are."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every class; empty if they have none."""

    @property
    def samples(self) -> Codes:
        """Its samples as they are stored."""

    @property
    def digest(self) -> str:
        """The SHA-256 of its file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointOptions:
    """What is known when an endpoint is opened, besides its name."""

    fingerprint: FingerprintLike
    shows: Kind = Kind.SCORES
    timeout: float = TIMEOUT
    time_limit: float = inf

    @property
    def longest(self) -> float:
        """How many seconds one answer may take where no file says otherwise."""
        return min(self.timeout, self.time_limit)


class BaseEndpoint(ABC):
    """What our endpoints share: checked inputs, batches, and errors that hide secrets."""

    def __init__(
        self, place: str, domain: Domain, *, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self.place = place
        self.name = place
        self.domain = domain
        self.credentials = credentials

    def ask(self, codes: Codes) -> Answers:
        """Asks the inputs at once, or in batches of the one size that the endpoint takes."""
        self.domain.check(codes)
        if not len(codes):
            raise InvalidArgumentError("expected at least one input, got none", field="codes")
        try:
            return ask_in_batches(self._ask_batch, codes, size=self._batch_size())
        except EndpointError as error:
            # The chain would show in a traceback what is hidden here.
            raise self.credentials.hide_in(error.at(self.place)) from None

    def _batch_size(self) -> int:
        return 0

    @abstractmethod
    def _ask_batch(self, codes: Codes) -> Answers: ...


@runtime_checkable
class _Closable(Protocol):
    """A connection that can be closed."""

    def close(self) -> object:
        """Closes it."""


Connected = TypeVar("Connected", bound=_Closable)
Own = TypeVar("Own")


class ConnectedEndpoint(BaseEndpoint, Generic[Connected]):
    """An endpoint that opens a connection with the first question and keeps it for the next.

    `close` closes it, as does the end of a `with` block; a later question opens a new one.
    """

    def __init__(
        self,
        place: str,
        domain: Domain,
        *,
        timeout: float,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        check_timeout(timeout)
        super().__init__(place, domain, credentials=credentials)
        self.timeout = timeout
        self._connection: Connected | None = None

    @abstractmethod
    def _open(self) -> Connected: ...

    def _connect(self) -> Connected:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def close(self) -> None:
        """Closes the connection; a later question opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CallableEndpoint:
    """Answers with the labels or scores that a function in this process returns.

    Examples:
        >>> domain = Domain(shape=(2,), bounds=(0.0, 1.0), levels=256)
        >>> endpoint = CallableEndpoint(lambda inputs: inputs * 2, domain)
        >>> endpoint.ask(np.array([[0, 255]], np.uint8)).describe(0)
        '0, 2'
    """

    def __init__(
        self,
        function: Callable[[Inputs], Labels | Scores],
        domain: Domain,
        *,
        shows: Kind = Kind.SCORES,
        name: str = "",
    ) -> None:
        check_shows(shows)
        self.function = function
        self.domain = domain
        self.shows = shows
        self.name = name or str(getattr(function, "__qualname__", type(function).__name__))

    def ask(self, codes: Codes) -> Answers:
        """Calls the function once with the whole batch."""
        inputs = self.domain.decode(codes)
        try:
            shown = self.function(inputs)
        except (RuntimeError, ValueError) as error:
            raise EndpointError(f"the function failed: {error}") from error
        if not isinstance(shown, np.ndarray):
            raise EndpointError(f"expected an array, got {type(shown).__name__}")
        return array_answers(shown, count=len(codes), shows=self.shows)


def ask_in_batches(ask: Callable[[Codes], Answers], codes: Codes, *, size: int) -> Answers:
    """Asks batches of exactly `size` inputs one after another; 0 asks all at once.

    The last batch is filled up by repeating its last input, whose further answers are dropped.
    """
    if not size:
        return ask(codes)
    count = len(codes)
    rows = np.minimum(np.arange(-(-count // size) * size), count - 1)
    batches = [ask(codes[batch]) for batch in np.split(rows, len(rows) // size)]
    return join(batches).take(np.arange(count))


def ask_with_retries(
    endpoint: Endpoint, codes: Codes, *, waits: Iterable[float], rest: Callable[[float], bool]
) -> object:
    """Asks an endpoint, and again after each fault that may pass, as often as there are waits.

    `rest` waits so many seconds and tells whether to go on. An answer, whatever it is, is never
    asked for again, nor is any other fault followed by another question. The endpoint gets a copy
    of the inputs each time.

    The loop is our own: stamina, which is made for this, can be told neither to stop when the time
    for all questions is over or another one has settled the verdict, nor what time it is.
    """
    for wait in waits:
        try:
            return endpoint.ask(codes.copy())
        except PassingError as error:
            if not rest(max(wait, error.wait or 0.0)):
                raise
    return endpoint.ask(codes.copy())


def back_off(retries: int, generator: np.random.Generator) -> Iterator[float]:
    """Waits in seconds, each twice the one before on the average, from half to one and a half.

    The chance in them keeps clients that were all turned away from coming back all at once.
    """
    for number in range(retries):
        # Beyond 2^16 the longest wait has long been reached.
        mean = min(_FIRST * 2.0 ** min(number, 16), _LONGEST)
        yield mean * generator.uniform(0.5, 1.5)
