"""How a server tells classes: by number or by name."""

from dataclasses import dataclass
from enum import Enum

from modelseal.endpoints.reading import name_of, shorten
from modelseal.errors import EndpointError, InvalidArgumentError

LONGEST = 19
"""The most digits that the number of a class is read with."""


class Naming(Enum):
    """What a label is."""

    INDEX = "index"
    NAME = "name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelling:
    """How classes are told.

    Args:
        classes: How many there are.
        names: What each is called; empty if they have no names.
        naming: Whether labels are numbers or names; None takes whole numbers for numbers, and
            texts for names if there are any.
        first: The number of the first class: 1 where counting begins with 1.

    Raises:
        InvalidArgumentError: The names are not one for each class, or names are wanted where
            there are none.
    """

    classes: int
    names: tuple[str, ...] = ()
    naming: Naming | None = None
    first: int = 0

    def __post_init__(self) -> None:
        if self.names and len(self.names) != self.classes:
            raise InvalidArgumentError(
                f"one name for each of {self.classes} classes was wanted, "
                f"but {len(self.names)} came"
            )
        if self.naming is Naming.NAME and not self.names:
            raise InvalidArgumentError("labels are names, but nobody says what the names are")

    def index(self, label: object) -> int:
        """The number of a class, from 0.

        Raises:
            EndpointError: There is no such class.
        """
        if isinstance(label, str) and self.names and self.naming is not Naming.INDEX:
            return self.find(label)
        if self.naming is Naming.NAME:
            raise EndpointError(f"the name of a class was wanted, but {name_of(label)} came")
        number = number_of(label)
        last = self.first + self.classes - 1
        if number is None or not self.first <= number <= last:
            raise EndpointError(
                f"a label from {self.first} to {last} was wanted, but {name_of(label)} came"
            )
        return number - self.first

    def find(self, name: str) -> int:
        """The number of the class of this name.

        Raises:
            EndpointError: There is none, or more than one.
        """
        count = self.names.count(name)
        if not count:
            raise EndpointError(f"the name of a class was wanted, but {shorten(name)!r} came")
        if count > 1:
            raise EndpointError(f"a name of one class was wanted, but {name!r} is that of {count}")
        return self.names.index(name)


def number_of(label: object) -> int | None:
    """The whole number that a label is, also as a text; nothing if it is none."""
    if isinstance(label, str):
        plain = label.isascii() and label.isdigit() and len(label) <= LONGEST
        return int(label) if plain else None
    return label if type(label) is int else None  # isinstance would take true for 1
