"""Starts real servers of a small network, each in a process group and an environment of its own.

The environments are made by `make test`, in `.servers/`. Every server listens on this machine
only, on ports that nobody else uses, and is gone when its `with` block ends.
"""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deployed import SHAPE, write_deployment
from server import HOST, free_ports, serve

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "servers"
NAME = "digits"

PATIENCE = 90.0
"""How many seconds a server may take to be ready: 5 to 17 alone, much more on a busy machine."""

GRACE = 10.0
"""How many seconds a server may take to stop by itself: 1 to 4 as a rule."""

CONFIGURATION = f"""
backend: "python"
max_batch_size: 0
input [{{ name: "input" data_type: TYPE_FP32 dims: {[-1, *SHAPE]} }}]
output [{{ name: "scores" data_type: TYPE_FP32 dims: [-1, 10] }}]
instance_group [{{ kind: KIND_CPU }}]
version_policy {{ all {{ }} }}
"""


class NotServingError(RuntimeError):
    """A server did not come up; the text ends with the last lines of its log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Where a server listens: `http://host:port`, and `host:port` for gRPC if it speaks it."""

    http: str
    grpc: str = ""
    folder: Path


def python_of(server: str) -> Path:
    """The Python of a server's environment; skips without it, but fails where CI is set."""
    python = ROOT / ".servers" / server / "bin" / "python"
    if not (python.parents[1] / "installed").is_file():
        missing = f"{server} is not installed: make .servers/{server}/installed"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return python


@contextmanager
def mlserver(folder: Path, *, tampered: bool) -> Iterator[Served]:
    """MLServer of this environment: version 2 over HTTP and gRPC."""
    toml = write_deployment(folder / "model", tampered=tampered)
    server = serve(toml, folder=folder, name=NAME)
    with server as url:
        http = url.partition("/v2/")[0]
        yield Served(http=http, grpc=f"{HOST}:{server.grpc_port}", folder=folder)


@contextmanager
def kserve(folder: Path, *, tampered: bool) -> Iterator[Served]:
    """KServe's own server: version 1 over HTTP, version 2 over HTTP and gRPC."""
    python = python_of("kserve")
    model = write_deployment(folder / "model", tampered=tampered).parent
    port, grpc_port = free_ports(2)
    served = Served(http=f"http://{HOST}:{port}", grpc=f"{HOST}:{grpc_port}", folder=folder)
    script = SCRIPTS / "kserve_server.py"
    command = [python, script, model, NAME, str(port), str(grpc_port)]
    with running(command, folder=folder, ready=f"{served.http}/v2/models/{NAME}/ready"):
        yield served


@contextmanager
def mlflow(folder: Path, *, tampered: bool) -> Iterator[Served]:
    python = python_of("mlflow")
    model = write_deployment(folder / "model", tampered=tampered).parent
    (port,) = free_ports(1)
    served = Served(http=f"http://{HOST}:{port}", folder=folder)
    # It starts its children by name, and would keep books in the working folder.
    names = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": (folder / "books").as_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [python, SCRIPTS / "mlflow_server.py", model, str(port)]
    with running(command, folder=folder, ready=f"{served.http}/ping", names=names):
        yield served


@contextmanager
def triton(folder: Path, *, tampered: bool) -> Iterator[Served]:
    """NVIDIA Triton: version 2 over HTTP, with tensors as JSON or bytes, and over gRPC."""
    python = python_of("triton")
    put_version(folder, 1, tampered=tampered)
    (folder / "repository" / NAME / "config.pbtxt").write_text(CONFIGURATION, encoding="utf-8")
    port, grpc_port = free_ports(2)
    served = Served(http=f"http://{HOST}:{port}", grpc=f"{HOST}:{grpc_port}", folder=folder)
    wheel = Path(next(python.parents[1].glob("lib/python*/site-packages/pytriton/tritonserver")))
    command = [
        wheel / "bin" / "tritonserver",
        f"--model-repository={folder / 'repository'}",
        f"--backend-directory={link_backend(wheel, folder / 'backends')}",
        *(f"--{kind}-address={HOST}" for kind in ("http", "grpc")),
        f"--http-port={port}",
        f"--grpc-port={grpc_port}",
        "--allow-metrics=false",
        "--model-control-mode=explicit",
        f"--load-model={NAME}",
        "--exit-timeout-secs=3",
    ]
    # The backend finds its packages by the first Python of the path, and must not take the
    # system's libpython for that of this Python's standard library.
    names = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
    }
    ready = f"{served.http}/v2/models/{NAME}/ready"
    with running(command, folder=folder, ready=ready, names=names):
        yield served


def put_version(folder: Path, version: int, *, tampered: bool) -> None:
    made = write_deployment(folder / f"model-{version}", tampered=tampered).parent
    target = folder / "repository" / NAME / str(version)
    target.mkdir(parents=True)
    (made / "weights.npz").rename(target / "weights.npz")
    (target / "model.py").write_bytes((SCRIPTS / "triton_model.py").read_bytes())


def link_backend(wheel: Path, folder: Path) -> Path:
    """Triton's Python backend with the stub for this Python, which the wheel keeps apart."""
    (folder / "python").mkdir(parents=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = wheel / "python_backend_stubs" / version / "triton_python_backend_stub"
    for file in (*(wheel / "backends" / "python").iterdir(), stub):
        (folder / "python" / file.name).symlink_to(file)
    return folder


@contextmanager
def running(
    command: list[Path | str], *, folder: Path, ready: str, names: dict[str, str] | None = None
) -> Iterator[None]:
    """A server in a process group of its own."""
    log = folder / "server.log"
    # What this environment's Python shall find is nothing for that of another one.
    inherited = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited, **(names or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait(process, ready, log)
        yield
    finally:
        stop(process)


def wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers(ready):
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            problem = "ended before it was ready" if ended else f"took over {PATIENCE:g} seconds"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise NotServingError("\n".join([f"the server {problem}:", *lines[-30:]]))
        time.sleep(0.1)


def answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):  # not listening yet
        return False
    finally:
        connection.close()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process group, by force if it does not end by itself."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
