"""What a declared endpoint is made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

from modelseal.domain import Domain
from modelseal.endpoints.access import Access
from modelseal.endpoints.declaration import Declaration, EndpointSection
from modelseal.endpoints.labelling import Labelling
from modelseal.endpoints.mapping import Mapping, Rows
from modelseal.endpoints.presets import PRESETS
from modelseal.endpoints.sending import Channels, Form, Sending, Unit
from modelseal.endpoints.shown import Numbers
from modelseal.endpoints.template import MANY, Carrier, Template
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.outputs.answers import Kind
from modelseal.validating import read_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What is known of the model that an endpoint should serve.

    Args:
        domain: What a valid input is.
        classes: How many classes there are.
        names: What each is called; empty if they have no names.
        shows: What numbers are if nothing else is said: scores or probabilities.
    """

    domain: Domain
    classes: int
    names: tuple[str, ...] = ()
    shows: Kind = Kind.SCORES


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to wait for each answer.

    Args:
        timeout: So many seconds, unless an endpoint.toml says otherwise.
        longest: No longer than this, whatever it says.
    """

    timeout: float = 30.0
    longest: float = inf

    @property
    def usual(self) -> float:
        """How many seconds to wait where an endpoint.toml says nothing else."""
        return min(self.timeout, self.longest)


PATIENCE = Patience()
"""How long to wait where nobody says it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a declared endpoint is made of.

    Args:
        path: The file that declares it.
        declaration: What it says.
        served: What is known of the model.
        access: What lets a request in.
        patience: How long to wait for each answer.
    """

    path: Path
    declaration: Declaration
    served: Served
    access: Access
    patience: Patience

    @property
    def timeout(self) -> float:
        """How many seconds to wait for each answer."""
        declared = self.section.timeout
        return min(self.patience.timeout if declared is None else declared, self.patience.longest)

    @property
    def section(self) -> EndpointSection:
        """Where the endpoint is."""
        return self.declaration.endpoint

    def sending(self) -> Sending:
        """How inputs are sent.

        Raises:
            BadFileError: The model's inputs cannot be sent so.
        """
        request = self.declaration.request
        with blaming(self.path, "request"):
            return Sending(
                domain=self.served.domain,
                form=request.form or Form.NESTED,
                unit=request.values or Unit.BOUNDS,
                channels=request.channels or Channels.FIRST,
            )

    def template(self) -> Template:
        """How a request's body is made.

        Raises:
            BadFileError: The template is malformed, or does not fit the form of the inputs.
        """
        request, preset = self.declaration.request, PRESETS.get(self.section.preset or "")
        with blaming(self.path, "request"):
            return Template(
                sending=self.sending(),
                carrier=request.carrier or Carrier.JSON,
                text=request.template or (preset.template if preset else MANY),
                field=request.field,
                content_type=request.content_type,
            )

    def mapping(self, *, rows: Rows, select: str) -> Mapping:
        """How answers are read.

        Args:
            rows: What is picked of an answer.
            select: Where the answer stands if neither file nor preset say so.

        Raises:
            BadFileError: The expression is malformed, or the names are not one for each class.
        """
        answer, preset = self.declaration.answer, PRESETS.get(self.section.preset or "")
        names = self.names()
        with blaming(self.path, "answer"):
            return Mapping(
                labelling=Labelling(
                    classes=self.served.classes,
                    names=names,
                    naming=answer.labels,
                    first=answer.first,
                ),
                select=answer.select or (preset.select if preset else select),
                layout=answer.layout,
                numbers=answer.numbers or numbers_of(self.served.shows),
                rows=rows,
            )

    def names(self) -> tuple[str, ...]:
        """What the server calls the classes: by default what the model's owner calls them.

        Raises:
            BadFileError: The file of names cannot be read.
        """
        answer = self.declaration.answer
        if answer.names_file is not None:
            return read_lines(self.path.parent / answer.names_file)
        return tuple(answer.names) or self.served.names

    def shows(self) -> Kind:
        """What the numbers are where a protocol says all else."""
        probable = self.declaration.answer.numbers is Numbers.PROBABILITIES
        declared = self.declaration.answer.numbers is not None
        return (Kind.PROBABILITIES if probable else Kind.SCORES) if declared else self.served.shows


def numbers_of(shows: Kind) -> Numbers:
    """What numbers are where only their kind is known."""
    return Numbers.PROBABILITIES if shows is Kind.PROBABILITIES else Numbers.SCORES


@contextmanager
def blaming(path: Path, field: str) -> Iterator[None]:
    """Makes what is wrong with a value a fault of the file that says it.

    Raises:
        BadFileError: A value was wrong.
    """
    try:
        yield
    except InvalidArgumentError as error:
        raise BadFileError(path, str(error), field=field) from error
