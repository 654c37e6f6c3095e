"""Recorded answers as an endpoint."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import starmap
from pathlib import Path

import numpy as np

from modelseal.endpoints.answer_lines import read_entry, to_line
from modelseal.endpoints.answering import columns, join
from modelseal.errors import BadFileError, EndpointError
from modelseal.outputs.answers import Answers
from modelseal.shapes import Array, Codes
from modelseal.writing import write_atomically

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
