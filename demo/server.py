"""Serves a network with MLServer, in a process of its own.

```python
with serve(Path("model.toml"), folder=Path("served")) as url:
    endpoint = OipEndpoint(url, domain)
```
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

HOST = "127.0.0.1"
"""The server listens on this machine only."""

PATIENCE = 90.0
"""How many seconds a server may take to be ready: 8 alone, much more on a busy machine."""

GRACE = 10.0
"""How many seconds a server may take to stop by itself: 1 to 4 as a rule."""


class ServingError(RuntimeError):
    """The server did not come up; the text ends with the last lines of its log."""


class serve:  # noqa: N801 (used as a verb)
    """Starts MLServer on entering a `with` block, gives the model's URL, and stops it on leaving.

    The server and all that it starts are one process group, so that nothing is left behind. Its
    settings and its log, `server.log`, stay in the folder.

    Args:
        model_toml: The model.toml of the network, read when the server starts.
        folder: Where settings and log are written; made if it is not there.
        name: What the server calls the model.
        datatype: How the model takes its inputs: FP32 as values within the bounds of the model's
            inputs, UINT8 as level numbers.

    Raises:
        ServingError: The server did not get ready.
    """

    def __init__(
        self,
        model_toml: Path,
        *,
        folder: Path,
        name: str = "model",
        datatype: Literal["FP32", "UINT8"] = "FP32",
    ) -> None:
        self.model_toml = model_toml.resolve()
        self.folder = folder.resolve()
        self.name = name
        self.datatype = datatype

    def __enter__(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.grpc_port, metrics_port = free_ports(3)
        self.write("settings.json", server_settings(self.port, self.grpc_port, metrics_port))
        self.write("model-settings.json", self.model_settings())
        self.process = self.start()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return f"http://{HOST}:{self.port}/v2/models/{self.name}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def write(self, file: str, settings: dict[str, Any]) -> None:
        """Writes one of the server's settings files."""
        (self.folder / file).write_text(json.dumps(settings, indent=2), encoding="utf-8")

    def model_settings(self) -> dict[str, Any]:
        """What the server needs to know of the model, with the metadata that it gives."""
        shape = tomllib.loads(self.model_toml.read_text(encoding="utf-8"))["input"]["shape"]
        return {
            "name": self.name,
            "implementation": "mlserver_runtime.NetworkRuntime",
            "parameters": {"uri": str(self.model_toml)},
            "inputs": [{"name": "input", "datatype": self.datatype, "shape": [-1, *shape]}],
            "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, -1]}],
        }

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the server as the head of a process group of its own."""
        paths = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
        with (self.folder / "server.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mlserver.cli.main", "start", str(self.folder)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Waits until the model is ready.

        Raises:
            ServingError: The server ended before, or took too long.
        """
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            if self.process.poll() is not None:
                raise ServingError(f"the server ended before it was ready:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServingError(f"not ready within {PATIENCE:g} seconds:\n{self.log_tail()}")
            time.sleep(0.1)

    def ready(self) -> bool:
        """Whether the server says that the model is ready."""
        connection = HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", f"/v2/models/{self.name}/ready")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):  # not listening yet
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends the process group, by force if it does not end by itself."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the server's log."""
        text = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def server_settings(http_port: int, grpc_port: int, metrics_port: int) -> dict[str, Any]:
    """What the server needs to know of itself; no workers, so that one process does it all."""
    ports = {"http_port": http_port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    return {"host": HOST, **ports, "parallel_workers": 0, "debug": False}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, each another one."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
