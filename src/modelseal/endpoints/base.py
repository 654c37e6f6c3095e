"""What can be asked."""

from typing import Protocol, runtime_checkable

from modelseal.outputs.answers import Answers
from modelseal.shapes import Codes


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
