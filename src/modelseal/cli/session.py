"""How many samples a check takes, and what is told of the stock."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelseal.cli.console import complain
from modelseal.cli.fingerprint_files import check_output, is_same
from modelseal.cli.render import with_terms
from modelseal.endpoints import recorded
from modelseal.endpoints.endpoint import Endpoint
from modelseal.endpoints.endpoint_toml import CheckSection, is_endpoint, read_endpoint
from modelseal.endpoints.factory import endpoint_name
from modelseal.endpoints.recorded import Heading, Past
from modelseal.endpoints.responses import Labelling, number_of
from modelseal.errors import BadFileError, EndpointError, InvalidArgumentError
from modelseal.fingerprint.codec import file_digest
from modelseal.fingerprint.record import Fingerprint
from modelseal.models.images import BROKEN_ARRAYS, read_images
from modelseal.settings import read_lines
from modelseal.verification.decoys import Cover
from modelseal.verification.policy import Faces, Manners, Terms
from modelseal.verification.preflight import Natural, rehearse
from modelseal.verification.sequential import check as check_repeating

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from modelseal.verification.ledger import Spending


LOW = 2
"""With fewer checks left than this, the user is warned."""


class Budget:
    """What the user said of spending samples.

    Args:
        file: The fingerprint's file, beside which the ledger is.
        per_check: How many samples a check takes; None for as many as the ledger says, or all.
        max_uses: How often a sample may be asked; None for any number of times.
    """

    def __init__(self, file: Path, *, per_check: int | None, max_uses: int | None) -> None:
        from modelseal.verification.ledger import ledger_of

        self.ledger = ledger_of(file)
        self.per_check = per_check
        self.max_uses = max_uses

    def take(
        self,
        fingerprint: "Fingerprint",
        *,
        endpoint: str,
        generator: "np.random.Generator",
    ) -> "Spending | None":
        """Enters the samples of a check in the ledger before they are asked.

        There is a ledger if one was begun, or if something is to be kept account of.

        Args:
            fingerprint: What is going to be asked.
            endpoint: What it is asked of, without secrets.
            generator: Chooses among samples that were spent equally often.

        Returns:
            The samples; None for all, without a ledger.

        Raises:
            ModelsealError: Too few samples are left, or the ledger cannot be used.
        """
        from modelseal.verification.ledger import check_count, spend

        check_count(self.per_check, fingerprint)
        if not (self.ledger.exists() or self.keeps_account(fingerprint)):
            return None
        spent = spend(
            self.ledger,
            fingerprint,
            endpoint=endpoint,
            generator=generator,
            per_check=self.per_check,
            max_uses=self.max_uses,
        )
        limited = len(spent.samples) < len(fingerprint) or self.max_uses is not None
        if limited and spent.checks_left < LOW:
            self.warn(spent.checks_left)
        return spent

    def take_all(self, fingerprint: "Fingerprint", *, endpoint: str) -> None:
        """Enters all samples in the ledger, if there is one, before an enrolment asks them.

        Args:
            fingerprint: What is going to be asked.
            endpoint: What it is asked of, without secrets.

        Raises:
            ModelsealError: The ledger cannot be used.
        """
        import numpy as np

        from modelseal.verification.ledger import spend

        if self.ledger.exists():
            spend(
                self.ledger,
                fingerprint,
                endpoint=endpoint,
                generator=np.random.default_rng(),
                per_check=len(fingerprint),
            )

    def go_on(
        self,
        fingerprint: "Fingerprint",
        *,
        endpoint: str,
        check: str | None,
        known: "Collection[int]",
    ) -> tuple[int, ...] | None:
        """The samples of a check that goes on, which are entered already.

        Args:
            fingerprint: What is going to be asked.
            endpoint: What it is asked of, without secrets.
            check: The name of the check in the ledger, as its record has it.
            known: The samples whose answers are known.

        Returns:
            The numbers of the samples; None for all, without a ledger.

        Raises:
            ModelsealError: The ledger has no such check, or there is none where there should be.
        """
        from modelseal.verification.ledger import check_count, find_check

        check_count(self.per_check, fingerprint)
        if self.ledger.exists():
            return find_check(self.ledger, fingerprint, endpoint=endpoint, check=check, known=known)
        if self.keeps_account(fingerprint):
            raise BadFileError(
                self.ledger,
                "a ledger with the check that goes on was wanted, but there is none: --per-check "
                "and --max-uses are for a new check",
            )
        return None

    def keeps_account(self, fingerprint: "Fingerprint") -> bool:
        """Whether the user said something for which a ledger is needed."""
        part = self.per_check is not None and self.per_check < len(fingerprint)
        return part or self.max_uses is not None

    def warn(self, left: int) -> None:
        """Tells that the stock runs low."""
        again = "1 time" if self.max_uses in {None, 1} else f"{self.max_uses} times"
        complain(
            f"{self.ledger}: after this check the samples that were asked less than {again} are "
            f"enough for {left} more: seal a new fingerprint"
        )


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
        return replace(self, name=endpoint_name(endpoint))

    def check_name(self, endpoint: str) -> None:
        """Makes sure that what was opened is what has the name.

        Raises:
            BadFileError: The endpoint.toml was edited meanwhile.
        """
        if endpoint_name(endpoint) != self.name:
            raise BadFileError(Path(endpoint), "was edited while it was being opened; try again")

    def start(self) -> "Asking":
        """The same with the time for all questions running from now, natural ones included."""
        return replace(self, manners=replace(self.manners, begun=self.manners.clock.now()))

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
            recorded.check_new(self.record)

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
        if fingerprint.enrollment is None:
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
                recorder, past = recorded.resume(self.resume, heading)
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
                recorder = recorded.start(self.record, heading)
                held.callback(recorder.release)
                manners = replace(manners, note=recorder.note)
            yield manners

    def with_spent(self, fingerprint: Fingerprint, spent: "Spending") -> Manners:
        """The manners for the samples that a check has spent.

        Checks of an enrolled deployment that a ledger counts are a schedule: all of them together
        raise a false alarm at the rate of alpha at the most, unless the user numbers them.
        """
        terms = self.manners.terms
        if fingerprint.enrollment is not None and terms.look is None:
            terms = replace(terms, look=spent.look)
        return replace(self.manners, chosen=spent.numbers, terms=terms)

    def head(self, fingerprint: Fingerprint) -> Heading:
        """Of what a record is, but for the check."""
        # Of an enrolled fingerprint, each question is a sample or one of its neighbours.
        everywhere = self.manners.faces is Faces.ALL or fingerprint.enrollment is not None
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


def ask_natural(
    opened: Endpoint, endpoint: str, fingerprint: Fingerprint, *, asking: Asking
) -> None:
    """Asks natural images before any sample, if somebody names some.

    Args:
        opened: What is asked.
        endpoint: Its name.
        fingerprint: Whose samples shall be asked afterwards.
        asking: What the user said of how to ask.

    Raises:
        BadFileError: Images or labels cannot be read, or do not fit.
        EndpointError: The answers are not what they should be.
    """
    natural = find_natural(endpoint, fingerprint, check=asking.check)
    if natural is not None:
        # The user's seed is that of the order of samples, and of nothing else.
        source = np.random.default_rng()
        rehearse(fingerprint, opened, natural, generator=source, manners=asking.manners)


def find_natural(endpoint: str, fingerprint: Fingerprint, *, check: Path | None) -> Natural | None:
    """The images that are asked first; None if nobody names any.

    Args:
        endpoint: What is asked; an endpoint.toml may name images.
        fingerprint: Whose classes they show.
        check: A file of images that the user names, which goes before the endpoint's own.

    Raises:
        BadFileError: Images or labels cannot be read, or do not fit.
    """
    if check is not None:
        return read_natural(CheckSection(images=check.name), check.parent, fingerprint)
    path = Path(endpoint)
    if path.suffix.lower() != ".toml" or not is_endpoint(path):
        return None
    declaration = read_endpoint(path)
    if declaration.check is None:
        return None
    answer = declaration.answer
    listed = read_lines(path.parent / answer.names_file) if answer.names_file else answer.names
    return read_natural(declaration.check, path.parent, fingerprint, names=tuple(listed))


def read_natural(
    section: CheckSection,
    folder: Path,
    fingerprint: Fingerprint,
    *,
    names: tuple[str, ...] = (),
) -> Natural:
    """Reads images and labels, and takes as many of them as are asked, from first to last.

    Args:
        section: Where they are.
        folder: What the paths are relative to.
        fingerprint: Whose classes they show.
        names: What the classes are called; by default as the fingerprint does.

    Raises:
        BadFileError: They cannot be read, or do not fit.
    """
    images = folder / section.images
    codes, _ = read_images(images, fingerprint.domain)
    names = names or fingerprint.names
    labels = find_labels(section, folder, names=names)
    if len(labels) != len(codes):
        raise BadFileError(
            images, f"{len(codes)} labels were wanted, one for each image, not {len(labels)}"
        )
    rows = np.linspace(0, len(codes) - 1, min(section.count, len(codes))).round().astype(int)
    wanted = [labels[row] for row in rows]
    try:
        labelling = Labelling(classes=fingerprint.classes, names=names)
        known = np.array([labelling.index(label) for label in wanted])
    except (EndpointError, InvalidArgumentError) as error:
        raise BadFileError(images, f"labels: {error}") from error
    return Natural(codes=codes[rows], labels=known, at_least=section.at_least)


def find_labels(section: CheckSection, folder: Path, *, names: tuple[str, ...]) -> Sequence[object]:
    """The labels: as they are listed, those of a file, or those beside the images.

    A line of a file is a name if there is such a class, and a number else.

    Raises:
        BadFileError: They cannot be read, or there are none.
    """
    if section.labels:
        return section.labels
    if section.labels_file is not None:
        lines = read_lines(folder / section.labels_file)
        return [line if line in names else number_or_text(line) for line in lines]
    images = folder / section.images
    if images.is_dir():
        raise BadFileError(images, "labels are needed beside a folder, but there are none")
    try:
        with np.load(images, allow_pickle=False) as arrays:
            found = arrays.get("labels")
    except BROKEN_ARRAYS as error:
        raise BadFileError(images, f"cannot be read as arrays: {error}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iuU":
        raise BadFileError(images, "an array named labels of whole numbers or names was wanted")
    labels: list[object] = found.tolist()
    return labels


def number_or_text(line: str) -> object:
    """The number that a line is, or else the line."""
    number = number_of(line)
    return line if number is None else number


def list_naturals(cover: int, naturals: Path | None) -> tuple[Path, ...]:
    """The files that are read for cover, so that none is replaced.

    Args:
        cover: How many natural images are wanted.
        naturals: A folder of images or an `.npz` file.

    Raises:
        InvalidArgumentError: One of the two is missing.
        BadFileError: The images are missing, or their folder cannot be read.
    """
    if (cover > 0) != (naturals is not None):
        raise InvalidArgumentError("--cover N and --naturals IMAGES need one another")
    if naturals is None:
        return ()
    if not naturals.exists():
        raise BadFileError(
            naturals, "a folder of images or an .npz file was wanted, but is missing"
        )
    if not naturals.is_dir():
        return (naturals,)
    from modelseal.models.images import list_images

    return list_images(naturals)


def load_cover(
    fingerprint: "Fingerprint",
    naturals: Path | None,
    *,
    count: int,
    generator: "np.random.Generator",
) -> "Cover":
    """Draws natural images for cover; none if none are wanted.

    Args:
        fingerprint: Whose samples shall be covered.
        naturals: A folder of images or an `.npz` file.
        count: How many are drawn.
        generator: The source of the choice.

    Raises:
        BadFileError: The images cannot be used, or too few of them are unlike the samples.
    """
    if naturals is None:
        return ()
    from modelseal.models.images import read_images
    from modelseal.verification.decoys import draw_cover

    images, _ = read_images(naturals, fingerprint.domain)
    try:
        return draw_cover(images, fingerprint, count=count, generator=generator)
    except InvalidArgumentError as error:
        raise BadFileError(naturals, str(error)) from error
