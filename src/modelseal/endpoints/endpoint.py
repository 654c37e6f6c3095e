"""What can be asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.responses import answer, check_shows, join
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.specs import OutputSpec
from modelseal.timeouts import TIMEOUT
from modelseal.types import Codes, Inputs, Labels, Scores


@runtime_checkable
class Endpoint(Protocol):
    """Something that answers inputs: a function, a file or a server.

    An endpoint is what a user extends: any class with this one method will do.
    """

    def ask(self, codes: Codes) -> Answers:
        """Sends a batch of inputs and gives what was shown for each, in their order.

        Args:
            codes: Inputs as they are stored, see `modelseal.domain.Domain.encode`.

        Raises:
            EndpointError: No usable answer came.
        """
        ...


@runtime_checkable
class Closable(Protocol):
    """What is kept."""

    def close(self) -> None:
        """Gives it up."""
        ...


Kept = TypeVar("Kept", bound=Closable)
Own = TypeVar("Own")


class Keeping(ABC, Generic[Kept]):
    """Opens a connection with the first question and keeps it for the next.

    `close` gives it up, as does the end of a `with` block or of the endpoint itself.
    """

    connection: Kept | None = None

    @abstractmethod
    def open(self) -> Kept:
        """A new connection.

        Raises:
            EndpointError: The environment names proxies or certificates that cannot be used.
        """

    def connect(self) -> Kept:
        """The connection that is kept, or a new one.

        Raises:
            EndpointError: The environment names proxies or certificates that cannot be used.
        """
        if self.connection is None:
            self.connection = self.open()
        return self.connection

    def close(self) -> None:
        """Gives the connection up; a later question opens a new one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


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
    """What is known when an endpoint is opened, besides its name.

    Args:
        fingerprint: What it will be asked.
        shows: What its numbers with a fraction are: scores or probabilities.
        timeout: How many seconds one answer may take, unless the endpoint's own file says.
        time_limit: How many seconds all answers together may take.
    """

    fingerprint: FingerprintLike
    shows: Kind = Kind.SCORES
    timeout: float = TIMEOUT
    time_limit: float = inf

    @property
    def longest(self) -> float:
        """How many seconds one answer may take where no file says otherwise."""
        return min(self.timeout, self.time_limit)


class CallableEndpoint:
    """Answers with the labels or scores that a function in this process returns.

    Args:
        function: From inputs within the domain's bounds, a float array (batch, *shape), to
            labels, an int array (batch,), or to scores, a float array (batch, classes).
        domain: What a valid input is.
        shows: What numbers with a fraction are: scores or probabilities.
        name: What it is called in verdicts; by default as the function.

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
        """Calls the function once with the whole batch.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain.
            EndpointError: The function failed with a RuntimeError, as torch does, or a
                ValueError, as numpy does, or returned neither labels nor scores.
        """
        inputs = self.domain.decode(codes)
        try:
            shown = self.function(inputs)
        except (RuntimeError, ValueError) as error:
            raise EndpointError(f"the function failed: {error}") from error
        if not isinstance(shown, np.ndarray):
            raise EndpointError(f"expected an array, got {type(shown).__name__}")
        return answer(shown, count=len(codes), shows=self.shows)


def ask_in_groups(ask: Callable[[Codes], Answers], codes: Codes, *, size: int) -> Answers:
    """Asks groups of exactly `size` inputs one after another.

    The last group is filled up by repeating its last input, whose further answers are dropped.

    Args:
        ask: Answers one group.
        codes: At least one input.
        size: How many inputs are asked at a time; 0 asks all at once.

    Raises:
        InvalidArgumentError: There are no inputs.
        EndpointError: A group got no usable answer, or the groups' answers differ in form.
    """
    count = len(codes)
    if not count:
        raise InvalidArgumentError("at least one input is needed, but got none")
    if not size:
        return ask(codes)
    wanted = np.minimum(np.arange(-(-count // size) * size), count - 1)
    groups = [ask(codes[numbers]) for numbers in np.split(wanted, len(wanted) // size)]
    return join(groups).take(np.arange(count))
