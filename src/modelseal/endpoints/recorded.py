"""Recorded answers: as an endpoint, and as a record that a check writes and may go on with."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from weakref import finalize

import numpy as np

from modelseal.endpoints.jsonl import LARGEST, RECORD, Line, read_lines, to_line, to_object
from modelseal.endpoints.responses import columns, join
from modelseal.endpoints.strict_json import JsonObject, read_object, text_at
from modelseal.errors import BadFileError, EndpointError
from modelseal.files import PRIVATE, explain, read_bytes, write_atomically
from modelseal.outputs.answers import Answers
from modelseal.types import Array, Codes

_EXISTS = "expected a new file for a record, got one that exists: --resume goes on with it"


class RecordedEndpoint:
    """Answers from a JSON-lines file, for whoever cannot reach the endpoint itself.

    Each line is one object, with the number of the sample and what was shown for it:
    `{"sample": 0, "labels": [3]}`, `{"sample": 0, "scores": [...]}`,
    `{"sample": 0, "probabilities": [...]}` or labels together with their probabilities. A
    `"time"` says when, `"digits"` with how many decimal digits numbers came. Blank lines, lines
    with an `"error"` in place of an answer, and the heading of a record hold no answers. A line
    may come twice if it says the same.
    """

    def __init__(self, path: Path, inputs: Codes) -> None:
        self.name = str(path)
        self._samples: dict[bytes, list[int]] = defaultdict(list)
        for number, row in enumerate(inputs):
            self._samples[row.tobytes()].append(number)
        _, lines = read_lines(read_bytes(path, most=LARGEST), count=len(inputs), name=path)
        self._answers = _group(lines)

    def ask(self, codes: Codes) -> Answers:
        """Looks each input up by its content."""
        try:
            return join([self._find(row) for row in codes])
        except EndpointError as error:
            raise error.at(self.name) from error

    def _find(self, row: Array) -> Answers:
        numbers = self._samples.get(row.tobytes(), [])
        if not numbers:
            raise EndpointError("expected one of the samples, got another input")
        answers = [answer for number in numbers for answer in self._answers.get(number, [])]
        if not answers:
            raise EndpointError(f"sample {numbers[0]}: expected a recorded answer, got none")
        try:
            return settle(answers)
        except EndpointError as error:
            raise error.at(f"sample {numbers[0]}") from error


def _group(lines: Sequence[Line]) -> dict[int, list[Answers]]:
    """The answers by sample, without errors."""
    answers: dict[int, list[Answers]] = defaultdict(list)
    for line in lines:
        if line.answer is not None:
            answers[line.sample].append(line.answer)
    return answers


def settle(answers: Sequence[Answers]) -> Answers:
    """The one answer that several lines about a sample give."""
    first = answers[0]
    for other in answers[1:]:
        pairs = zip(columns(first), columns(other), strict=True)
        if first.kind is not other.kind or not all(_same(*pair) for pair in pairs):
            raise EndpointError("two lines contradict one another")
    return first


def _same(first: Array | None, second: Array | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def record(answers: Answers, path: Path) -> None:
    """Writes answers as the JSON lines that `RecordedEndpoint` reads."""
    lines = [to_line({"sample": row, **to_object(answers, row)}) for row in range(len(answers))]
    write_atomically(path, b"".join(lines))


def stamp() -> str:
    """What time it is, in UTC to the millisecond.

    Examples:
        >>> stamp()[4:20:3]
        '--T::.'
    """
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """Of what the answers of a record are."""

    fingerprint: str
    samples: int
    endpoint: str
    neighbours: bool = False
    check: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Past:
    """What a record holds already."""

    answers: dict[int, Answers | EndpointError] = field(default_factory=dict)
    cut: bool = False
    check: str | None = None


class Recorder:
    """Writes answers to the end of a file, each on the disk before the next is asked.

    It keeps others from writing to the same file, until `release` or its last use.
    """

    def __init__(self, path: Path, *, now: Callable[[], str] = stamp) -> None:
        self.path = path
        self.now = now
        self.release = _lock(self)

    def note(self, number: int, answer: Answers | EndpointError) -> None:
        """Writes what came of one sample."""
        if isinstance(answer, EndpointError):
            shown: JsonObject = {"error": str(answer) or "no answer came"}
        else:
            shown = to_object(answer, 0)
        _append(self.path, to_line({"sample": number, "time": self.now(), **shown}))


def _lock(recorder: Recorder) -> Callable[[], object]:
    """Locks a recorder's file and returns what unlocks it."""
    path = recorder.path
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ModuleNotFoundError:  # not every system has it, and one process needs none
        return lambda: None
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {explain(error)}") from error
    release = finalize(recorder, os.close, file)
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError as error:
        release()
        raise BadFileError(path, "another check is writing to this record now") from error
    return release


