"""Keeping every answer as soon as it came, in a file that only grows.

The first line is the heading, which says of what the answers are. Each further line is one sample
with its answer, in the form that `recorded` reads, or with an error in the place of it. The form
is described in `docs/json.md` as `modelseal.record/1`.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from modelseal.endpoints.answer_lines import RECORD, to_object
from modelseal.endpoints.reading import JsonObject, read_object, text_at
from modelseal.endpoints.recorded import read_file, read_lines, settle
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers
from modelseal.writing import PRIVATE, explain


def moment() -> str:
    """What time it is, in UTC to the millisecond.

    Examples:
        >>> moment()[4::3]
        '--T::.Z'
    """
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """Of what the answers of a record are.

    Args:
        fingerprint: The digest of the fingerprint whose samples were asked.
        samples: How many it holds.
        endpoint: What was asked, without secrets.
    """

    fingerprint: str
    samples: int
    endpoint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What a record holds already.

    Args:
        answers: What came of each sample: its answer, or the error that stands for answers that
            contradict one another.
        cut: Whether the last line was half written, as after a crash, and was taken out.
    """

    answers: dict[int, Answers | EndpointError] = field(default_factory=dict)
    cut: bool = False


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
        problem = (
            "a new file was wanted for a record, but this one exists: --resume goes on with it"
        )
        raise BadFileError(path, problem) from error
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error
    recorder = Recorder(path)
    append(path, to_bytes({"schema": RECORD, **asdict(heading), "time": recorder.now()}))
    return recorder


def resume(path: Path, heading: Heading) -> tuple[Recorder, Past]:
    """Goes on with a record.

    Args:
        path: The file. A last line that was half written is taken out of it.
        heading: Of what its answers have to be.

    Raises:
        BadFileError: The file is no record, one of other samples or of another endpoint, a line
            is malformed, or it cannot be read or written.
    """
    content = read_file(path)
    whole = mended(content)
    check_heading(path, whole.partition(b"\n")[0], heading)
    lines = read_lines(path, whole, count=heading.samples)
    append(path, whole, start=min(len(content), len(whole)))
    answers = {number: said(entries) for number, entries in lines.items()}
    return Recorder(path), Past(answers=answers, cut=len(whole) < len(content))


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


def check_heading(path: Path, line: bytes, wanted: Heading) -> None:
    """Makes sure that a record is one of these samples and this endpoint.

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


def check_digest(path: Path, digest: object, wanted: str) -> None:
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
