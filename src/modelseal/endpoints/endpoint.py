"""What can be asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.responses import answer, join
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers, Kind
from modelseal.types import Codes, Inputs, Scores


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


class LocalEndpoint:
    """Answers with the scores that a function in this process gives.

    Args:
        function: From inputs within the domain's bounds to the scores of every class.
        domain: What a valid input is.

    Examples:
        >>> domain = Domain(shape=(2,), bounds=(0.0, 1.0), levels=256)
        >>> endpoint = LocalEndpoint(lambda inputs: inputs * 2, domain)
        >>> endpoint.ask(np.array([[0, 255]], np.uint8)).describe(0)
        '0, 2'
    """

    def __init__(self, function: Callable[[Inputs], Scores], domain: Domain) -> None:
        self.function = function
        self.domain = domain

    def ask(self, codes: Codes) -> Answers:
        """Calls the function once with the whole batch.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain.
            EndpointError: The function failed with a RuntimeError, as torch does, or a
                ValueError, as numpy does, or gave no scores.
        """
        inputs = self.domain.decode(codes)
        try:
            scores = self.function(inputs)
        except (RuntimeError, ValueError) as error:
            raise EndpointError(f"the function failed: {error}") from error
        if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
            kind = getattr(scores, "dtype", type(scores).__name__)
            raise EndpointError(f"an array of scores was wanted, but {kind} came")
        return answer(scores, count=len(codes), shows=Kind.SCORES)


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
