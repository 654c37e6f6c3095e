"""Where tasks are performed: on the machines of a Ray cluster."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from modelseal.errors import FOREIGN_ERRORS, EvaluationError, InvalidArgumentError, import_extra
from modelseal.parallel.workers import attempt, unwrap

T = TypeVar("T")
R = TypeVar("R")

# Seconds to wait for a sign of life; a healthy head node gives it in a thousandth of that.
TIMEOUT = 10.0
# Tasks handed in for each processor or GPU: one runs, and one spares it the way to us.
_AHEAD = 2
# What a client of gRPC says first: HTTP/2's opening words and an empty frame of settings.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# What comes back: a frame of that type, or TLS that asks for another opening.
_SETTINGS, _ALERT = 4, 21


@dataclass(frozen=True, slots=True)
class Cluster:
    """Performs tasks on a Ray cluster, one on each processor or on each GPU.

    The results come back to this process, which alone writes files. On every node, modelseal must
    be importable, in the same version and with the same torch, and the files that the tasks name
    must be found under the same paths. Ray begins a task again, `attempts` times at the most,
    whose process or node was lost.

    The address is that of the head node, `host:port`, `auto` for the cluster of this machine, or
    `ray://host:port` for Ray's client.
    """

    address: str
    gpu: bool = field(default=False, kw_only=True)
    attempts: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidArgumentError(f"expected 1 or more, got {self.attempts}", field="attempts")
        if self.address != "auto":
            _split_address(self.address)
        _load_ray()

    def __call__(self, perform: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Performs the tasks; see `Workers`."""
        with _connected(self.address) as ray:
            kind = "GPU" if self.gpu else "CPU"
            # Ray would wait for one for ever.
            if self.gpu and not ray.cluster_resources().get(kind):
                raise EvaluationError(
                    f"{self.address}: expected a cluster with a GPU, got one without"
                )
            remote = ray.remote(num_cpus=1, num_gpus=int(self.gpu), max_retries=self.attempts - 1)(
                attempt
            )
            waiting, under_way = deque(tasks), dict[Any, T]()
            while waiting or under_way:
                # Asked again each time, as nodes come and go.
                room = _AHEAD * max(1, int(ray.cluster_resources().get(kind, 1)))
                while waiting and len(under_way) < room:
                    task = waiting.popleft()
                    under_way[remote.remote(perform, task)] = task
                for finished in ray.wait(list(under_way))[0]:
                    task = under_way.pop(finished)
                    yield task, unwrap(_fetch(ray, finished, task))


def _load_ray() -> Any:  # noqa: ANN401 (Ray's types name what it does not export)
    """Imports Ray, with its reports of usage to its makers switched off."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return import_extra("ray", purpose="Working on a cluster", extra="ray")


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Gives Ray, connected to a cluster for a while; its processes for us end with it."""
    ray = _load_ray()
    if address != "auto":
        _greet(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except FOREIGN_ERRORS as error:
        raise EvaluationError(f"{address}: Ray could not use it as a cluster: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _fetch(ray: Any, finished: Any, task: object) -> Any:  # noqa: ANN401
    """The outcome of a finished task, unless its processes were lost or it cannot be sent."""
    try:
        return ray.get(finished)
    except ray.exceptions.RayError as error:
        problem = str(error).strip().splitlines()[0]
        raise EvaluationError(f"{task}: {type(error).__name__}: {problem}") from error


def _greet(address: str) -> None:
    """Makes sure that a gRPC server is at an address; asked first, Ray tries for minutes."""
    try:
        with socket.create_connection(_split_address(address), TIMEOUT) as connection:
            connection.sendall(_GREETING)
            said = connection.recv(9)
    except OSError as error:
        raise EvaluationError(f"{address}: no Ray cluster answers there: {error}") from error
    if said[3:4] != bytes([_SETTINGS]) and said[:1] != bytes([_ALERT]):
        raise EvaluationError(f"{address}: what answers there is no Ray cluster")


def _split_address(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InvalidArgumentError(
            f"expected auto, host:port or ray://host:port of a cluster, got {address!r}"
        )
    return host.strip("[]"), int(port)
