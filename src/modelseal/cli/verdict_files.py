"""The files that a verdict is written into, in every form that machines and people read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelseal.cli.documents import Document
from modelseal.cli.fingerprint_files import STANDARD_OUTPUT, check_output, emit, is_same
from modelseal.errors import BadFileError, InvalidArgumentError

if TYPE_CHECKING:
    from modelseal.verification.documents import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictFiles:
    """Where a verdict goes beside the text.

    Args:
        json: The document itself, or `-` for standard output in place of the text.
        junit: JUnit XML, for continuous integration.
        sarif: SARIF, for code scanning.
        html: A page for people.
    """

    json: Path | None = None
    junit: Path | None = None
    sarif: Path | None = None
    html: Path | None = None

    def check(self, *, inputs: Sequence[Path]) -> None:
        """Makes sure, before anything is asked, that all of them can be written.

        Raises:
            BadFileError: One cannot be written, is one of the inputs, or is named twice.
            InvalidArgumentError: Standard output is wanted for something else than JSON.
            MissingExtraError: A page is wanted, and Jinja is not installed.
        """
        for option, path in self.named():
            if path == STANDARD_OUTPUT and option != "--json":
                raise InvalidArgumentError(f"{option} needs a file, but got - for standard output")
        files = [path for _, path in self.named() if path != STANDARD_OUTPUT]
        for path in files:
            check_output(path, inputs=inputs)
        for one, other in combinations(files, 2):
            if is_same(one, other):
                raise BadFileError(other, "a file for each form was wanted, but this is for two")
        if self.html is not None:
            require_pages()

    def named(self) -> Iterator[tuple[str, Path]]:
        """The files that are wanted, each with its option."""
        for name in ("json", "junit", "sarif", "html"):
            path = getattr(self, name)
            if path is not None:
                yield f"--{name}", path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are wanted."""
        return tuple(path for _, path in self.named())

    @property
    def wants_text(self) -> bool:
        """Whether people are told in text: standard output is not taken."""
        return self.json != STANDARD_OUTPUT

    def write(self, document: Document) -> None:
        """Writes a verdict into all of them, each whole or not at all.

        Args:
            document: What `--json` writes.

        Raises:
            BadFileError: A file cannot be written.
        """
        from modelseal.files import write_atomically

        record = cast("Record", document)
        # All are made before the first is written: what cannot be made leaves nothing behind.
        made = [(path, make(record)) for path, make in self.makers()]
        for path, content in made:
            write_atomically(path, content)
        if self.json is not None:
            emit(document, self.json)

    def makers(self) -> Iterator[tuple[Path, "Callable[[Record], bytes]"]]:
        """How each file but that of JSON is made."""
        if self.junit is not None:
            from modelseal.verification.junit import write_junit

            yield self.junit, write_junit
        if self.sarif is not None:
            from modelseal.verification.sarif import write_sarif

            yield self.sarif, write_sarif
        if self.html is not None:
            from modelseal.verification.verdict_page import write_verdict

            yield self.html, write_verdict


def require_pages() -> None:
    """Makes sure that pages can be written.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    from importlib import import_module

    from modelseal.errors import MissingExtraError

    try:
        import_module("jinja2")
    except ModuleNotFoundError as error:
        raise MissingExtraError("A page of a verdict", "report") from error
