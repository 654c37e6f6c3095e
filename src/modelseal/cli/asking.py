"""How `verify` asks: from options to manners, with a record if one is wanted."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelseal.cli.emitting import check_output, is_same
from modelseal.cli.opening import shown_name
from modelseal.cli.paper import complain
from modelseal.cli.repeating import with_terms
from modelseal.cli.spending import Budget
from modelseal.endpoints import recording
from modelseal.endpoints.base import Endpoint
from modelseal.endpoints.parts import Patience
from modelseal.endpoints.recording import Heading, Past
from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.fingerprint.codec import file_digest
from modelseal.fingerprint.record import Fingerprint
from modelseal.verifying.covering import Cover
from modelseal.verifying.manners import Faces, Manners
from modelseal.verifying.repeating import check as check_repeating
from modelseal.verifying.terms import Terms

if TYPE_CHECKING:
    from modelseal.verifying.spending import Spending


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """What the user said of how to ask.

    Args:
        manners: How to ask.
        timeout: How many seconds each answer may take.
        record: The new file in which every answer is kept.
        resume: The file of a record to go on with.
        budget: How many samples may be asked; None for all, with no account kept of them.
        check: Natural images that are asked before any sample.
        name: The endpoint's, without secrets.

    Raises:
        InvalidArgumentError: The timeout is not positive, or both files are there.
    """

    manners: Manners
    timeout: float = 30.0
    record: Path | None = None
    resume: Path | None = None
    budget: Budget | None = None
    check: Path | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.timeout < inf:
            raise InvalidArgumentError(
                f"seconds above 0 were wanted, but {self.timeout:g} came", field="timeout"
            )
        if self.record is not None and self.resume is not None:
            raise InvalidArgumentError(
                "--record for a new file or --resume for one that is there was wanted, not both"
            )

    def call(self, endpoint: str) -> "Asking":
        """The same with the endpoint's name, as it is now: an endpoint.toml may be edited later.

        Raises:
            ModelsealError: It names no endpoint.
        """
        return replace(self, name=shown_name(endpoint))

    def check_name(self, endpoint: str) -> None:
        """Makes sure that what was opened is what has the name.

        Raises:
            BadFileError: The endpoint.toml was edited meanwhile.
        """
        if shown_name(endpoint) != self.name:
            raise BadFileError(Path(endpoint), "was edited while it was being opened; try again")

    def start(self) -> "Asking":
        """The same with the time for all questions running from now, natural ones included."""
        return replace(self, manners=replace(self.manners, begun=self.manners.clock.now()))

    @property
    def patience(self) -> Patience:
        """How long one answer may take: no longer than all of them together."""
        return Patience(timeout=self.timeout, longest=self.manners.time_limit)

    def check_files(self, *, inputs: list[Path], json: Path | None) -> None:
        """Makes sure, before anything is asked, that a record can be written.

        Raises:
            BadFileError: It cannot be written or is read as well.
            InvalidArgumentError: The verdict would be written to the same file.
        """
        for path in (self.record, self.resume):
            if path is None:
                continue
            check_output(path, inputs=inputs)
            if json is not None and is_same(path, json):
                raise InvalidArgumentError(f"two files were wanted, but {path} came twice")
        if self.record is not None:
            recording.check_new(self.record)

    def agree(self, fingerprint: Fingerprint, *, terms: Terms, neighbours: bool) -> "Asking":
        """The same with the terms for an enrolled fingerprint, or the neighbours of another one.

        Args:
            fingerprint: What is asked.
            terms: What the options say.
            neighbours: Whether neighbours shall be asked as well.

        Raises:
            InvalidArgumentError: The options are for other fingerprints.
        """
        manners = with_terms(self.manners, fingerprint, terms=terms, neighbours=neighbours)
        return replace(self, manners=manners)

    def cover_with(self, images: Cover) -> "Asking":
        """The same with natural images that are asked among the samples."""
        return replace(self, manners=replace(self.manners, cover=images))

    def check_sense(self, fingerprint: Fingerprint, opened: Endpoint) -> None:
        """Makes sure, before samples are spent or a record is begun, that it would be of use.

        Args:
            fingerprint: What is going to be asked.
            opened: Whom.

        Raises:
            InvalidArgumentError: An enrolled fingerprint cannot be asked so.
        """
        if fingerprint.enrolment is None:
            return
        if self.resume is not None:
            raise InvalidArgumentError(
                "no --resume was wanted, since an enrolled fingerprint is asked anew each time, "
                f"but {self.resume} came"
            )
        check_repeating(fingerprint, opened, self.manners)

    @contextmanager
    def begin(
        self, fingerprint: Fingerprint, *, generator: np.random.Generator
    ) -> Iterator[Manners]:
        """Gives the manners, with a record if one is wanted and the samples that may be asked.

        Nobody else writes to the record meanwhile.

        Args:
            fingerprint: What is asked.
            generator: Chooses among samples that were spent equally often.

        Raises:
            ModelsealError: The record or the ledger cannot be used, or too few samples are left.
        """
        with ExitStack() as held:
            heading = self.head(fingerprint)
            if self.resume is not None:
                recorder, past = recording.resume(self.resume, heading)
                held.callback(recorder.release)
                tell_past(past, heading, self.resume)
                yield replace(self.go_on(fingerprint, heading, past), note=recorder.note)
                return
            spent = self.budget and self.budget.take(
                fingerprint, endpoint=self.name, generator=generator
            )
            manners = self.with_spent(fingerprint, spent) if spent else self.manners
            if self.record is not None:
                # A record is of the check that the ledger has, and so begins after that.
                heading = replace(heading, check=spent.check if spent else None)
                recorder = recording.start(self.record, heading)
                held.callback(recorder.release)
                manners = replace(manners, note=recorder.note)
            yield manners

    def with_spent(self, fingerprint: Fingerprint, spent: "Spending") -> Manners:
        """The manners for the samples that a check has spent.

        Checks of an enrolled deployment that a ledger counts are a schedule: all of them together
        raise a false alarm at the rate of alpha at the most, unless the user numbers them.
        """
        terms = self.manners.terms
        if fingerprint.enrolment is not None and terms.look is None:
            terms = replace(terms, look=spent.look)
        return replace(self.manners, chosen=spent.numbers, terms=terms)

    def head(self, fingerprint: Fingerprint) -> Heading:
        """Of what a record is, but for the check."""
        # Of an enrolled fingerprint, each question is a sample or one of its neighbours.
        everywhere = self.manners.faces is Faces.ALL or fingerprint.enrolment is not None
        return Heading(
            fingerprint=file_digest(fingerprint),
            samples=len(fingerprint),
            endpoint=self.name,
            neighbours=everywhere and fingerprint.neighbours is not None,
        )

    def go_on(self, fingerprint: Fingerprint, heading: Heading, past: Past) -> Manners:
        """The manners, with what is known from a record, and with the samples of its check.

        Args:
            fingerprint: What is asked.
            heading: Of what the record is.
            past: What it holds.

        Raises:
            ModelsealError: No check has spent these samples, or the ledger cannot be used.
        """
        manners = replace(self.manners, known=past.answers)
        if self.budget is None:
            return manners
        chosen = self.budget.go_on(
            fingerprint, endpoint=heading.endpoint, check=past.check, known=past.answers
        )
        return replace(manners, chosen=chosen)


def tell_past(past: Past, heading: Heading, file: Path) -> None:
    """Writes to standard error what a record holds already."""
    if past.cut:
        complain(f"{file}: its last line was half written and is left out")
    count = f"{len(past.answers)} of {heading.samples} samples"
    complain(f"{file}: {count} are answered there and are not asked again")
