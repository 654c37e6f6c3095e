"""A real Ray cluster of small nodes on this machine."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from chores import await_end

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head and another node; sees that none of their processes is left at the end."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        cluster = Cluster()
        # The processes of all nodes find this folder's modules, and leave their files in one place.
        path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        names = {
            "PYTHONPATH": os.pathsep.join(path),
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        with mock.patch.dict(os.environ, names):
            try:
                cluster.add_node(**SMALL)
                cluster.add_node(**SMALL)
                yield cluster
            finally:
                cluster.shutdown()
        left = await_end(find_processes(folder))
    assert left == []


def find_raylet(node: Any) -> int:
    (raylet,) = node.all_processes["raylet"]
    return raylet.process.pid


def find_performer(raylets: list[int]) -> int:
    """A worker of a node of one of these parents: one that performs a task, if there is any."""
    found = []
    for number in find_processes("ray::"):
        folder = Path(f"/proc/{number}")
        try:
            title = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A node does not outlive its agents, which are no workers.
        if parent in raylets and b"Agent" not in title:
            found.append((b"IDLE" in title, number))
    return min(found)[1]


def find_processes(text: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
