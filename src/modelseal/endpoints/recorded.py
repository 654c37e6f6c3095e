"""Recorded answers as an endpoint."""

import json
from collections import defaultdict
from itertools import starmap
from pathlib import Path

import numpy as np

from modelseal.endpoints.answering import columns, join
from modelseal.endpoints.reading import JsonObject, list_at, name_of, read_object, shorten, to_array
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers, Kind
from modelseal.outputs.comparing import finite
from modelseal.shapes import Array, Codes
from modelseal.writing import write_atomically

LARGEST = 64 * 2**20
"""The largest file that is read, in bytes: 1,000 samples of 1,000 scores take a third of it."""

FORMS = ({"labels"}, {"labels", "probabilities"}, {"probabilities"}, {"scores"})
"""The keys that a line may have beside its sample."""


class RecordedEndpoint:
    """Answers from a JSON-lines file, for whoever cannot reach the endpoint itself.

    Each line is one object, with the number of the sample and what was shown for it:
    `{"sample": 0, "labels": [3]}`, `{"sample": 0, "scores": [...]}`,
    `{"sample": 0, "probabilities": [...]}` or labels together with their probabilities.
    Blank lines are passed over. A line may come twice if it says the same.

    Args:
        path: The file.
        inputs: The inputs that the sample numbers count, from 0.

    Raises:
        BadFileError: The file cannot be read, or a line is malformed.
    """

    def __init__(self, path: Path, inputs: Codes) -> None:
        self.path = path
        self.samples = numbered(inputs)
        self.answers = read_lines(path, count=len(inputs))

    def ask(self, codes: Codes) -> Answers:
        """Looks each input up by its content.

        Raises:
            EndpointError: An input is none of the samples or has no line, lines contradict one
                another, or they do not all show the same.
        """
        try:
            return join([self.find(row) for row in codes])
        except EndpointError as error:
            raise EndpointError(f"{self.path}: {error}") from error

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
        if any(differ(lines[0], line) for line in lines[1:]):
            raise EndpointError(f"sample {numbers[0]}: two lines contradict one another")
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


def to_line(answers: Answers, row: int) -> str:
    """One input's answer as one line, every number in full.

    Raises:
        EndpointError: A number is an infinity or NaN.
    """
    line: JsonObject = {"sample": row}
    if answers.labels is not None:
        line["labels"] = answers.labels[row].tolist()
    if answers.values is not None:
        key = "scores" if answers.kind is Kind.SCORES else "probabilities"
        line[key] = finite(answers.values[row]).tolist()
    return json.dumps(line)


def numbered(inputs: Codes) -> dict[bytes, list[int]]:
    """The numbers of the inputs with the same content, by that content."""
    numbers = defaultdict(list)
    for number, row in enumerate(inputs):
        numbers[row.tobytes()].append(number)
    return dict(numbers)


def read_lines(path: Path, *, count: int) -> dict[int, list[Answers]]:
    """Reads a file of recorded answers: what its lines say of each sample.

    Raises:
        BadFileError: The file cannot be read, is too large, or a line is malformed.
    """
    answers = defaultdict(list)
    for number, line in enumerate(read_file(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            sample, shown = read_line(line, count)
        except EndpointError as error:
            raise BadFileError(path, str(error), field=f"line {number}") from error
        answers[sample].append(shown)
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


def read_line(line: bytes, count: int) -> tuple[int, Answers]:
    """Reads one line: the sample's number and what was shown for it.

    Raises:
        EndpointError: The line is malformed, or there is no such sample.
    """
    content = read_object(line)
    sample = content.pop("sample", None)
    if type(sample) is not int or not 0 <= sample < count:
        raise EndpointError(f"sample: 0 to {count - 1} was wanted, but {name_of(sample)} came")
    if set(content) not in FORMS:
        keys = ", ".join(map(shorten, content)) or "nothing"
        raise EndpointError(
            f"labels, labels and probabilities, probabilities or scores were wanted, not {keys}"
        )
    return sample, to_answers({key: read_numbers(content, key) for key in content})


def read_numbers(content: JsonObject, key: str) -> Array:
    """A row of numbers, with a batch axis.

    Raises:
        EndpointError: There is no list, an empty one, or one of other things.
    """
    items = list_at(content, key)
    if not items:
        raise EndpointError(f"{key}: at least one number was wanted, but none came")
    try:
        return to_array(items, np.dtype(np.int64 if key == "labels" else np.float64))[None]
    except EndpointError as error:
        raise EndpointError(f"{key}: {error}") from error


def to_answers(parts: dict[str, Array]) -> Answers:
    """The parts of one line as an answer.

    Raises:
        EndpointError: Labels and probabilities are not of one number.
    """
    if "scores" in parts:
        return Answers(kind=Kind.SCORES, values=parts["scores"])
    labels, values = parts.get("labels"), parts.get("probabilities")
    if labels is None:
        return Answers(kind=Kind.PROBABILITIES, values=values)
    if values is not None and values.shape != labels.shape:
        raise EndpointError(
            f"probabilities: {labels.size} numbers were wanted, but {values.size} came"
        )
    return Answers(kind=Kind.LABELS, labels=labels, values=values)


def differ(first: Answers, second: Answers) -> bool:
    """Whether two lines do not say the same."""
    pairs = zip(columns(first), columns(second), strict=True)
    return first.kind is not second.kind or not all(starmap(same, pairs))


def same(first: Array | None, second: Array | None) -> bool:
    """Whether two parts of lines are equal, or both missing."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)
