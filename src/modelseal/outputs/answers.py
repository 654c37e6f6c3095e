"""What an endpoint showed."""

from dataclasses import dataclass
from enum import Enum
from typing import cast

from modelseal.errors import InvalidArgumentError
from modelseal.types import Array, Labels, Scores, Values


class Kind(Enum):
    """What the numbers of an answer are."""

    LABELS = "labels"
    PROBABILITIES = "probabilities"
    SCORES = "scores"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answers:
    """What an endpoint showed for a batch of inputs.

    Args:
        kind: What was shown.
        labels: Class numbers, best first; only for labels.
        values: For labels, nothing or the probability of each label; otherwise the score or
            probability of every class.
        digits: With how many decimal digits the values came, if these are fewer than are compared.
    """

    kind: Kind
    labels: Labels | None = None
    values: Values | Scores | None = None
    digits: int | None = None

    def __post_init__(self) -> None:
        if (self.labels is not None) != (self.kind is Kind.LABELS):
            raise InvalidArgumentError(
                f"expected labels if and only if the kind is labels, got {self.kind.value}",
                field="labels",
            )
        if self.labels is None and self.values is None:
            raise InvalidArgumentError("expected values, got none", field="values")
        parts = [part.shape for part in (self.labels, self.values) if part is not None]
        if len(set(parts)) > 1:
            raise InvalidArgumentError(
                f"expected labels and values of one shape, got {parts}", field="values"
            )

    def __len__(self) -> int:
        return len(cast(Array, self.values if self.labels is None else self.labels))

    def take(self, rows: Array) -> "Answers":
        """The answers of some inputs, by number."""
        return Answers(
            kind=self.kind,
            labels=None if self.labels is None else self.labels[rows],
            values=None if self.values is None else self.values[rows],
            digits=self.digits,
        )

    def describe(self, row: int) -> str:
        """One input's answer as short text.

        Examples:
            >>> import numpy as np
            >>> Answers(kind=Kind.LABELS, labels=np.array([[3, 1]])).describe(0)
            '3, 1'
        """
        labels = None if self.labels is None else self.labels[row]
        values = None if self.values is None else self.values[row]
        if labels is None:
            return ", ".join(f"{value:.6g}" for value in cast(Array, values))
        if values is None:
            return ", ".join(str(label) for label in labels)
        return ", ".join(f"{a}: {b:.6g}" for a, b in zip(labels, values, strict=True))
