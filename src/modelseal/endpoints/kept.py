"""An endpoint that keeps one connection for all questions."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Protocol, TypeVar, runtime_checkable


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
