import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from threading import Thread

import pytest
import torch
from chores import (
    Chore,
    add_up,
    await_beginner,
    await_end,
    find_beginners,
    keep_secret,
    stumble,
    total,
)
from refusals import refuses

from modelseal.errors import BadFileError, EvaluationError, InvalidArgumentError
from modelseal.parallel import ray
from modelseal.parallel.workers import Processes, Sequential, Workers, hire

KINDS = ["Sequential", "Processes", "Cluster"]


@pytest.fixture(params=KINDS)
def workers(request) -> Workers:
    """One kind of workers after the other: what they promise is the same."""
    match request.param:
        case "Sequential":
            return Sequential()
        case "Processes":
            return Processes(2)
    return request.getfixturevalue("cluster")


@pytest.fixture
def several_threads():
    """Torch as it comes, with more threads than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def chores(folder, count=6, mishap="", at=()):
    return [
        Chore(number=number, folder=folder, mishap=mishap if number in at else "")
        for number in range(count)
    ]


def others(folder):
    return [own for own, _ in find_beginners(folder) if own != os.getpid()]


@pytest.mark.usefixtures("several_threads")
def test_every_task_is_done_once_with_the_same_result_wherever_it_is_done(workers, tmp_path):
    assert isinstance(workers, Workers)
    tasks = chores(tmp_path)

    results = list(workers(total, tasks))

    torch.set_num_threads(1)
    assert dict(results) == {task: add_up(task) for task in tasks}
    assert len(results) == len(tasks)
    assert len(find_beginners(tmp_path)) == len(tasks)


def test_an_error_of_ours_comes_as_it_is_and_leaves_no_process(workers, tmp_path):
    with pytest.raises(BadFileError, match=r"^a\.seal: seed: is missing$") as caught:
        list(workers(stumble, chores(tmp_path, mishap="known", at=[2])))
    assert (caught.value.file, caught.value.field) == ("a.seal", "seed")
    assert await_end(others(tmp_path)) == []


@pytest.mark.parametrize("workers", KINDS[:2], indirect=True)
def test_an_error_of_python_names_the_task(workers, tmp_path):
    with pytest.raises(EvaluationError, match=r"^Chore\(number=1, .*\): KeyError: 'layer9'$"):
        list(workers(stumble, chores(tmp_path, mishap="foreign", at=[1])))


@pytest.mark.parametrize("workers", KINDS[:2], indirect=True)
def test_leaving_early_stops_what_is_under_way(workers, tmp_path):
    with closing(workers(stumble, chores(tmp_path, mishap="waits", at=range(1, 6)))) as results:
        next(results)
        beginners = others(tmp_path)

    assert active_children() == []
    assert await_end(beginners) == []
    assert len(find_beginners(tmp_path)) <= 6


def test_an_interrupt_stops_what_is_under_way(workers, tmp_path):
    def interrupt():
        await_beginner(tmp_path)
        os.kill(os.getpid(), signal.SIGINT)

    thread = Thread(target=interrupt)
    thread.start()
    # KeyboardInterrupt has no text.
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        list(workers(stumble, chores(tmp_path, mishap="waits", at=range(6))))
    thread.join()

    assert active_children() == []
    assert await_end(others(tmp_path)) == []


def test_a_process_that_dies_costs_its_own_task_only(tmp_path):
    tasks = chores(tmp_path, mishap="waits", at=[0])
    results = Processes(2)(stumble, tasks)
    first = next(results)
    victim = await_beginner(tmp_path, number=0)
    os.kill(victim, signal.SIGKILL)
    (tmp_path / "go").touch()

    done = dict([first, *results])

    assert done == {task: add_up(task) for task in tasks}
    times = [len(find_beginners(tmp_path, number=number)) for number in range(6)]
    assert sorted(times) == [1, 1, 1, 1, 1, 2]
    assert active_children() == []


def test_a_task_that_kills_its_process_is_given_up_by_name(tmp_path):
    tasks = chores(tmp_path, count=2, mishap="dies", at=[1])
    said = r"^Chore\(number=1, .*\): begun 2 times, but its process died \(killed by SIGKILL, as"
    with pytest.raises(EvaluationError, match=said):
        list(Processes(1, attempts=2)(stumble, tasks))
    assert len(find_beginners(tmp_path, number=1)) == 2
    assert active_children() == []


def test_a_process_that_died_between_two_tasks_is_replaced(tmp_path):
    tasks = chores(tmp_path, count=3, mishap="dies after", at=[0])
    assert dict(Processes(1)(stumble, tasks)) == {task: add_up(task) for task in tasks}


def test_a_result_that_cannot_be_sent_back_is_an_error_that_names_the_task(tmp_path):
    with pytest.raises(EvaluationError, match=r"number=0.*its result cannot be sent back: "):
        list(Processes(1)(keep_secret, chores(tmp_path, count=1)))


def test_a_function_that_cannot_be_sent_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"number=0.*cannot be sent to another process"):
        list(Processes(1)(lambda task: task, chores(tmp_path, count=1)))
    assert active_children() == []


@pytest.mark.parametrize("numbers", [(0, 3), (-1, 3), (2, 0)])
def test_fewer_than_one_process_or_attempt_is_refused(numbers):
    count, attempts = numbers
    with refuses(InvalidArgumentError, field="count" if count < 1 else "attempts"):
        Processes(count, attempts=attempts)


PROGRAM = """
import sys
from pathlib import Path
from chores import Chore, stumble
from modelseal.parallel.workers import Processes

