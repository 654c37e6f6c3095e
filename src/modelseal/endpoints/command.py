"""A command that reads and writes JSON lines, as an endpoint."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from threading import Lock
from uuid import uuid4

import orjson

from modelseal.endpoints.child import Child
from modelseal.endpoints.grouping import ask_in_groups
from modelseal.endpoints.mapping import Mapping
from modelseal.endpoints.reading import name_of, read_object
from modelseal.endpoints.sending import Sending, as_json
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers
from modelseal.shapes import Codes


class CommandEndpoint:
    """Answers with what a program of its own writes.

    For each input the program is written one line, `{"id": "…", "input": …}`, and must write one
    line, an object with the same `id` and the answer; see `Mapping` for where it stands. It is
    started for the first input and kept for the next. What it complains of on its standard error
    is no answer. After a fault it is ended, and started anew for the next input.

    Args:
        arguments: The program and its arguments; no shell reads them.
        sending: How an input is written; bytes as base64.
        mapping: How an answer is read.
        folder: Where the program runs.
        timeout: How many seconds to wait for each answer, of which the first takes in the start.
            Who asks from several threads at once waits as long for a turn, and no longer.

    Raises:
        InvalidArgumentError: There is no program, or the timeout is not positive.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        sending: Sending,
        mapping: Mapping,
        folder: Path = Path(),
        timeout: float = 30.0,
    ) -> None:
        if not arguments:
            raise InvalidArgumentError("a program and its arguments were wanted, but none came")
        if not (isfinite(timeout) and timeout > 0):
            raise InvalidArgumentError(f"timeout needs positive seconds, but is {timeout}")
        self.arguments = tuple(arguments)
        self.sending = sending
        self.mapping = mapping
        self.folder = folder
        self.timeout = timeout
        self.child: Child | None = None
        # Who asks from several threads at once still asks one program, one line at a time.
        self.turn = Lock()

    def ask(self, codes: Codes) -> Answers:
        """Writes one line for each input.

        Raises:
            InvalidArgumentError: The codes are not valid in the domain, or there are none.
            PassingError: Other threads kept the program busy for too long.
            EndpointError: The program cannot be started, or gave no usable answer.
        """
        self.sending.domain.check(codes)
        try:
            with self.waiting():
                return self.ask_in_turn(codes)
        except EndpointError as error:
            raise error.at(self.arguments[0]) from error

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Waits for its turn, and gives it to the next at the end.

        Raises:
            PassingError: It did not come in time.
        """
        if not self.turn.acquire(timeout=self.timeout):
            raise PassingError(
                f"the command was busy with other inputs for {self.timeout:g} seconds"
            )
        try:
            yield
        finally:
            self.turn.release()

    def ask_in_turn(self, codes: Codes) -> Answers:
        """Writes one line for each input; after a fault the program is ended.

        Raises:
            EndpointError: The program cannot be started, or gave no usable answer.
        """
        try:
            return ask_in_groups(self.ask_once, codes, size=1)
        except EndpointError:
            self.close()
            raise

    def ask_once(self, codes: Codes) -> Answers:
        """Writes one line and reads the one that answers it.

        Raises:
            EndpointError: The program gave no usable answer.
        """
        if self.child is None:
            self.child = Child(self.arguments, folder=self.folder)
        # Nobody can foresee the name, so that no answer is written before it is asked for.
        request = uuid4().hex
        (value,) = as_json(self.sending.items(codes))
        line = orjson.dumps({"id": request, "input": value}, option=orjson.OPT_APPEND_NEWLINE)
        answer = read_object(self.child.exchange(line, seconds=self.timeout))
        if answer.get("id") != request:
            came = name_of(answer.get("id"))
            raise EndpointError(f"id: {name_of(request)} was wanted, but {came} came")
        return self.mapping.read(answer, count=1)

    def close(self) -> None:
        """Ends the program; a later question starts it anew."""
        if self.child is not None:
            self.child.close()
            self.child = None
