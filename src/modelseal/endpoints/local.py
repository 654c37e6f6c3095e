"""A function in this process as an endpoint."""

from collections.abc import Callable

import numpy as np

from modelseal.domain import Domain
from modelseal.endpoints.answering import answer
from modelseal.errors import EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.shapes import Codes, Inputs, Scores


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
