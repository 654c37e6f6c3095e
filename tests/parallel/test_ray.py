import os
import re
import signal
import socket
import sys
import time
from contextlib import closing, suppress
from functools import cache
from threading import Thread

import pytest
from chores import (
    Chore,
    add_up,
    await_beginner,
    await_end,
    find_beginners,
    see_gpu,
    stumble,
    total,
)
from nodes import SMALL, find_raylet
from refusals import refuses

from modelseal.errors import EvaluationError, InvalidArgumentError, MissingExtraError
from modelseal.parallel.ray import Cluster


def waiting_chores(folder, count=8):
    """The first is done at once; the others wait for a file, so that a test can come between."""
    return [
        Chore(number=number, folder=folder, mishap="waits" if number else "")
        for number in range(count)
    ]


def finish(results, folder):
    (folder / "go").touch()
    return dict(results)


def test_the_whole_and_same_result_comes_though_a_process_is_killed(cluster, tmp_path):
    tasks = waiting_chores(tmp_path)
    with closing(cluster(stumble, tasks)) as results:
        first = next(results)
        os.kill(await_beginner(tmp_path, number=1), signal.SIGKILL)
        done = finish(results, tmp_path) | dict([first])

    beginners = find_beginners(tmp_path)
    assert len(beginners) > len(tasks)
    assert await_end([own for own, _ in beginners]) == []
    assert done == {task: add_up(task) for task in tasks}


def test_the_whole_and_same_result_comes_though_a_node_is_killed(nodes, cluster, tmp_path):
    third = nodes.add_node(**SMALL)
    tasks = waiting_chores(tmp_path)
    with closing(cluster(stumble, tasks)) as results:
        first = next(results)
        # Done, perhaps on the third node, where one that is not done is looked for.
        (tmp_path / "0").unlink()
        victim = await_beginner(tmp_path, parent=find_raylet(third))
        nodes.remove_node(third, allow_graceful=False)
        # Its orphan would still bring the result home, which a machine without power does not.
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        done = finish(results, tmp_path) | dict([first])

    assert len(find_beginners(tmp_path)) >= len(tasks)
    assert done == {task: add_up(task) for task in tasks}


def test_a_task_that_kills_its_processes_is_given_up_by_name(nodes, tmp_path):
    tasks = [Chore(number=5, folder=tmp_path, mishap="dies")]
    said = r"^Chore\(number=5, .*\): WorkerCrashedError: "
    with pytest.raises(EvaluationError, match=said):
        list(Cluster(nodes.address, attempts=2)(stumble, tasks))
    assert len(find_beginners(tmp_path)) == 2


def test_each_task_has_a_gpu_of_its_own(nodes, tmp_path):
    # Ray believes what it is told of GPUs.
    node = nodes.add_node(**SMALL | {"num_cpus": 2, "num_gpus": 2})
    tasks = [Chore(number=number, folder=tmp_path) for number in range(2)]
    try:
        seen = dict(Cluster(nodes.address, gpu=True)(see_gpu, tasks))
    finally:
        nodes.remove_node(node)
    assert sorted(seen.values()) == ["0", "1"]


def test_a_cluster_without_a_gpu_is_told_at_once(nodes, tmp_path):
    with refuses(EvaluationError, match=nodes.address):
        list(Cluster(nodes.address, gpu=True)(see_gpu, [Chore(number=0, folder=tmp_path)]))


@pytest.fixture
def mute():
    """A port where somebody listens, never to say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize(
    ("scheme", "problem"), [("", "timed out$"), ("ray://", "timed out$"), ("closed", ".*ref")]
)
def test_an_address_where_no_cluster_answers_is_told_in_a_bounded_time(
    mute, monkeypatch, scheme, problem
):
    monkeypatch.setattr("modelseal.parallel.ray.TIMEOUT", 0.2)
    address = f"{scheme.removeprefix('closed')}127.0.0.1:{mute.getsockname()[1]}"
    if scheme == "closed":
        mute.close()
    begin = time.monotonic()
    with refuses(EvaluationError, match=f"^{address}: no Ray cluster answers there: {problem}"):
        list(Cluster(address)(total, []))
    assert time.monotonic() - begin < 60


def test_another_server_is_not_taken_for_a_cluster(mute):
    def answer():
        connection, _ = mute.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = Thread(target=answer)
    thread.start()
    address = f"127.0.0.1:{mute.getsockname()[1]}"
    with pytest.raises(EvaluationError, match=f"^{address}: what answers there is no Ray cluster$"):
        list(Cluster(address)(total, []))
    thread.join()


def test_a_machine_without_a_cluster_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", cache(frozenset))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(EvaluationError, match=r"^auto: Ray could not use it as a cluster: Could"):
        list(Cluster("auto")(total, []))


@pytest.mark.parametrize(
    "address", ["", "head", "head:", ":6379", "ray://head", "head:0", "h:99999"]
)
def test_an_address_without_host_or_port_is_refused(address):
    with refuses(InvalidArgumentError, match=re.escape(f"got {address!r}")):
        Cluster(address)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with refuses(MissingExtraError, match=r"modelseal\[ray\]"):
        Cluster("auto")
