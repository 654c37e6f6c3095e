"""Recorded answers: as an endpoint, and as a record that a check writes and may go on with."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from weakref import finalize

import numpy as np

from modelseal.endpoints.responses import columns, join
from modelseal.endpoints.strict_json import (
    JsonObject,
    list_at,
    name_of,
    read_object,
    shorten,
    text_at,
    to_array,
)
from modelseal.errors import BadFileError, EndpointError
from modelseal.files import PRIVATE, explain, read_bytes, write_atomically
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparison import finite
from modelseal.types import Array, Codes

RECORD = "modelseal.record/1"  # the schema that the heading of a record names

# The largest file that is read, in bytes: 1,000 samples of 1,000 scores take a third of it.
LARGEST = 64 * 2**20

# No float64 has more decimal digits that say something than fit into this.
_MOST_DIGITS = 400

# The keys of a line that are no part of the answer, and those that it may have beside them.
_BESIDE = {"sample", "time", "digits"}
_FORMS = ({"labels"}, {"labels", "probabilities"}, {"probabilities"}, {"scores"})

_EXISTS = "expected a new file for a record, got one that exists: --resume goes on with it"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Line:
    """What one line says of a sample."""

    sample: int
    answer: Answers | None = None
    error: str = ""
    time: str | None = None


def to_object(answers: Answers, row: int) -> JsonObject:
    """One input's answer as the parts of a line, every number in full."""
    line: JsonObject = {}
    if answers.labels is not None:
        line["labels"] = answers.labels[row].tolist()
    if answers.values is not None:
        key = "scores" if answers.kind is Kind.SCORES else "probabilities"
        line[key] = finite(answers.values[row]).tolist()
    if answers.digits is not None:
        line["digits"] = answers.digits
    return line


def _to_line(content: JsonObject) -> bytes:
    """An object as one line."""
    return f"{json.dumps(content, allow_nan=False)}\n".encode()


def read_lines(content: bytes, *, count: int, name: object) -> tuple[JsonObject, list[Line]]:
    """Reads recorded answers, in the order of their lines. Blank lines say nothing."""
    heading: JsonObject = {}
    lines = []
    for number, text in enumerate(content.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            found = read_object(text)
            if number == 1 and found.get("schema") == RECORD:
                heading = found
            else:
                lines.append(_read_line(found, count))
        except EndpointError as error:
            raise BadFileError(name, str(error), field=f"line {number}") from error
    return heading, lines


def _read_line(content: JsonObject, count: int) -> Line:
    sample = content.get("sample")
    if type(sample) is not int or not 0 <= sample < count:
        raise EndpointError(f"sample: expected 0 to {count - 1}, got {name_of(sample)}")
    time = text_at(content, "time") if "time" in content else None
    if "error" in content:
        error = text_at(content, "error") or "no answer came"
        return Line(sample=sample, error=error, time=time)
    return Line(sample=sample, answer=_read_answer(content), time=time)


def _read_answer(content: JsonObject) -> Answers:
    keys = content.keys() - _BESIDE
    if keys not in _FORMS:
        came = ", ".join(map(shorten, sorted(keys))) or "nothing"
        raise EndpointError(
            f"expected labels, labels and probabilities, probabilities or scores, got {came}"
        )
    answer = _to_answers({key: _read_numbers(content, key) for key in keys})
    return replace(answer, digits=_read_digits(content))


def _read_numbers(content: JsonObject, key: str) -> Array:
    items = list_at(content, key)
    if not items:
        raise EndpointError(f"{key}: expected at least one number, got none")
    try:
        return to_array(items, np.dtype(np.int64 if key == "labels" else np.float64))[None]
    except EndpointError as error:
        raise error.at(key) from error


def _to_answers(parts: dict[str, Array]) -> Answers:
    if "scores" in parts:
        return Answers(kind=Kind.SCORES, values=parts["scores"])
    labels, values = parts.get("labels"), parts.get("probabilities")
    if labels is None:
        return Answers(kind=Kind.PROBABILITIES, values=values)
    if values is not None and values.shape != labels.shape:
        raise EndpointError(f"probabilities: expected {labels.size} numbers, got {values.size}")
    return Answers(kind=Kind.LABELS, labels=labels, values=values)


def _read_digits(content: JsonObject) -> int | None:
    """With how many decimal digits numbers came; nothing if the line does not say."""
    digits = content.get("digits")
    if "digits" not in content:
        return None
    if type(digits) is not int or not 0 <= digits <= _MOST_DIGITS:
        raise EndpointError(f"digits: expected 0 to {_MOST_DIGITS}, got {name_of(digits)}")
    return digits


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
    lines = [_to_line({"sample": row, **to_object(answers, row)}) for row in range(len(answers))]
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
        _append(self.path, _to_line({"sample": number, "time": self.now(), **shown}))


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
    _append(path, _to_line({"schema": RECORD, **asdict(heading), "time": recorder.now()}))
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
