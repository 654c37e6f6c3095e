"""A program of its own that reads and writes lines, and is never left behind."""

import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import IO, cast
from uuid import uuid4
from weakref import finalize

import orjson

from modelseal.endpoints.encoding import Sending, as_json
from modelseal.endpoints.endpoint import ask_in_groups
from modelseal.endpoints.responses import AnswerMapping
from modelseal.endpoints.strict_json import name_of, read_object, shorten
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers
from modelseal.types import Codes

LARGEST = 64 * 2**20
"""The longest line that is read, in bytes."""

CHUNK = 2**16
PIPE = 2**20
KEPT = 2000
"""So much of what a program complains of is kept, in bytes."""

GRACE = 1.0
"""How many seconds a program may take to end by itself once nobody asks it any more."""


SECRETS = {
    "MODELSEAL_PASSPHRASE",
    "MODELSEAL_KEY_PASSPHRASE",
    # What signs as somebody, or as a job of GitHub or GitLab.
    "SIGSTORE_IDENTITY_TOKEN",
    "SIGSTORE_ID_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
}
"""What opens or signs fingerprints, which whoever answers samples must not have."""


class Child:
    """A program that answers each line with a line.

    It runs in a process group of its own, which ends with `close`, with the last use of this
    object, or with this program. It is given our environment without what opens or signs
    fingerprints.

    Args:
        arguments: The program and its arguments; no shell reads them.
        folder: Where it runs.

    Raises:
        EndpointError: It cannot be started.
    """

    def __init__(self, arguments: Sequence[str], *, folder: Path) -> None:
        try:
            self.process = subprocess.Popen(  # noqa: S603 (the owner's own program)
                list(arguments),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={key: value for key, value in os.environ.items() if key not in SECRETS},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise EndpointError(f"the command cannot be started: {reason}") from error
        self.release = finalize(self, end, self.process)
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        self.reading, self.writing, self.complaining = cast(tuple[IO[bytes], ...], pipes)
        self.answered = bytearray()
        self.complaint = b""
        for stream in (self.reading, self.writing, self.complaining):
            os.set_blocking(stream.fileno(), False)

    def close(self) -> None:
        """Ends the program and all that it started."""
        self.release()

    def exchange(self, line: bytes, *, seconds: float) -> bytes:
        """Writes a line and reads the one that answers it.

        Args:
            line: With its line break.
            seconds: How long to wait for the answer.

        Raises:
            EndpointError: The program ended, or wrote nothing in time, or too much, or without
                being asked.
        """
        deadline = monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.writing, selectors.EVENT_READ)
            selector.register(self.complaining, selectors.EVENT_READ)
            if any(key.fileobj is self.writing for key, _ in selector.select(0)):
                self.hear()
                raise EndpointError("the command wrote a line without being asked")
            selector.register(self.reading, selectors.EVENT_WRITE)
            rest = memoryview(line)
            while len(rest) or b"\n" not in self.answered:
                ready = selector.select(max(deadline - monotonic(), 0))
                if monotonic() >= deadline:
                    raise EndpointError(f"no answer came within {seconds:g} seconds")
                for key, _ in ready:
                    rest = self.attend(key.fileobj, rest, selector)
        return self.take()

    def attend(
        self, stream: object, rest: memoryview, selector: selectors.BaseSelector
    ) -> memoryview:
        """Reads or writes what can be, and gives what is left to be written.

        Raises:
            EndpointError: The program ended or reads no more, or wrote too much.
        """
        if stream is self.writing:
            self.hear()
        elif stream is self.complaining:
            self.listen(selector)
        else:
            try:
                rest = rest[os.write(self.reading.fileno(), rest[:CHUNK]) :]
            except OSError as error:
                raise self.ended() from error
            if not len(rest):
                selector.unregister(self.reading)
        return rest

    def hear(self) -> None:
        """Reads a part of an answer.

        Raises:
            EndpointError: The program ended, or the line is too long.
        """
        part = os.read(self.writing.fileno(), CHUNK)
        if not part:
            raise self.ended()
        self.answered += part
        if len(self.answered) > LARGEST:
            raise EndpointError(f"a line of at most {LARGEST} bytes was wanted, but more came")

    def listen(self, selector: selectors.BaseSelector) -> None:
        """Reads a complaint, which is no answer, and keeps its end."""
        part = os.read(self.complaining.fileno(), CHUNK)
        if not part:
            selector.unregister(self.complaining)
        self.complaint = (self.complaint + part)[-KEPT:]

    def take(self) -> bytes:
        """The line that came.

        Raises:
            EndpointError: More came than one line.
        """
        line, _, more = bytes(self.answered).partition(b"\n")
        self.answered.clear()
        if more:
            raise EndpointError("one line was wanted, but more came")
        return line

    def ended(self) -> EndpointError:
        """What is said of a program that ended: its code, and the last that it complained of."""
        # Once is enough, since no pipe holds more; another program may go on complaining for ever.
        with suppress(OSError):
            part = os.read(self.complaining.fileno(), PIPE)
            self.complaint = (self.complaint + part)[-KEPT:]
        self.close()
        lines = self.complaint.decode(errors="replace").split("\n")
        last = next((shorten(line) for line in reversed(lines) if line.strip()), "")
        said = f": {last}" if last else ""
        return EndpointError(f"the command ended with code {self.process.returncode}{said}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program and its group: by itself if it can, for nobody writes to it any more."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    deadline = monotonic() + GRACE
    # It is not waited for before its group has been ended: its number could be another's then.
    while running(process.pid) and monotonic() < deadline:
        sleep(0.01)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def running(pid: int) -> bool:
    """Whether a program that we started has not ended."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


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
        mapping: AnswerMapping,
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