def check_new(path: Path) -> None:
    """Makes sure, before anything is spent, that a record can be begun in a file."""
    if path.is_symlink() or path.exists():
        raise BadFileError(path, _EXISTS)


def start(path: Path, heading: Heading) -> Recorder:
    """Begins a record in a new file, which its owner alone can read."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError as error:
        raise BadFileError(path, _EXISTS) from error
    except (OSError, ValueError) as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error
    recorder = Recorder(path)
    _append(path, to_line({"schema": RECORD, **asdict(heading), "time": recorder.now()}))
    return recorder


def resume(path: Path, heading: Heading) -> tuple[Recorder, _Past]:
    """Goes on with a record."""
    recorder = Recorder(path)
    with ExitStack() as undo:
        undo.callback(recorder.release)
        content = read_bytes(path, most=LARGEST)
        whole = _mend(content)
        check = _check_heading(path, whole.partition(b"\n")[0], heading)
        _, lines = read_lines(whole, count=heading.samples, name=path)
        _append(path, whole, start=min(len(content), len(whole)))
        undo.pop_all()
    answers = {number: _settle_or_error(found) for number, found in _group(lines).items()}
    return recorder, _Past(answers=answers, cut=len(whole) < len(content), check=check)


def _mend(content: bytes) -> bytes:
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


def _settle_or_error(answers: Sequence[Answers]) -> Answers | EndpointError:
    try:
        return settle(answers)
    except EndpointError as error:
        return error


def _check_heading(path: Path, line: bytes, expected: Heading) -> str | None:
    """Makes sure that a record is one of these samples, asked of this endpoint in this way.

    Returns what the ledger of spent samples calls the check, if the heading says so.
    """
    try:
        content = read_object(line)
        schema, digest, endpoint = (
            text_at(content, key) for key in ("schema", "fingerprint", "endpoint")
        )
    except EndpointError as error:
        raise BadFileError(path, f"expected the heading of a record: {error}") from error
    if schema != RECORD:
        raise BadFileError(path, f"expected {RECORD}, got {schema}", field="schema")
    check_digest(path, digest, expected.fingerprint)
    if endpoint != expected.endpoint:
        problem = f"expected a record of {expected.endpoint}, got one of {endpoint}"
        raise BadFileError(path, problem, field="endpoint")
    if (neighbours := says_neighbours(content)) != expected.neighbours:
        problem = f"expected {expected.neighbours}, got {neighbours}".lower()
        raise BadFileError(path, problem, field="neighbours")
    check = content.get("check")
    return check if isinstance(check, str) else None


def says_neighbours(heading: JsonObject) -> bool:
    """Whether a heading says that answers may be those to neighbours; other programs need not."""
    return heading.get("neighbours", False) is not False


def check_digest(path: object, digest: object, expected: str) -> None:
    """Makes sure that a record is one of a fingerprint."""
    if digest != expected:
        problem = "expected a record of this fingerprint, got one of another"
        raise BadFileError(path, problem, field="fingerprint")


def check_record(path: Path, digest: str) -> None:
    """Makes sure that recorded answers, if they say of which fingerprint they are, are of this."""
    with suppress(EndpointError):
        content = read_object(read_bytes(path, most=LARGEST).partition(b"\n")[0])
        if content.get("schema") == RECORD:
            check_digest(path, content.get("fingerprint"), digest)


def _append(path: Path, data: bytes, *, start: int | None = None) -> None:
    """Writes to the end of a file, and waits until it is on the disk.

    With a start, the file shall be `data` as a whole, and is so up to there; the rest is cut off.
    """
    try:
        with path.open("ab", buffering=0) as file:
            if start is not None:
                file.truncate(start)
            file.write(data[start or 0 :])
            os.fsync(file.fileno())
    except OSError as error:
        raise BadFileError(path, f"cannot be written: {explain(error)}") from error
