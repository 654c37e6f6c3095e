"""Keeping every answer as soon as it came, in a file that only grows.

The first line is the heading, which says of what the answers are. Each further line is one sample
with its answer, in the form that `recorded` reads, or with an error in the place of it. The form
is described in `docs/reference/json-documents.md` as `modelseal.record/1`.
"""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from weakref import finalize

from modelseal.endpoints.answer_lines import RECORD, to_object
from modelseal.endpoints.reading import JsonObject, read_object, text_at
from modelseal.endpoints.recorded import read_file, read_lines, settle
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers
from modelseal.writing import PRIVATE, explain

EXISTS = "a new file was wanted for a record, but this one exists: --resume goes on with it"


def moment() -> str:
    """What time it is, in UTC to the millisecond.

    Examples:
        >>> moment()[4:20:3]
        '--T::.'
    """
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """Of what the answers of a record are.

    Args:
        fingerprint: The digest of the fingerprint whose samples were asked.
        samples: How many it holds.
        endpoint: What was asked, without secrets.
        neighbours: Whether an answer may be that to a neighbour of the sample: then it says
            nothing of the sample alone.
        check: What the ledger of spent samples calls the check; None without a ledger.
    """

    fingerprint: str
    samples: int
    endpoint: str
    neighbours: bool = False
    check: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What a record holds already.

    Args:
        answers: What came of each sample: its answer, or the error that stands for answers that
            contradict one another.
        cut: Whether the last line was half written, as after a crash, and was taken out.
        check: What the ledger of spent samples calls the check that goes on; None if the heading
            does not say.
    """

    answers: dict[int, Answers | EndpointError] = field(default_factory=dict)
    cut: bool = False
    check: str | None = None


class Recorder:
    """Writes answers to the end of a file, each on the disk before the next is asked.

    Args:
        path: The file, which is there.
        now: Tells the time as text.

    Raises:
        BadFileError: The file cannot be written.
    """

    def __init__(self, path: Path, *, now: Callable[[], str] = moment) -> None:
        self.path = path
        self.now = now
        self.release: Callable[[], object] = lambda: None
        """Lets others write to the record again."""

    def hold(self) -> "Recorder":
        """Keeps others from writing to the same record, until this object is not used any more.

        Raises:
            BadFileError: Somebody writes to it already, or it cannot be opened.
        """
        try:
            from fcntl import LOCK_EX, LOCK_NB, flock
        except ModuleNotFoundError:  # not every system has it, and one process needs none
            return self
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise BadFileError(self.path, f"cannot be read: {explain(error)}") from error
        self.release = finalize(self, os.close, file)
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            self.release()
            problem = "a record that nobody writes to was wanted, but another check does so now"
            raise BadFileError(self.path, problem) from error
        return self

    def note(self, number: int, answer: Answers | EndpointError) -> None:
        """Writes what came of one sample.

        Raises:
            BadFileError: The file cannot be written.
        """
        if isinstance(answer, EndpointError):
            shown: JsonObject = {"error": str(answer) or "no answer came"}
        else:
            shown = to_object(answer, 0)
        append(self.path, to_bytes({"sample": number, "time": self.now(), **shown}))


def start(path: Path, heading: Heading) -> Recorder:
    """Begins a record in a new file, which its owner alone can read.

    Raises:
        BadFileError: There is something already, or the file cannot be written.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError as error:
        raise BadFileError(path, EXISTS) from error
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error
    recorder = Recorder(path).hold()
    append(path, to_bytes({"schema": RECORD, **asdict(heading), "time": recorder.now()}))
    return recorder


def check_new(path: Path) -> None:
    """Makes sure, before anything is spent, that a record can be begun in a file.

    Raises:
        BadFileError: There is something already.
    """
    if path.is_symlink() or path.exists():
        raise BadFileError(path, EXISTS)


