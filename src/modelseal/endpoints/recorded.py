"""Recorded answers as an endpoint."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import starmap
from pathlib import Path
from weakref import finalize

import numpy as np

from modelseal.endpoints.jsonl import RECORD, read_entry, to_line, to_object
from modelseal.endpoints.responses import columns, join
from modelseal.endpoints.strict_json import JsonObject, read_object, text_at
from modelseal.errors import BadFileError, EndpointError
from modelseal.files import PRIVATE, explain, write_atomically
from modelseal.outputs.answers import Answers
from modelseal.types import Array, Codes

LARGEST = 64 * 2**20
"""The largest file that is read, in bytes: 1,000 samples of 1,000 scores take a third of it."""


class RecordedEndpoint:
    """Answers from a JSON-lines file, for whoever cannot reach the endpoint itself.

    Each line is one object, with the number of the sample and what was shown for it:
    `{"sample": 0, "labels": [3]}`, `{"sample": 0, "scores": [...]}`,
    `{"sample": 0, "probabilities": [...]}` or labels together with their probabilities. A
    `"time"` says when, `"digits"` with how many decimal digits numbers came. Blank lines, lines
    with an `"error"` in place of an answer, and the heading of a record (see `recording`) hold no
    answers. A line may come twice if it says the same.

    Args:
        path: The file.
        inputs: The inputs that the sample numbers count, from 0.

    Raises:
        BadFileError: The file cannot be read, or a line is malformed.
    """

    def __init__(self, path: Path, inputs: Codes) -> None:
        self.path = path
        self.samples = numbered(inputs)
        self.answers = read_lines(path, read_file(path), count=len(inputs))

    def ask(self, codes: Codes) -> Answers:
        """Looks each input up by its content.

        Raises:
            EndpointError: An input is none of the samples or has no line, lines contradict one
                another, or they do not all show the same.
        """
        try:
            return join([self.find(row) for row in codes])
        except EndpointError as error:
            raise error.at(str(self.path)) from error

    def find(self, row: Array) -> Answers:
        """The answer that was recorded for one input.

        Raises:
            EndpointError: There is none, or more than one.
        """
        numbers = self.samples.get(row.tobytes(), [])
        if not numbers:
            raise EndpointError("an answer was wanted for an input that is none of the samples")
        lines = [line for number in numbers for line in self.answers.get(number, [])]
        if not lines:
            raise EndpointError(f"sample {numbers[0]}: an answer was wanted, but none is recorded")
        try:
            return settle(lines)
        except EndpointError as error:
            raise error.at(f"sample {numbers[0]}") from error


def settle(lines: Sequence[Answers]) -> Answers:
    """What several lines about one sample say.

    Raises:
        EndpointError: They do not say the same.
    """
    if any(differ(lines[0], line) for line in lines[1:]):
        raise EndpointError("two lines contradict one another")
    return lines[0]


def record(answers: Answers, path: Path) -> None:
    """Writes answers as the JSON lines that `RecordedEndpoint` reads.

    Args:
        answers: One answer for each sample, in the samples' order.
        path: The file, which is replaced as a whole if it exists; a new one can be read by its
            owner alone.

    Raises:
        EndpointError: A number is an infinity or NaN.
        BadFileError: The file cannot be written.
    """
    lines = [f"{to_line(answers, row)}\n" for row in range(len(answers))]
    write_atomically(path, "".join(lines).encode())


def numbered(inputs: Codes) -> dict[bytes, list[int]]:
    """The numbers of the inputs with the same content, by that content."""
    numbers = defaultdict(list)
    for number, row in enumerate(inputs):
        numbers[row.tobytes()].append(number)
    return dict(numbers)


def read_lines(path: Path, content: bytes, *, count: int) -> dict[int, list[Answers]]:
    """Reads what a file of recorded answers says of each sample, in the order of its lines.

    Raises:
        BadFileError: A line is malformed.
    """
    answers = defaultdict(list)
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            entry = read_entry(line, count, heading=number == 1)
        except EndpointError as error:
            raise BadFileError(path, str(error), field=f"line {number}") from error
        if entry is not None:
            answers[entry[0]].append(entry[1])
    return dict(answers)


def read_file(path: Path) -> bytes:
    """A file's content.

    Raises:
        BadFileError: It cannot be read or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise BadFileError(path, f"at most {LARGEST} bytes were wanted, but there are more")
    return content


def differ(first: Answers, second: Answers) -> bool:
    """Whether two lines do not say the same."""
    pairs = zip(columns(first), columns(second), strict=True)
    return first.kind is not second.kind or not all(starmap(same, pairs))


def same(first: Array | None, second: Array | None) -> bool:
    """Whether two parts of lines are equal, or both missing."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


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
