"""How the answers of a server are read: labels, scores, and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

import jmespath
from jmespath.exceptions import JMESPathError

from modelseal.endpoints.answering import join, trimmed
from modelseal.endpoints.labelling import Labelling
from modelseal.endpoints.reading import name_of, shorten
from modelseal.endpoints.shown import Layout, Numbers, Shown
from modelseal.errors import EndpointError, InvalidArgumentError
from modelseal.outputs.answers import Answers

FAULTS = (
    JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What an expression raises on values that it was not made for."""


class Rows(Enum):
    """What is picked of an answer."""

    ALL = "a list with an entry for each input"
    ONE = "the entry for the one input"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """How a JSON answer becomes labels, scores or probabilities.

    Args:
        labelling: How classes are told.
        select: Where the answer stands, as a JMESPath expression; `@` for all of it.
        layout: How the entry for an input is laid out; None tells it by its look.
        numbers: What the numbers are.
        rows: Whether the expression picks a list of entries or a single one.

    Raises:
        InvalidArgumentError: The expression is malformed.
    """

    labelling: Labelling
    select: str = "@"
    layout: Layout | None = None
    numbers: Numbers = Numbers.SCORES
    rows: Rows = Rows.ALL

    def __post_init__(self) -> None:
        try:
            jmespath.compile(self.select)
        except FAULTS as error:
            first = shorten(str(error).partition("\n")[0])
            raise InvalidArgumentError(
                f"a JMESPath expression was wanted, but {self.select!r} is none: {first}"
            ) from error

    def read(self, content: object, *, count: int) -> Answers:
        """Reads the answer to some inputs.

        Args:
            content: What came, as JSON.
            count: How many inputs were asked.

        Raises:
            EndpointError: It holds no usable answer to each of them.
        """
        picked = self.pick(content)
        entries = [picked] if self.rows is Rows.ONE else self.listed(picked, count)
        shown = Shown(labelling=self.labelling, layout=self.layout, numbers=self.numbers)
        return join(trimmed([self.read_entry(shown, *pair) for pair in enumerate(entries)]))

    def pick(self, content: object) -> object:
        """What the expression finds.

        Raises:
            EndpointError: It finds nothing, or cannot be used on what came.
        """
        try:
            picked = cast(object, jmespath.search(self.select, content))
        except FAULTS as error:
            first = shorten(str(error).partition("\n")[0])
            raise EndpointError(f"{self.select}: no answer was found there: {first}") from error
        if picked is None:
            raise EndpointError(f"{self.select}: an answer was wanted, but nothing came")
        return picked

    def listed(self, picked: object, count: int) -> Sequence[object]:
        """The entries of several inputs.

        Raises:
            EndpointError: They are no list, or of another number.
        """
        if not isinstance(picked, list):
            raise EndpointError(f"{self.select}: a list was wanted, but {name_of(picked)} came")
        if len(picked) != count:
            raise EndpointError(
                f"{self.select}: {count} answers were wanted, but {len(picked)} came"
            )
        return picked

    def read_entry(self, shown: Shown, number: int, entry: object) -> Answers:
        """Reads the answer to one input.

        Raises:
            EndpointError: It is no usable answer; the text says where it stands.
        """
        try:
            return shown.read(entry)
        except EndpointError as error:
            where = self.select if self.rows is Rows.ONE else f"{self.select}[{number}]"
            raise EndpointError(f"{where}: {error}") from error
