"""A program of its own as an endpoint: it reads and writes lines, and is never left behind."""

import os
import selectors
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import IO, cast
from uuid import uuid4
from weakref import finalize

import orjson

from modelseal.endpoints.endpoint import ConnectedEndpoint
from modelseal.endpoints.requests import InputFormat, as_json
from modelseal.endpoints.responses import AnswerFormat
from modelseal.endpoints.strict_json import name_of, read_object, shorten
from modelseal.errors import EndpointError, InvalidArgumentError, PassingError
from modelseal.outputs.answers import Answers
from modelseal.timeouts import TIMEOUT
from modelseal.types import Codes

LARGEST = 64 * 2**20  # the longest line that is read, in bytes

_CHUNK = 2**16
_PIPE = 2**20
# So much of what a program complains of is kept, in bytes.
_KEPT = 2000
# How many seconds a program may take to end by itself once nobody asks it any more.
_GRACE = 1.0

# What opens or signs fingerprints, or signs as a job of GitHub or GitLab: whoever answers samples
# must not have it.
_SECRETS = {
    "MODELSEAL_PASSPHRASE",
    "MODELSEAL_KEY_PASSPHRASE",
    "SIGSTORE_IDENTITY_TOKEN",
    "SIGSTORE_ID_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
}


class Child:
    """A program that answers each line with a line.

    It runs in a process group of its own, which ends with `close`, with the last use of this
    object, or with this program. It is given our environment without what opens or signs
    fingerprints.
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
                env={key: value for key, value in os.environ.items() if key not in _SECRETS},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise EndpointError(f"the command cannot be started: {reason}") from error
        self.close = finalize(self, _end, self.process)
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        self._stdin, self._stdout, self._stderr = cast(tuple[IO[bytes], ...], pipes)
        self._answer = bytearray()
        self.complaint = b""
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)

    def exchange(self, line: bytes, *, seconds: float) -> bytes:
        """Writes a line and reads the one that answers it."""
        deadline = monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            if any(key.fileobj is self._stdout for key, _ in selector.select(0)):
                self._read_answer()
                raise EndpointError("the command wrote a line without being asked")
            selector.register(self._stdin, selectors.EVENT_WRITE)
            rest = memoryview(line)
            while len(rest) or b"\n" not in self._answer:
                ready = selector.select(max(deadline - monotonic(), 0))
                if monotonic() >= deadline:
                    raise EndpointError(f"expected an answer, got none within {seconds:g} seconds")
                for key, _ in ready:
                    rest = self._attend(key.fileobj, rest, selector)
        answer, _, more = bytes(self._answer).partition(b"\n")
        self._answer.clear()
        if more:
            raise EndpointError("expected one line, got more")
        return answer

    def _attend(
        self, stream: object, rest: memoryview, selector: selectors.BaseSelector
    ) -> memoryview:
        """Reads or writes what can be, and returns what is left to be written."""
        if stream is self._stdout:
            self._read_answer()
        elif stream is self._stderr:
            if not self._read_complaint(_CHUNK):
                selector.unregister(self._stderr)
        else:
            try:
                rest = rest[os.write(self._stdin.fileno(), rest[:_CHUNK]) :]
            except OSError as error:
                raise self._ended() from error
            if not len(rest):
                selector.unregister(self._stdin)
        return rest

    def _read_answer(self) -> None:
        part = os.read(self._stdout.fileno(), _CHUNK)
        if not part:
            raise self._ended()
        self._answer += part
        if len(self._answer) > LARGEST:
            raise EndpointError(f"expected a line of at most {LARGEST} bytes, got more")

    def _read_complaint(self, size: int) -> bytes:
        part = os.read(self._stderr.fileno(), size)
        self.complaint = (self.complaint + part)[-_KEPT:]
        return part

    def _ended(self) -> EndpointError:
        """What is said of a program that ended: its code, and the last that it complained of."""
        # Once is enough, since no pipe holds more; another program may go on complaining for ever.
        with suppress(OSError):
            self._read_complaint(_PIPE)
        self.close()
        lines = self.complaint.decode(errors="replace").split("\n")
        last = next((shorten(line) for line in reversed(lines) if line.strip()), "")
        said = f": {last}" if last else ""
        return EndpointError(f"the command ended with code {self.process.returncode}{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program and its group: by itself if it can, for nobody writes to it any more."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    deadline = monotonic() + _GRACE
    # It is not waited for before its group has been ended: its number could be another's then.
    while is_running(process.pid) and monotonic() < deadline:
        sleep(0.01)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def is_running(pid: int) -> bool:
    """Whether a program that we started has not ended."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


class CommandEndpoint(ConnectedEndpoint[Child]):
    """Answers with what a program of its own writes.

    For each input the program is written one line, `{"id": "…", "input": …}`, and must write one
    line, an object with the same `id` and the answer; see `AnswerFormat` for where it stands. It
    is started for the first input and kept for the next. What it complains of on its standard
    error is no answer. After a fault it is ended, and started anew for the next input.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        inputs: InputFormat,
        answers: AnswerFormat,
        folder: Path = Path(),
        timeout: float = TIMEOUT,
    ) -> None:
        if not arguments:
            raise InvalidArgumentError("expected a program and its arguments, got none")
        super().__init__(arguments[0], inputs.domain, timeout=timeout)
        self.arguments = tuple(arguments)
        self.inputs = inputs
        self.answers = answers
        self.folder = folder
        # Who asks from several threads at once still asks one program, one line at a time.
        self._turn = Lock()

    def _open(self) -> Child:
        return Child(self.arguments, folder=self.folder)

    def _batch_size(self) -> int:
        return 1

    def _ask_batch(self, codes: Codes) -> Answers:
        if not self._turn.acquire(timeout=self.timeout):
            raise PassingError(f"the command was busy for {self.timeout:g} seconds")
        try:
            return self._ask_one(codes)
        except EndpointError:
            self.close()
            raise
        finally:
            self._turn.release()

    def _ask_one(self, codes: Codes) -> Answers:
        # Nobody can foresee the name, so that no answer is written before it is asked for.
        request = uuid4().hex
        (value,) = as_json(self.inputs.encode(codes))
        line = orjson.dumps({"id": request, "input": value}, option=orjson.OPT_APPEND_NEWLINE)
        answer = read_object(self._connect().exchange(line, seconds=self.timeout))
        if answer.get("id") != request:
            raise EndpointError(f"id: expected {request}, got {name_of(answer.get('id'))}")
        return self.answers.read(answer, count=1)