def resume(path: Path, heading: Heading) -> tuple[Recorder, Past]:
    """Goes on with a record.

    Args:
        path: The file. A last line that was half written is taken out of it.
        heading: Of what its answers have to be.

    Raises:
        BadFileError: The file is no record, one of other samples or of another endpoint, a line
            is malformed, somebody else goes on with it, or it cannot be read or written.
    """
    recorder = Recorder(path).hold()
    with ExitStack() as undo:
        undo.callback(recorder.release)
        content = read_file(path)
        whole = mended(content)
        check = check_heading(path, whole.partition(b"\n")[0], heading)
        lines = read_lines(path, whole, count=heading.samples)
        append(path, whole, start=min(len(content), len(whole)))
        undo.pop_all()
    answers = {number: said(entries) for number, entries in lines.items()}
    return recorder, Past(answers=answers, cut=len(whole) < len(content), check=check)


def mended(content: bytes) -> bytes:
    """A record that ends with a whole line.

    A last line that lacks nothing but its end is given it, since its answer came; any other that
    was not finished is left out.
    """
    tail = content.rpartition(b"\n")[2]
    if not tail:
        return content
    try:
        read_object(tail)
    except EndpointError:
        return content[: len(content) - len(tail)]
    return content + b"\n"


def said(lines: list[Answers]) -> Answers | EndpointError:
    """What the lines about one sample say, or the error that they contradict one another."""
    try:
        return settle(lines)
    except EndpointError as error:
        return error


def check_heading(path: Path, line: bytes, wanted: Heading) -> str | None:
    """Makes sure that a record is one of these samples, asked of this endpoint in this way.

    Returns:
        What the ledger of spent samples calls the check, if the heading says so.

    Raises:
        BadFileError: It is not.
    """
    try:
        content = read_object(line)
        schema, digest, endpoint = (
            text_at(content, key) for key in ("schema", "fingerprint", "endpoint")
        )
    except EndpointError as error:
        problem = f"a record was wanted, but its first line is no heading: {error}"
        raise BadFileError(path, problem) from error
    if schema != RECORD:
        raise BadFileError(path, f"{RECORD} was wanted, but {schema} came", field="schema")
    check_digest(path, digest, wanted.fingerprint)
    if endpoint != wanted.endpoint:
        problem = f"a record of {wanted.endpoint} was wanted, but it is of {endpoint}"
        raise BadFileError(path, problem, field="endpoint")
    if says_neighbours(content) != wanted.neighbours:
        names = {False: "the samples alone", True: "the samples and their neighbours"}
        problem = (
            f"a record of {names[wanted.neighbours]} was wanted, but it is of "
            f"{names[not wanted.neighbours]}"
        )
        raise BadFileError(path, problem, field="neighbours")
    check = content.get("check")
    return check if isinstance(check, str) else None


def says_neighbours(heading: JsonObject) -> bool:
    """Whether a heading says that answers may be those to neighbours; other programs need not."""
    return heading.get("neighbours", False) is not False


def check_digest(path: object, digest: object, wanted: str) -> None:
    """Makes sure that a record is one of a fingerprint.

    Raises:
        BadFileError: It is not.
    """
    if digest != wanted:
        problem = "a record of this fingerprint was wanted, but it is of another one"
        raise BadFileError(path, problem, field="fingerprint")


def check_record(path: Path, digest: str) -> None:
    """Makes sure that recorded answers, if they say of which fingerprint they are, are of this.

    Raises:
        BadFileError: They are of another one, or the file cannot be read.
    """
    with suppress(EndpointError):
        content = read_object(read_file(path).partition(b"\n")[0])
        if content.get("schema") == RECORD:
            check_digest(path, content.get("fingerprint"), digest)


def to_bytes(line: JsonObject) -> bytes:
    """An object as one line."""
    return f"{json.dumps(line, allow_nan=False)}\n".encode()


def append(path: Path, data: bytes, *, start: int | None = None) -> None:
    """Writes to the end of a file, and waits until it is on the disk.

    Args:
        path: The file.
        data: What comes at its end; with a start, what the whole of it shall be.
        start: Up to where it is that already; what comes after is cut off.

    Raises:
        BadFileError: The file cannot be written.
    """
    try:
        with path.open("ab", buffering=0) as file:
            if start is not None:
                file.truncate(start)
            file.write(data[start or 0 :])
            os.fsync(file.fileno())
    except OSError as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error