if __name__ == "__main__":
    tasks = [Chore(number=n, folder=Path(sys.argv[1]), mishap="waits") for n in range(3)]
    try:
        print("ready", flush=True)
        list(Processes(2)(stumble, tasks))
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.mark.parametrize("moment", ["starting", "working"])
def test_ctrl_c_at_a_terminal_stops_all_processes_without_a_word_of_theirs(tmp_path, moment):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, program, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    ) as process:
        process.stdout.readline()
        if moment == "starting":
            # Into the middle of all that the processes import.
            time.sleep(0.5)
        else:
            await_beginner(tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate() == ("stopped\n", "")
    assert await_end([own for own, _ in find_beginners(tmp_path)]) == []


LONG_TASK = """
import time
from modelseal.parallel.workers import Processes

if __name__ == "__main__":
    print("begun", flush=True)
    list(Processes(2)(time.sleep, [60.0, 60.0]))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="it needs /proc of Linux")
def test_no_process_outlives_one_that_is_killed(tmp_path):
    (tmp_path / "program.py").write_text(LONG_TASK, encoding="utf-8")
    running = subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE)
    assert running.stdout.readline() == b"begun\n"
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    deadline = time.monotonic() + 300
    while len(found := busy(children)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(found) == 2
    running.kill()
    running.communicate()
    while any(map(alive, found)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, found))


def busy(children):
    """The processes that were started, but for the one that tracks what they share."""
    lines = {
        int(child): Path(f"/proc/{child}/cmdline").read_bytes()
        for child in children.read_text().split()
    }
    return [child for child, line in lines.items() if b"resource_tracker" not in line]


def alive(process):
    """Whether a process is there and not waiting to be buried."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True)
class FakeCluster:
    address: str
    gpu: bool

    def __call__(self, perform, tasks):
        yield from ()


def test_one_worker_several_or_a_cluster_can_be_hired(monkeypatch):
    monkeypatch.setattr(ray, "Cluster", FakeCluster)
    assert isinstance(hire(1), Sequential)
    assert hire(3) == Processes(3)
    assert hire(1, "10.0.0.1:6379") == FakeCluster("10.0.0.1:6379", gpu=False)
    assert hire(1, "auto", gpu=True) == FakeCluster("auto", gpu=True)
    with refuses(InvalidArgumentError, match="2 and auto"):
        hire(2, "auto")
